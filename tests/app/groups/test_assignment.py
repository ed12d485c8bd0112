"""Who has which partition: equal shares, the same for all, few that move."""

import pytest
from hypothesis import given, strategies as st

from hopmq.app.groups.assignment import assign
from hopmq.app.groups.roster import Roster

MEMBERS = st.sets(st.text(min_size=1, max_size=4), min_size=1, max_size=12)


@given(members=MEMBERS, partitions=st.integers(1, 40))
def test_shares_differ_by_one_at_most(members: set[str], partitions: int) -> None:
    owners = assign(members, partitions)
    assert len(owners) == partitions
    counts = [owners.count(member) for member in members]
    assert max(counts) - min(counts) <= 1


@given(members=st.lists(st.text(min_size=1), min_size=1, unique=True), partitions=st.integers(1, 9))
def test_it_does_not_matter_in_which_order_members_are_known(
    members: list[str], partitions: int
) -> None:
    assert assign(members, partitions) == assign(members[::-1], partitions)


def test_every_process_comes_to_the_same() -> None:
    """Members of different releases have to agree: this must not change."""
    assert assign(["a", "b", "c"], 8) == ("b", "b", "c", "c", "a", "a", "a", "b")


def test_few_partitions_move_when_a_member_leaves() -> None:
    members = [f"member {number}" for number in range(8)]
    before = assign(members, 64)
    moved = 0
    for member in members:
        after = assign([each for each in members if each != member], 64)
        moved += sum(new != old != member for new, old in zip(after, before, strict=True))
    assert moved / len(members) < 16, "beside the eight that have to"


# --- who is there --------------------------------------------------------------------------------


def test_one_that_has_heard_of_nobody_has_everything() -> None:
    roster = Roster("me", 4, 5.0)
    assert roster.members == {"me"}
    assert roster.assigned == {0, 1, 2, 3}


def test_members_that_are_heard_of_have_their_share() -> None:
    roster = Roster("me", 4, 5.0)
    assert roster.heard("other", 0.0)
    assert not roster.heard("other", 1.0), "no news"
    assert len(roster.assigned) == 2
    assert roster.members == {"me", "other"}
    assert roster.owners == assign(["me", "other"], 4)


def test_hearing_oneself_is_no_news() -> None:
    roster = Roster("me", 4, 5.0)
    assert not roster.heard("me", 0.0)
    assert not roster.left("me")
    assert roster.members == {"me"}


def test_one_that_leaves_leaves_its_share() -> None:
    roster = Roster("me", 4, 5.0)
    roster.heard("other", 0.0)
    assert roster.left("other")
    assert not roster.left("other")
    assert roster.assigned == {0, 1, 2, 3}


def test_one_that_is_silent_for_three_heartbeats_and_a_half_is_gone() -> None:
    roster = Roster("me", 4, 2.0)
    roster.heard("other", 10.0)
    roster.heard("third", 11.0)
    assert not roster.expire(17.0)
    assert roster.expire(17.1)
    assert roster.members == {"me", "third"}


@pytest.mark.parametrize("now, is_there", [(13.0, True), (13.1, False)])
def test_one_that_was_not_heard_of_lately_may_be_dead(now: float, is_there: bool) -> None:
    roster = Roster("me", 4, 2.0)
    roster.heard("other", 10.0)
    assert roster.is_there("other", now) is is_there
    assert not roster.is_there("stranger", now)
