"""What is ready in a queue, in the order in which it will be delivered.

A message that has never been delivered and never expires stands there as itself; it gets an
`Entry` when it is taken. A deep queue is made of these, so they are kept small.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Protocol

from hopmq.broker.message import Entry, priority_of
from hopmq.wire import Published


class Backlog(Protocol):
    """Messages that wait for a consumer."""

    @property
    def arrivals(self) -> int:
        """How many messages have come here, whether they waited or not."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Entry]:
        """Iterate in the order of delivery."""

    def append(self, message: Published, expires_at: float | None) -> None:
        """Add what was just published."""

    def append_entry(self, entry: Entry) -> None:
        """Add what was just published and has a past in another queue."""

    def entry(self, message: Published, expires_at: float | None) -> Entry:
        """Return a place for a message that goes to a consumer without waiting."""

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""

    def peek(self) -> Entry | Published | None:
        """Return what comes next; None when there is nothing."""

    def pop(self) -> Entry:
        """Take what comes next."""

    def clear(self) -> None:
        """Forget everything."""


class FifoBacklog:
    """First in, first out; what comes back returns to its old place."""

    __slots__ = ("_fresh", "_returned", "_taken")

    def __init__(self) -> None:
        """Start empty."""
        self._fresh: deque[Entry | Published] = deque()
        # A heap by position. All of it was taken from the front of `_fresh`, so it comes first.
        self._returned: list[Entry] = []
        # Positions are given when messages are taken: that is the order they came in, too.
        self._taken = 0

    @property
    def arrivals(self) -> int:
        """How many messages have come here, whether they waited or not."""
        return self._taken + len(self._fresh)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._returned)

    def __iter__(self) -> Iterator[Entry]:
        yield from sorted(self._returned)
        for one in self._fresh:
            yield one if isinstance(one, Entry) else Entry(one, 0, None)

    def append(self, message: Published, expires_at: float | None) -> None:
        """Add what was just published."""
        self._fresh.append(message if expires_at is None else Entry(message, 0, expires_at))

    def append_entry(self, entry: Entry) -> None:
        """Add what was just published and has a past in another queue."""
        self._fresh.append(entry)

    def entry(self, message: Published, expires_at: float | None) -> Entry:
        """Return a place for a message that goes to a consumer without waiting."""
        self._taken += 1
        return Entry(message, self._taken, expires_at)

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""
        heappush(self._returned, entry)

    def peek(self) -> Entry | Published | None:
        """Return what comes next; None when there is nothing."""
        if self._returned:
            return self._returned[0]
        return self._fresh[0] if self._fresh else None

    def pop(self) -> Entry:
        """Take what comes next."""
        if self._returned:
            return heappop(self._returned)
        one = self._fresh.popleft()
        self._taken += 1
        if type(one) is not Entry:
            return Entry(one, self._taken, None)  # type: ignore[arg-type]  # no entry: a message
        one.position = self._taken
        return one

    def clear(self) -> None:
        """Forget everything."""
        self._taken += len(self._fresh)
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

    @property
    def arrivals(self) -> int:
        """How many messages have come here, whether they waited or not."""
        return sum(level.arrivals for level in self._levels)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for level in reversed(self._levels):
            yield from level

    def append(self, message: Published, expires_at: float | None) -> None:
        """Add what was just published."""
        self._level_for(message).append(message, expires_at)

    def append_entry(self, entry: Entry) -> None:
        """Add what was just published and has a past in another queue."""
        self._level_for(entry.message).append_entry(entry)

    def entry(self, message: Published, expires_at: float | None) -> Entry:
        """Return a place for a message that goes to a consumer without waiting."""
        return self._levels[self._level_of(message)].entry(message, expires_at)

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""
        self._level_for(entry.message).put_back(entry)

    def peek(self) -> Entry | Published | None:
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

    def _level_of(self, message: Published) -> int:
        return min(priority_of(message), len(self._levels) - 1)

    def _level_for(self, message: Published) -> FifoBacklog:
        """Return where a message belongs that is about to be added."""
        priority = self._level_of(message)
        self._top = max(self._top, priority)
        self._size += 1
        return self._levels[priority]

    def _highest(self) -> FifoBacklog:
        while self._top and not self._levels[self._top]:
            self._top -= 1
        return self._levels[self._top]
