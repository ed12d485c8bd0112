"""Waits between attempts: their bounds, their jitter, their end."""

from random import Random

import pytest

from hopmq.errors import UsageError
from hopmq.resilience.backoff import Backoff, Constant, Exponential, GiveUpAfter


def delays(backoff: Backoff, attempt: int, draws: int = 1_000) -> list[float]:
    """Return many waits after the same number of failures."""
    drawn = [backoff.delay(attempt) for _ in range(draws)]
    return [each for each in drawn if each is not None]


@pytest.mark.parametrize(
    "attempt, bound", [(0, 0.25), (1, 0.5), (2, 1.0), (5, 8.0), (6, 15.0), (7, 15.0)]
)
def test_a_wait_lies_evenly_between_nothing_and_its_bound(attempt: int, bound: float) -> None:
    drawn = delays(Exponential(chance=Random(1)), attempt)
    assert all(0 <= each <= bound for each in drawn)
    assert min(drawn) < bound * 0.02
    assert max(drawn) > bound * 0.98
    assert sum(drawn) / len(drawn) == pytest.approx(bound / 2, rel=0.1)


@pytest.mark.parametrize("factor", [1, 2, 2.0, 1e300])
@pytest.mark.parametrize("attempt", [10_000, 10**9])
def test_no_number_of_failures_is_too_high(attempt: int, factor: float) -> None:
    backoff = Exponential(0.25, 15.0, factor, chance=Random(1))
    assert all(each <= 15.0 for each in delays(backoff, attempt, 10))


def test_chance_is_an_argument() -> None:
    one, other = (Exponential(chance=Random(5)) for _ in range(2))
    assert delays(one, 3) == delays(other, 3)
    assert one == other


def test_clients_do_not_wait_alike() -> None:
    assert Exponential().delay(6) != Exponential().delay(6)


@pytest.mark.parametrize(
    "first, cap, factor",
    [(0, 1, 2), (-1, 1, 2), (2, 1, 2), (1, float("inf"), 2), (1, 2, 0.5), (float("nan"), 1, 2)],
)
def test_an_exponential_wait_needs_bounds_that_grow(
    first: float, cap: float, factor: float
) -> None:
    with pytest.raises(UsageError, match="first <= cap"):
        Exponential(first, cap, factor)


def test_a_constant_wait_never_changes() -> None:
    assert {Constant(2.5).delay(attempt) for attempt in (0, 1, 10_000)} == {2.5}


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_constant_wait_has_a_length(seconds: float) -> None:
    with pytest.raises(UsageError, match="0 or more"):
        Constant(seconds)


def test_so_many_attempts_are_made() -> None:
    backoff = GiveUpAfter(Constant(1), attempts=3)
    assert [backoff.delay(attempt) for attempt in range(5)] == [1, 1, 1, None, None]


def test_the_last_attempt_is_made_when_the_time_is_up() -> None:
    backoff = GiveUpAfter(Constant(10), seconds=25)
    assert [backoff.delay(3, elapsed) for elapsed in (0, 15, 20, 24.5, 25, 26)] == [
        *(10, 10, 5, 0.5),
        *(None, None),
    ]


def test_whichever_bound_is_reached_first_ends_the_attempts() -> None:
    backoff = GiveUpAfter(Constant(10), attempts=2, seconds=25)
    assert backoff.delay(2, 0) is None
    assert backoff.delay(1, 25) is None
    assert backoff.delay(1, 24) == 1


def test_bounds_may_stand_within_bounds() -> None:
    backoff = GiveUpAfter(GiveUpAfter(Constant(1), attempts=1), seconds=5)
    assert [backoff.delay(0), backoff.delay(1)] == [1, None]


@pytest.mark.parametrize("bounds", [{}, {"attempts": -1}, {"seconds": -0.5, "attempts": 2}])
def test_giving_up_needs_a_bound(bounds: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="attempts or seconds is due"):
        GiveUpAfter(Constant(1), **bounds)
