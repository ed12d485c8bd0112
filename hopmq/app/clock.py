"""Time as applications have it: the event loop's, or a clock that a test turns."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Do not call; does nothing once called."""


class Clock(Protocol):
    """Where an application takes time from; `hopmq.testing.TurnedClock` is one."""

    def time(self) -> float:
        """Return seconds that never go back."""

    def wall(self) -> float:
        """Return seconds since 1970."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` at `when`, in the seconds of `time`."""


class LoopTime:
    """The event loop's time."""

    def time(self) -> float:
        """Return the loop's seconds."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Have the loop call."""
        return asyncio.get_running_loop().call_at(when, callback)


class WakeUp:
    """What ends a sleep: by it, a clock can tell whoever sleeps from what merely watches."""

    __slots__ = ("over",)

    def __init__(self, over: "asyncio.Future[None]") -> None:
        """End `over`."""
        self.over: asyncio.Future[None] = over

    def __call__(self) -> None:
        """End it."""
        if not self.over.done():
            self.over.set_result(None)


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait, by `clock`."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(clock.time() + seconds, WakeUp(over))
    try:
        await over
    finally:
        timer.cancel()
