"""What the numbers of a connection are judged to mean."""

from math import inf
from typing import Any

import pytest

from hopmq.client.health import Health, HealthLimits
from hopmq.errors import UsageError


def health(**numbers: Any) -> Health:
    return Health(**{"state": "open", "connected": True, **numbers})


def test_a_connection_without_trouble_is_ready_and_live() -> None:
    fine = health(wanted_consumers=2, live_consumers=2, oldest_unconfirmed=30.0, loop_lag=1.0)
    assert (fine.ready, fine.live, fine.reasons) == (True, True, ())


@pytest.mark.parametrize(
    "numbers, reason",
    [
        ({"connected": False, "state": "recovering"}, "the connection is recovering"),
        ({"blocked": "low on memory"}, "the broker takes no publishes: low on memory"),
        ({"wanted_consumers": 3, "live_consumers": 1}, "2 of 3 consumers are missing"),
        (
            {"oldest_unconfirmed": 30.1},
            "the oldest publish has waited for its confirm for 30.1 seconds, more than 30",
        ),
        ({"loop_lag": 1.6}, "the event loop is 1.6 seconds late, more than 1"),
    ],
)
def test_each_trouble_is_a_reason_not_to_be_ready_and_none_to_start_anew(
    numbers: dict[str, Any], reason: str
) -> None:
    troubled = health(**numbers)
    assert troubled.reasons == (reason,)
    assert not troubled.ready
    assert troubled.live


def test_every_trouble_is_named() -> None:
    troubled = health(blocked="low on disk", wanted_consumers=1, loop_lag=2.0)
    assert len(troubled.reasons) == 3


def test_who_consumes_alone_may_stay_ready_while_publishing_is_blocked() -> None:
    assert health(blocked="low on disk", limits=HealthLimits(blocked=False)).ready


def test_a_connection_that_has_ended_for_good_is_neither_ready_nor_live() -> None:
    ended = health(connected=False, state="closed")
    assert not ended.live
    assert ended.reasons == ("the connection is closed",)


@pytest.mark.parametrize("seconds, live", [(60.0, True), (60.1, False)])
def test_a_recovery_is_given_as_long_as_the_limit_says(seconds: float, live: bool) -> None:
    limits = HealthLimits(recovering=60.0)
    lost = {"connected": False, "state": "recovering", "disconnected_for": seconds}
    assert health(**lost, limits=limits).live is live
    assert health(**lost).live


@pytest.mark.parametrize("name", ["unconfirmed", "lag", "recovering"])
@pytest.mark.parametrize("wrong", [-1, float("nan"), "1", None])
def test_a_limit_that_cannot_be_meant_is_refused(name: str, wrong: object) -> None:
    with pytest.raises(UsageError, match=name):
        HealthLimits(**{name: wrong})  # type: ignore[arg-type]


def test_a_limit_may_be_endless() -> None:
    limits = HealthLimits(unconfirmed=inf, lag=inf)
    assert health(oldest_unconfirmed=1e9, loop_lag=1e9, limits=limits).ready
