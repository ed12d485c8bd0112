"""When the attempts at a message are made, by a turned clock: exactly then."""

import pytest

from app.retry.work import Work, always
from hopmq.app.header_names import ATTEMPTS
from hopmq.app.retry import Constant, Exponential, Linear, Retry
from hopmq.testing import TurnedClock

ERROR_ = ValueError("no such customer")


@pytest.mark.parametrize(
    "backoff, when",
    [
        (Exponential(1, 60), [0, 1, 3, 7, 15]),
        (Exponential(0.125, 0.5), [0, 0.125, 0.375, 0.875, 1.375]),
        (Constant(3600.125), [0, 3600.125, 7200.25, 10_800.375, 14_400.5]),
        (Linear(10.625, 30), [0, 10.625, 31.875, 61.875, 91.875]),
        (Constant(0), [0, 0, 0, 0, 0]),
    ],
    ids=str,
)
async def test_attempts_are_made_at_the_declared_times(
    work: Work, clock: TurnedClock, backoff: Exponential | Constant | Linear, when: list[float]
) -> None:
    await work.fail(always(ERROR_), Retry(attempts=5, backoff=backoff))
    await work.publish()
    await clock.advance(20_000)
    assert work.when() == pytest.approx(when)
    assert [each.number for each in work.attempts] == [1, 2, 3, 4, 5]
    parked = await work.parked()
    assert [each.body for each in parked] == [b"work"]
    assert parked[0].headers[ATTEMPTS] == 5
