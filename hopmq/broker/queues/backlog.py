"""What is ready in a queue, in the order in which it will be delivered."""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Protocol

from hopmq.broker.message import Entry, priority_of


class Backlog(Protocol):
    """Entries that wait for a consumer."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Entry]:
        """Iterate in the order of delivery."""

    def append(self, entry: Entry) -> None:
        """Add what was just published."""

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""

    def peek(self) -> Entry | None:
        """Return what comes next; None when there is nothing."""

    def pop(self) -> Entry:
        """Take what comes next."""

    def clear(self) -> None:
        """Forget everything."""


class FifoBacklog:
    """First in, first out; what comes back returns to its old place."""

    __slots__ = ("_fresh", "_returned")

    def __init__(self) -> None:
        """Start empty."""
        self._fresh: deque[Entry] = deque()
        # A heap by position. All of it was taken from the front of `_fresh`, so it comes first.
        self._returned: list[Entry] = []

    def __len__(self) -> int:
        return len(self._fresh) + len(self._returned)

    def __iter__(self) -> Iterator[Entry]:
        yield from sorted(self._returned)
        yield from self._fresh

    def append(self, entry: Entry) -> None:
        """Add what was just published."""
        self._fresh.append(entry)

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""
        heappush(self._returned, entry)

    def peek(self) -> Entry | None:
        """Return what comes next; None when there is nothing."""
        if self._returned:
            return self._returned[0]
        return self._fresh[0] if self._fresh else None

    def pop(self) -> Entry:
        """Take what comes next."""
        if self._returned:
            return heappop(self._returned)
        return self._fresh.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self._fresh.clear()
        self._returned.clear()


class PriorityBacklog:
    """One backlog per priority; the highest goes first."""

    __slots__ = ("_levels", "_size", "_top")

    def __init__(self, highest: int) -> None:
        """Know priorities up to `highest`; messages of a higher one count as that."""
        self._levels = [FifoBacklog() for _ in range(highest + 1)]
        self._size = 0
        self._top = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for level in reversed(self._levels):
            yield from level

    def append(self, entry: Entry) -> None:
        """Add what was just published."""
        self._level_of(entry).append(entry)

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""
        self._level_of(entry).put_back(entry)

    def peek(self) -> Entry | None:
        """Return what comes next; None when there is nothing."""
        return self._highest().peek() if self._size else None

    def pop(self) -> Entry:
        """Take what comes next."""
        entry = self._highest().pop()
        self._size -= 1
        return entry

    def clear(self) -> None:
        """Forget everything."""
        for level in self._levels:
            level.clear()
        self._size = 0

    def _level_of(self, entry: Entry) -> FifoBacklog:
        """Return where an entry belongs that is about to be added."""
        priority = min(priority_of(entry.message), len(self._levels) - 1)
        self._top = max(self._top, priority)
        self._size += 1
        return self._levels[priority]

    def _highest(self) -> FifoBacklog:
        while self._top and not self._levels[self._top]:
            self._top -= 1
        return self._levels[self._top]
