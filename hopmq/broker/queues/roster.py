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

    __slots__ = ("_all", "_by_priority", "_lines", "_rising", "active", "single")

    def __init__(self, single: bool, *, by_priority: bool = True, rising: bool = False) -> None:
        """Start without consumers.

        Args:
            single: Whether only one consumer at a time is served.
            by_priority: Whether the next one is the first of the highest priority, or the first.
            rising: Whether the active one makes way for a higher priority, once it has settled
                what it has.
        """
        self.single: bool = single
        self._by_priority = by_priority
        self._rising = rising
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
            self._make_way(consumer)
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
            if self._rising:
                self._yield_to_higher(consumer)
            else:
                self._join(consumer)

    def _elect(self) -> None:
        """Make another one active, if nobody is."""
        if self.active is None and self._all:
            self.active = self._first_of_highest() if self._by_priority else next(iter(self._all))
            self._join(self.active)

    def _first_of_highest(self) -> Consumer:
        return max(self._all, key=lambda consumer: consumer.priority)

    def _make_way(self, newcomer: Consumer) -> None:
        """Serve the active consumer no longer if there is one of a higher priority."""
        active = self.active
        if active is None or not self._rising or newcomer.priority <= active.priority:
            return
        if not active.parked:
            self._leave(active)
        active.parked = True
        if not active.outstanding:
            self.active = None

    def _yield_to_higher(self, active: Consumer) -> None:
        """Go on with the active consumer, or with another when it is that one's turn."""
        if not self.single or self._first_of_highest().priority <= active.priority:
            self._join(active)
        elif not active.outstanding:
            self.active = None
            self._elect()

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
