"""A clock for tests without an event loop: it is turned by hand, and calls what falls due."""

import heapq
import itertools
from collections.abc import Callable

NEW_YEAR_2026 = 1_767_225_600.0


class ManualTimer:
    """A call that is due at a set time."""

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self._when = when
        self.callback: Callable[[], object] | None = callback

    def when(self) -> float:
        """Return when it is due."""
        return self._when

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None


class ManualClock:
    """Time that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._serial = itertools.count()

    def time(self) -> float:
        """Return the seconds since the beginning."""
        return self.now

    def wall(self) -> float:
        """Return seconds since 1970."""
        return NEW_YEAR_2026 + self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> ManualTimer:
        """Call once the clock is turned that far."""
        timer = ManualTimer(when, callback)
        heapq.heappush(self._timers, (when, next(self._serial), timer))
        return timer

    @property
    def pending(self) -> int:
        """How many calls are still to come."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def turn(self, seconds: float) -> None:
        """Turn on, making the calls that fall due, each at its time."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
        self.now = end
