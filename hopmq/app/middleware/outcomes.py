"""How many messages were handled lately, and how many of them failed."""

from collections import deque
from dataclasses import dataclass
from typing import Final

_PARTS: Final = 10


@dataclass(slots=True, eq=False)
class _Part:
    """What happened in a tenth of the window."""

    begun: float
    failed: int = 0
    total: int = 0


class RecentOutcomes:
    """Counts over a window that moves on by a tenth of its length at a time."""

    def __init__(self, window: float) -> None:
        """Look back `window` seconds."""
        self._window = window
        self._parts: deque[_Part] = deque()
        self._failed = 0
        self._total = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Count one, and forget those from before the window."""
        parts = self._parts
        if not parts or now >= parts[-1].begun + self._window / _PARTS:
            while parts and parts[0].begun <= now - self._window:
                old = parts.popleft()
                self._failed -= old.failed
                self._total -= old.total
            parts.append(_Part(now))
        parts[-1].total += 1
        self._total += 1
        if failed:
            parts[-1].failed += 1
            self._failed += 1

    def counts(self) -> tuple[int, int]:
        """Return how many failed, of how many."""
        return self._failed, self._total

    def forget(self) -> None:
        """Begin anew."""
        self._parts.clear()
        self._failed = self._total = 0
