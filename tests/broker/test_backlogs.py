"""Backlogs against models that are slow and plain: the order in which messages are delivered."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.routing import message
from hopmq.broker.message import Entry
from hopmq.broker.queues.backlog import Backlog, FifoBacklog, PriorityBacklog
from hopmq.broker.queues.quorum_backlog import QuorumBacklog
from trials import trials

PRIORITIES = st.sampled_from([None, 0, 1, 4, 5, 6, 31, 32, 255])


class Model:
    """What is ready as (priority, place) pairs, where smaller places come first."""

    def __init__(self, level: Callable[[int | None], int]) -> None:
        self.level = level
        self.ready: list[tuple[int, int]] = []

    def add(self, priority: int | None, place: int) -> None:
        """Add something published."""
        self.ready.append((self.level(priority), place))

    def put_back(self, priority: int | None, place: int) -> None:
        """Take something back to its old place."""
        self.ready.append((self.level(priority), place))

    def pop(self) -> int:
        """Take the oldest of the highest priority."""
        found = min(self.ready, key=lambda each: (-each[0], each[1]))
        self.ready.remove(found)
        return found[1]

    def hand_over(self) -> None:
        """Take note that something did not have to wait."""


class QuorumModel(Model):
    """What came back goes first; of the rest, two high ones go for one that is not."""

    def __init__(self, level: Callable[[int | None], int], *, strict: bool) -> None:
        super().__init__(level)
        self.strict = strict
        self.returned: list[int] = []
        self.turn = 0

    def put_back(self, priority: int | None, place: int) -> None:
        """Add to what came back, in the order in which it does."""
        self.returned.append(place)

    def pop(self) -> int:
        """Take what came back first, or whoever's turn it is."""
        if self.returned:
            return self.returned.pop(0)
        levels = sorted({level for level, _ in self.ready}, reverse=True)
        level = levels[0]
        if not self.strict and self.turn == 2:
            level = levels[-1]
        self.turn = 0 if self.turn == 2 else self.turn + 1
        found = min(each for each in self.ready if each[0] == level)
        self.ready.remove(found)
        return found[1]

    def hand_over(self) -> None:
        """Count it as taken."""
        self.turn = 0 if self.turn == 2 else self.turn + 1


def machine(backlog: Callable[[], Backlog], model: Callable[[], Model]) -> type[Any]:
    """Return a machine that does the same to both."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.backlog = backlog()
            self.model = model()
            self.places: dict[int, int | None] = {}
            self.out: list[Entry] = []

        def _new(self, priority: int | None) -> Any:
            place = len(self.places)
            self.places[place] = priority
            published = message(f"{place}", priority=priority)
            return place, published

        @initialize(priorities=st.lists(PRIORITIES, max_size=4))
        def fill(self, priorities: list[int | None]) -> None:
            for priority in priorities:
                self.append(priority, expires_at=None)

        @rule(priority=PRIORITIES, expires_at=st.sampled_from([None, 5.0]))
        def append(self, priority: int | None, expires_at: float | None) -> None:
            place, published = self._new(priority)
            self.backlog.append(published, expires_at)
            self.model.add(priority, place)

        @rule(priority=PRIORITIES)
        def append_with_a_past(self, priority: int | None) -> None:
            place, published = self._new(priority)
            self.backlog.append_entry(Entry(published, 0, None))
            self.model.add(priority, place)

        @precondition(lambda self: not len(self.backlog))
        @rule(priority=PRIORITIES)
        def hand_over_at_once(self, priority: int | None) -> None:
            _, published = self._new(priority)
            self.out.append(self.backlog.entry(published, None))
            self.model.hand_over()

        @precondition(lambda self: len(self.backlog))
        @rule()
        def pop(self) -> None:
            entry = self.backlog.pop()
            assert int(entry.message.routing_key) == self.model.pop()
            self.out.append(entry)

        @precondition(lambda self: self.out)
        @rule(data=st.data())
        def put_back(self, data: st.DataObject) -> None:
            entry = data.draw(st.sampled_from(self.out))
            self.out.remove(entry)
            self.backlog.put_back(entry)
            place = int(entry.message.routing_key)
            self.model.put_back(self.places[place], place)

        @invariant()
        def the_next_one_is_seen(self) -> None:
            size = len(list(self.backlog))
            assert len(self.backlog) == size
            head = self.backlog.peek()
            assert (head is None) == (size == 0)

        def teardown(self) -> None:
            while len(self.backlog):
                head = self.backlog.peek()
                entry = self.backlog.pop()
                assert head in (entry, entry.message)
                assert int(entry.message.routing_key) == self.model.pop()
            assert getattr(self.backlog, "property_bytes", 0) == 0

    return Machine


BACKLOGS: dict[str, tuple[Callable[[], Backlog], Callable[[], Model]]] = {
    "fifo": (FifoBacklog, lambda: Model(lambda _: 0)),
    "priority": (
        lambda: PriorityBacklog(5),
        lambda: Model(lambda priority: min(priority or 0, 5)),
    ),
    "quorum 3.10": (
        lambda: QuorumBacklog(1, strict=False),
        lambda: QuorumModel(lambda _: 0, strict=True),
    ),
    "quorum 4.0": (
        lambda: QuorumBacklog(2, strict=False),
        lambda: QuorumModel(lambda priority: int((priority or 0) > 4), strict=False),
    ),
    "quorum 4.3": (
        lambda: QuorumBacklog(32, strict=True),
        lambda: QuorumModel(
            lambda priority: 4 if priority is None else min(priority, 31), strict=True
        ),
    ),
}


@pytest.mark.parametrize("kind", list(BACKLOGS))
def test_the_order_is_that_of_a_plain_model(kind: str) -> None:
    run_state_machine_as_test(machine(*BACKLOGS[kind]), settings=trials(60))


@pytest.mark.parametrize("kind", list(BACKLOGS))
def test_iterating_changes_nothing_and_clearing_everything(kind: str) -> None:
    backlog = BACKLOGS[kind][0]()
    for priority in (5, 1, 9):
        backlog.append(message(f"{priority}", priority=priority), None)
    assert [each.message for each in backlog] == [each.message for each in backlog]
    backlog.clear()
    assert len(backlog) == 0
    assert backlog.peek() is None
    assert list(backlog) == []
