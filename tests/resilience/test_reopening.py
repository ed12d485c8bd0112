"""Pauses between the lives of a channel that makes the same mistake again."""

from typing import cast

from hopmq.client.channel import Channel
from hopmq.resilience.backoff import Exponential, GiveUpAfter
from hopmq.resilience.reopening import Reopening

STABLE_AFTER = 10.0


class NoChance:
    """Draws the upper bound."""

    def uniform(self, low: float, high: float) -> float:
        return high


class OneChannel:
    """Stands for a channel: all that counts is which one it is."""


def channel() -> Channel:
    return cast("Channel", OneChannel())


def growing() -> Exponential:
    return Exponential(1.0, 4.0, chance=NoChance())  # type: ignore[arg-type]


def test_the_first_time_it_is_opened_at_once() -> None:
    reopening, lost = Reopening(growing(), STABLE_AFTER), channel()
    assert reopening.is_due(lost, 0.0)
    assert reopening.lost(lost, 0.0)
    assert reopening.is_due(lost, 0.0)


def test_pauses_grow_while_it_does_not_last() -> None:
    reopening, lost, now = Reopening(growing(), STABLE_AFTER), channel(), 0.0
    for pause in (0.0, 1.0, 2.0, 4.0, 4.0):
        assert reopening.lost(lost, now)
        assert not pause or not reopening.is_due(lost, now + pause - 0.1)
        now += pause
        assert reopening.is_due(lost, now)
        reopening.opened(lost, now)


def test_one_that_has_lasted_starts_anew() -> None:
    reopening, lost = Reopening(growing(), STABLE_AFTER), channel()
    for _ in range(3):
        reopening.lost(lost, 0.0)
    reopening.opened(lost, 4.0)
    reopening.lost(lost, 4.0 + STABLE_AFTER)
    assert reopening.is_due(lost, 4.0 + STABLE_AFTER)


def test_one_that_was_not_opened_again_yet_does_not_start_anew() -> None:
    reopening, lost = Reopening(growing(), STABLE_AFTER), channel()
    reopening.lost(lost, 0.0)
    reopening.lost(lost, 100.0)
    assert not reopening.is_due(lost, 100.0)


def test_it_is_given_up_when_the_back_off_says_so() -> None:
    reopening, lost = Reopening(GiveUpAfter(growing(), attempts=2), STABLE_AFTER), channel()
    assert [reopening.lost(lost, 0.0) for _ in range(4)] == [True, True, True, False]


def test_each_channel_has_pauses_of_its_own() -> None:
    reopening, one, other = Reopening(growing(), STABLE_AFTER), channel(), channel()
    for _ in range(2):
        reopening.lost(one, 0.0)
    reopening.lost(other, 0.0)
    assert not reopening.is_due(one, 0.0)
    assert reopening.is_due(other, 0.0)
