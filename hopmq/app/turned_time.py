"""What handlers wait for while an application is tested: for time to be turned, or for the world."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from hopmq.app.clock import Timer, WakeUp
from hopmq.app.context import CallNext, ConsumeContext
from hopmq.testing.clock import TurnedClock

_PARTS: Final = 10
"""Waits that patience is divided into: a process that stands still for long has spent one of them."""


class Work:
    """One call of a handler.

    Attributes:
        name: Of its consumer.
        waits: What it waits for that time, or another handler, brings: how much it sleeps and asks.
        is_given_up: Whether it has waited for the world for too long.
    """

    __slots__ = ("is_given_up", "name", "waits")

    def __init__(self, name: str) -> None:
        """Wait for nothing yet."""
        self.name: str = name
        self.waits: int = 0
        self.is_given_up: bool = False


_work: ContextVar[Work | None] = ContextVar("hopmq_work", default=None)


class AtWork:
    """The handlers at work; the outermost middleware of all consumers in a test."""

    def __init__(self) -> None:
        """Begin with none."""
        self._works: set[Work] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._works)

    async def __call__(
        self, context: ConsumeContext, call_next: CallNext[ConsumeContext], /
    ) -> Any:  # what the handler returns
        """Have a handler work."""
        work = Work(context.consumer.name)
        self._works.add(work)
        before = _work.set(work)
        try:
            return await call_next(context)
        finally:
            _work.reset(before)
            self._works.discard(work)
            self._changed.set()

    @contextmanager
    def waiting(self, work: Work | None) -> Iterator[None]:
        """Count a handler as one that waits for something of its own, for the length of a block."""
        self.begins_to_wait(work)
        try:
            yield
        finally:
            ends_to_wait(work)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count the handler that is running, if one is, as waiting for an answer."""
        with self.waiting(_work.get()):
            yield

    def begins_to_wait(self, work: Work | None) -> None:
        """Count a handler as waiting, once more."""
        if work is not None:
            work.waits += 1
            self._changed.set()

    @property
    def waits_for_the_world(self) -> bool:
        """Whether there is a handler that neither time nor another handler gets on."""
        return any(not work.waits and not work.is_given_up for work in self._works)

    async def has_changed(self, patience: float) -> bool:
        """Wait until a handler ends, or waits for something else; return whether one does."""
        self._changed.clear()
        for _ in range(_PARTS):
            try:
                async with asyncio.timeout(patience / _PARTS):
                    await self._changed.wait()
            except TimeoutError:
                continue
            return True
        return False

    def give_up(self) -> None:
        """Wait no more for those that wait for the world."""
        for work in self._works:
            work.is_given_up = work.is_given_up or not work.waits

    @property
    def given_up(self) -> list[str]:
        """The consumers of handlers that were given up, and are at work still."""
        return sorted({work.name for work in self._works if work.is_given_up})


def ends_to_wait(work: Work | None) -> None:
    """Count a handler as waiting once less."""
    if work is not None:
        work.waits -= 1


class WatchedClock:
    """A turned clock that sees who sleeps by it, and whether anything else is due.

    Attributes:
        pending: How many calls of the application are due some time.
        sleeping: How many of them wake somebody, be it a handler or not.
    """

    def __init__(self, clock: TurnedClock, at_work: AtWork) -> None:
        """Watch what is asked of `clock`."""
        self.pending: int = 0
        self.sleeping: int = 0
        self._clock = clock
        self._at_work = at_work

    def time(self) -> float:
        """Return the clock's seconds."""
        return self._clock.time()

    def wall(self) -> float:
        """Return seconds since 1970."""
        return self._clock.wall()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call at `when`."""
        sleeps = isinstance(callback, WakeUp)
        work = _work.get() if sleeps else None
        self.pending += 1
        self.sleeping += sleeps
        self._at_work.begins_to_wait(work)

        def over() -> None:
            self.pending -= 1
            self.sleeping -= sleeps
            ends_to_wait(work)

        timer = _WatchedTimer(callback, over)
        timer.timer = self._clock.call_at(when, timer.run)
        return timer


class _WatchedTimer:
    timer: Timer

    def __init__(self, callback: Callable[[], object], over: Callable[[], None]) -> None:
        self._callback = callback
        self._over: Callable[[], None] | None = over

    def cancel(self) -> None:
        self._end()
        self.timer.cancel()

    def run(self) -> None:
        self._end()
        self._callback()

    def _end(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over()
