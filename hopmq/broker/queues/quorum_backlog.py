"""What is ready in a quorum queue: first what came back, then the rest by its priority."""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from hopmq.broker.message import PRIORITY, Entry
from hopmq.wire import Published

_DEFAULT_PRIORITY: Final = 4
"""Priority of a message that names none: the highest that is not high (RabbitMQ 4.0 on)."""

_HIGH_IN_A_ROW: Final = 2
"""Messages of high priority that are taken before one of normal priority, if there is any."""


class QuorumBacklog:
    """Messages of a quorum queue.

    What comes back goes before all others, in the order of its return. The others are served by
    priority: without any (3.10), two of high priority for one of normal priority (4.0), or
    strictly (4.3).

    Attributes:
        arrivals: How many messages have come here, whether they waited or not.
        property_bytes: Bytes of the property lists of all messages.
    """

    __slots__ = (
        "_levels",
        "_returned",
        "_size",
        "_strict",
        "_top",
        "_turn",
        "arrivals",
        "property_bytes",
    )

    def __init__(self, levels: int, *, strict: bool) -> None:
        """Tell `levels` priorities apart."""
        self._levels: list[deque[Entry | Published]] = [deque() for _ in range(levels)]
        self._strict = strict
        self._returned: deque[Entry] = deque()
        self._size = 0
        self._top = 0
        self._turn = 0
        self.arrivals: int = 0
        self.property_bytes: int = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for one in chain(self._returned, *reversed(self._levels)):
            yield one if isinstance(one, Entry) else Entry(one, 0, None)

    def append(self, message: Published, expires_at: float | None) -> None:
        """Add what was just published."""
        self.arrivals += 1
        self._add(message, message if expires_at is None else Entry(message, 0, expires_at))

    def append_entry(self, entry: Entry) -> None:
        """Add what has a past, behind everything else."""
        self._add(entry.message, entry)

    def entry(self, message: Published, expires_at: float | None) -> Entry:
        """Return a place for a message that goes to a consumer without waiting."""
        self.arrivals += 1
        self._count()
        return Entry(message, 0, expires_at)

    def put_back(self, entry: Entry) -> None:
        """Take back what was delivered and not settled."""
        self._returned.append(entry)
        self._size += 1
        self.property_bytes += len(entry.message.raw_properties)

    def peek(self) -> Entry | Published | None:
        """Return what comes next; None when there is nothing."""
        if self._returned:
            return self._returned[0]
        return self._next()[0] if self._size else None

    def pop(self) -> Entry:
        """Take what comes next."""
        self._size -= 1
        if self._returned:
            entry = self._returned.popleft()
        else:
            one = self._next().popleft()
            self._count()
            entry = one if isinstance(one, Entry) else Entry(one, 0, None)
        self.property_bytes -= len(entry.message.raw_properties)
        return entry

    def pop_expired(self, now: float) -> Entry | None:
        """Take a message that has expired and comes first in its level, or of what came back."""
        for line in self._lines():
            head = line[0]
            if isinstance(head, Entry) and head.expires_at is not None and head.expires_at <= now:
                self._size -= 1
                self.property_bytes -= len(head.message.raw_properties)
                line.popleft()
                return head
        return None

    def soonest_expiry(self) -> float | None:
        """Return when the next of those that come first expires; None for never."""
        heads = (line[0] for line in self._lines())
        times = [each.expires_at for each in heads if isinstance(each, Entry)]
        return min((each for each in times if each is not None), default=None)

    def clear(self) -> None:
        """Forget everything."""
        self._returned.clear()
        for level in self._levels:
            level.clear()
        self._size = 0
        self.property_bytes = 0

    def _lines(self) -> Iterator[deque[Any]]:  # of entries, or of messages and entries
        """Iterate over what came back, and the levels, wherever there is something."""
        lines: list[deque[Any]] = [self._returned, *self._levels]
        return (line for line in lines if line)

    def _add(self, message: Published, one: Entry | Published) -> None:
        level = self._level_of(message)
        self._levels[level].append(one)
        self._top = max(self._top, level)
        self._size += 1
        self.property_bytes += len(message.raw_properties)

    def _level_of(self, message: Published) -> int:
        count = len(self._levels)
        if count == 1:
            return 0
        priority = None
        if message.raw_properties[0] & PRIORITY:
            priority = message.properties.priority
        if priority is None:
            priority = _DEFAULT_PRIORITY
        return min(priority, count - 1) if self._strict else int(priority > _DEFAULT_PRIORITY)

    def _count(self) -> None:
        """Count a message that is taken, of whichever priority, up to whose turn it is."""
        self._turn = 0 if self._turn == _HIGH_IN_A_ROW else self._turn + 1

    def _next(self) -> deque[Entry | Published]:
        """Return the level to take from; there is something in one of them."""
        levels = self._levels
        while self._top and not levels[self._top]:
            self._top -= 1
        if not self._strict and self._top and levels[0] and self._turn == _HIGH_IN_A_ROW:
            return levels[0]
        return levels[self._top]
