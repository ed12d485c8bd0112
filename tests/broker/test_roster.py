"""Who gets the next message: priorities, fairness, and one active consumer at a time."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hopmq.broker.consumer import Consumer
from hopmq.broker.queues.roster import Roster
from trials import trials


@dataclass(eq=False)
class Taker:
    """A consumer with room for some messages."""

    priority: int
    room: int
    parked: bool = False
    outstanding: int = 0
    given: list[int] = field(default_factory=list)

    def has_room(self) -> bool:
        """Return whether it may have another."""
        return self.outstanding < self.room


def add(roster: Roster, taker: Taker) -> Taker:
    """Let a taker take part."""
    roster.add(cast("Consumer", taker))
    return taker


def take(roster: Roster) -> Taker | None:
    """Give a message to whoever is next."""
    taker = cast("Taker | None", roster.next())
    if taker is not None:
        taker.outstanding += 1
    return taker


def settle(roster: Roster, taker: Taker) -> None:
    """Settle one message, as consumers do."""
    taker.outstanding -= 1
    if taker.parked:
        roster.unpark(cast("Consumer", taker))


class Fairness(RuleBasedStateMachine):
    """Among those of the highest priority that have room, nobody is served twice in a row.

    More exactly: between two messages for one, everybody else of its priority who had room all
    the while has had one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster(single=False)
        self.takers: list[Taker] = []
        self.waited: dict[Taker, set[Taker]] = {}

    @rule(priority=st.integers(-1, 1), room=st.integers(0, 3))
    def join(self, priority: int, room: int) -> None:
        taker = add(self.roster, Taker(priority, room))
        self.takers.append(taker)
        self.waited[taker] = set()

    @precondition(lambda self: self.takers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        taker = data.draw(st.sampled_from(self.takers))
        self.takers.remove(taker)
        self.roster.remove(cast("Consumer", taker))

    @rule()
    def next(self) -> None:
        able = [taker for taker in self.takers if taker.has_room()]
        chosen = take(self.roster)
        if not able:
            assert chosen is None
            return
        assert chosen in able
        assert chosen is not None
        assert chosen.priority == max(taker.priority for taker in able)
        for other in able:
            if other is not chosen and other.priority == chosen.priority:
                # `chosen` may pass `other` once, not twice.
                assert chosen not in self.waited[other]
                self.waited[other].add(chosen)
        self.waited[chosen] = set()

    @precondition(lambda self: any(taker.outstanding for taker in self.takers))
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        taker = data.draw(st.sampled_from([each for each in self.takers if each.outstanding]))
        had_room = taker.has_room()
        settle(self.roster, taker)
        if not had_room:
            self.waited[taker] = set()
            for waited in self.waited.values():
                waited.discard(taker)


def test_the_highest_who_can_are_served_in_turn() -> None:
    run_state_machine_as_test(Fairness, settings=trials(100))


def test_equals_take_turns() -> None:
    roster = Roster(single=False)
    takers = [add(roster, Taker(0, 10)) for _ in range(3)]
    assert [take(roster) for _ in range(6)] == takers * 2


def test_a_lower_priority_is_served_when_the_higher_is_full() -> None:
    roster = Roster(single=False)
    low, high = add(roster, Taker(0, 9)), add(roster, Taker(1, 2))
    assert [take(roster) for _ in range(3)] == [high, high, low]
    settle(roster, high)
    assert take(roster) is high


def test_a_full_one_costs_nothing_to_pass() -> None:
    roster = Roster(single=False)
    for _ in range(1000):
        add(roster, Taker(0, 0))
    free = add(roster, Taker(0, 1000))
    take(roster)
    asked: list[Taker] = []
    for taker in cast("list[Taker]", list(roster)):
        if taker is not free:
            taker.has_room = lambda taker=taker: asked.append(taker)  # type: ignore[method-assign,assignment,misc]
    assert [take(roster) for _ in range(3)] == [free] * 3
    assert asked == []


# --- one at a time -----------------------------------------------------------------------------


def test_the_active_one_is_served_alone_until_it_leaves() -> None:
    roster = Roster(single=True)
    first, second = add(roster, Taker(0, 1)), add(roster, Taker(0, 1))
    assert take(roster) is first
    assert take(roster) is None
    roster.remove(cast("Consumer", first))
    assert take(roster) is second


@pytest.mark.parametrize("by_priority", [True, False])
def test_the_next_is_the_highest_or_the_first(by_priority: bool) -> None:
    roster = Roster(single=True, by_priority=by_priority)
    active, low, high = (add(roster, Taker(priority, 1)) for priority in (9, 0, 5))
    roster.remove(cast("Consumer", active))
    assert take(roster) is (high if by_priority else low)


def test_a_higher_one_waits_until_the_active_one_has_settled() -> None:
    roster = Roster(single=True, rising=True)
    low = add(roster, Taker(0, 5))
    assert [take(roster) for _ in range(2)] == [low, low]
    high = add(roster, Taker(1, 5))
    for _ in range(2):
        assert take(roster) is None
        settle(roster, low)
    assert take(roster) is high
    roster.remove(cast("Consumer", high))
    assert take(roster) is low


def test_without_rising_a_higher_one_waits_for_its_turn() -> None:
    roster = Roster(single=True)
    low = add(roster, Taker(0, 5))
    add(roster, Taker(1, 5))
    assert [take(roster) for _ in range(2)] == [low, low]
