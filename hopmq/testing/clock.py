"""A clock that a test turns, so that nothing waits for a TTL, a delay or a time-out."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final

from hopmq.errors import UsageError
from hopmq.transport.memory import is_moving

_START: Final = 1000.0
_NEW_YEAR_2026: Final = 1_767_225_600.0
_QUIET_TURNS: Final = 16
"""Turns without a sign of life after which a program is at rest.

What one event sets off goes by a few turns at a time (a flush, a future, the task that awaited it,
another task behind a queue) before it is seen again: as bytes, or as a look at the clock.
"""
_MOST_TURNS: Final = 100_000


class TurnedTimer:
    """A call that is due at a set time of a `TurnedClock`."""

    __slots__ = ("_callback", "_when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        """Be due at `when`."""
        self._when = when
        self._callback: Callable[[], object] | None = callback

    def when(self) -> float:
        """Return the time it is due."""
        return self._when

    def cancel(self) -> None:
        """Do not call; does nothing once called."""
        self._callback = None

    def is_cancelled(self) -> bool:
        """Return whether it will never call, or has called already."""
        return self._callback is None

    def run(self) -> None:
        """Call, unless cancelled."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class TurnedClock:
    """A clock that stands still until it is turned; give it to a broker in place of the real one.

    Between two calls that are due the event loop gets turns until the program is at rest, so that
    everything that follows from the first, such as a message that expires, is dead-lettered,
    delivered and acknowledged, has happened before the second. At rest means: nothing moves on
    `memory://` links, and for 16 turns of the loop nobody has looked at this clock, as a broker
    does with every read and every write.

    What this cannot see: sockets to other processes, threads, and timers of the event loop itself,
    such as `asyncio.sleep`. Wait for what you expect of those, then turn on. Bytes between two
    sockets of this process arrive at once on Linux's loopback and are seen; a network delays them.

    Clients go by the event loop, and send no heartbeats while this clock is turned: have them
    connect with `heartbeat=0`, unless it is heartbeats that are tested.
    """

    def __init__(self, *, wall: float = _NEW_YEAR_2026) -> None:
        """Stand still at `wall`, in seconds since 1970; the beginning of 2026 by default."""
        self._now = _START
        self._wall = wall
        self._timers: list[tuple[float, int, TurnedTimer]] = []
        self._serial = itertools.count()
        self._looks = 0
        self._turning = False

    # --- what a broker asks --------------------------------------------------------------------

    def time(self) -> float:
        """Return the seconds of this clock."""
        self._looks += 1
        return self._now

    def wall(self) -> float:
        """Return seconds since 1970."""
        self._looks += 1
        return self._wall + (self._now - _START)

    def call_at(self, when: float, callback: Callable[[], object], /) -> TurnedTimer:
        """Call `callback` once the clock has been turned to `when`; soon if it has been already."""
        self._looks += 1
        timer = TurnedTimer(when, callback)
        heapq.heappush(self._timers, (when, next(self._serial), timer))
        if when <= self._now:
            asyncio.get_running_loop().call_soon(self._run_overdue)
        return timer

    # --- what a test does ----------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when the next call is due, or None."""
        while self._timers and self._timers[0][2].is_cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    async def advance(self, seconds: float) -> None:
        """Turn the clock on by `seconds`, making the calls that fall due, each at its time.

        Raises:
            UsageError: `seconds` is negative, or the clock is being turned already.
            TimeoutError: The program never comes to rest.
            Exception: Whatever a call raised; the clock stays at its time.
        """
        await self.advance_to(self._now + seconds)

    async def advance_to(self, when: float) -> None:
        """Turn the clock on to `when`, in the seconds of `time`; otherwise as `advance`."""
        if not when >= self._now:
            raise UsageError(f"a clock is not turned back, from {self._now:g} to {when:g}")
        if self._turning:
            raise UsageError("the clock is being turned already")
        self._turning = True
        try:
            await self.settle()
            while (deadline := self.next_deadline()) is not None and deadline <= when:
                self._now = max(self._now, deadline)
                self._run_next()
                await self.settle()
            self._now = when
        finally:
            self._turning = False

    async def settle(self) -> None:
        """Give the loop turns until the program is at rest; time does not move.

        Raises:
            TimeoutError: It never comes to rest.
        """
        loop = asyncio.get_running_loop()
        quiet = 0
        for _ in range(_MOST_TURNS):
            looks = self._looks
            await asyncio.sleep(0)
            quiet = 0 if is_moving(loop) or self._looks != looks else quiet + 1
            if quiet == _QUIET_TURNS:
                return
        raise TimeoutError(
            f"not at rest after {_MOST_TURNS} turns of the loop: something publishes, consumes or "
            "looks at the clock without end"
        )

    # --- inside --------------------------------------------------------------------------------

    def _run_next(self) -> None:
        heapq.heappop(self._timers)[2].run()

    def _run_overdue(self) -> None:
        """Make a call that was due when it was asked for, unless somebody turns the clock."""
        deadline = self.next_deadline()
        if deadline is not None and deadline <= self._now and not self._turning:
            self._run_next()
