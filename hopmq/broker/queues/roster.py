"""Who gets the next message of a queue: consumers by priority, in turn among equals."""

from collections import deque
from collections.abc import Iterator

from hopmq.broker.consumer import Consumer


class Roster:
    """The consumers of a queue.

    One that has no room for a message leaves the line and is `parked` until it says that it has,
    so that finding the next one costs the same with one consumer as with thousands.

    Attributes:
        single: Whether only one consumer at a time is served (x-single-active-consumer).
        active: The one that is served, where `single`.
    """

    __slots__ = ("_all", "_lines", "active", "single")

    def __init__(self, single: bool) -> None:
        """Start without consumers."""
        self.single: bool = single
        self.active: Consumer | None = None
        self._all: dict[Consumer, None] = {}
        self._lines: list[tuple[int, deque[Consumer]]] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Consumer]:
        """Iterate in the order in which they came."""
        return iter(list(self._all))

    def add(self, consumer: Consumer) -> None:
        """Let a consumer take part."""
        self._all[consumer] = None
        if self.single:
            self._elect()
        else:
            self._join(consumer)

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go; another one becomes active where only one may be."""
        if consumer not in self._all:
            return
        del self._all[consumer]
        if not consumer.parked:
            self._leave(consumer)
        if consumer is self.active:
            self.active = None
            self._elect()

    def next(self) -> Consumer | None:
        """Return who gets the next message; None when nobody has room."""
        for _, line in self._lines:
            while line:
                consumer = line[0]
                if consumer.has_room():
                    if len(line) > 1:
                        line.rotate(-1)
                    return consumer
                line.popleft()
                consumer.parked = True
        return None

    def unpark(self, consumer: Consumer) -> None:
        """Let a parked consumer take part again."""
        if consumer.parked and consumer in self._all:
            if self.single and consumer is not self.active:
                return
            self._join(consumer)

    def _elect(self) -> None:
        """Make the first of the highest priority active, if nobody is."""
        if self.active is None and self._all:
            self.active = max(self._all, key=lambda consumer: consumer.priority)
            self._join(self.active)

    def _join(self, consumer: Consumer) -> None:
        consumer.parked = False
        for priority, line in self._lines:
            if priority == consumer.priority:
                line.append(consumer)
                return
        self._lines.append((consumer.priority, deque([consumer])))
        self._lines.sort(key=lambda pair: -pair[0])

    def _leave(self, consumer: Consumer) -> None:
        for position, (priority, line) in enumerate(self._lines):
            if priority == consumer.priority:
                if consumer in line:
                    line.remove(consumer)
                if not line:
                    del self._lines[position]
                return
