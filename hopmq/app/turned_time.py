"""What a test of an application has to know of its time: who is at work, and who sleeps."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from hopmq.app.clock import Timer, WakeUp
from hopmq.app.context import CallNext, ConsumeContext
from hopmq.testing.clock import TurnedClock

_is_handling: ContextVar[bool] = ContextVar("is_handling", default=False)


class CountedClock:
    """A turned clock that knows how many handlers sleep by it.

    Other timers of theirs only watch, such as time limits: while those run, a handler may have no
    end in sight, or be about to end.
    """

    def __init__(self, clock: TurnedClock) -> None:
        """Count what is asked of `clock`."""
        self._clock = clock
        self._sleeping: set[_CountedTimer] = set()
        self._watching: set[_CountedTimer] = set()

    @property
    def sleeping(self) -> int:
        """How many handlers sleep, or middleware around them."""
        return len(self._sleeping)

    @property
    def is_watching(self) -> bool:
        """Whether they have timers that nobody sleeps by."""
        return bool(self._watching)

    def time(self) -> float:
        """Return the clock's seconds."""
        return self._clock.time()

    def wall(self) -> float:
        """Return seconds since 1970."""
        return self._clock.wall()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call at `when`."""
        if not _is_handling.get():
            return self._clock.call_at(when, callback)
        pending = self._sleeping if isinstance(callback, WakeUp) else self._watching
        timer = _CountedTimer(pending, callback)
        timer.timer = self._clock.call_at(when, timer.run)
        return timer


class _CountedTimer:
    timer: Timer

    def __init__(self, pending: "set[_CountedTimer]", callback: Callable[[], object]) -> None:
        self._pending = pending
        self._callback = callback
        pending.add(self)

    def cancel(self) -> None:
        self._pending.discard(self)
        self.timer.cancel()

    def run(self) -> None:
        self._pending.discard(self)
        self._callback()


class AtWork:
    """How many handlers are at work; outermost middleware of all consumers in a test."""

    def __init__(self) -> None:
        """Count from none."""
        self.count: int = 0
        self._changed = asyncio.Event()

    async def __call__(
        self, context: ConsumeContext, call_next: CallNext[ConsumeContext], /
    ) -> Any:
        """Count one in, and out."""
        self.count += 1
        before = _is_handling.set(True)
        try:
            return await call_next(context)
        finally:
            _is_handling.reset(before)
            self.count -= 1
            self._changed.set()

    async def has_changed(self, patience: float) -> bool:
        """Wait until a handler has ended; return whether one has, within so many seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(patience):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
