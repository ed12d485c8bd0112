"""Messages that are put off without having been tried."""

import pytest

from app.retry.work import Work
from hopmq import UsageError
from hopmq.app.header_names import ATTEMPTS, FIRST_FAILED
from hopmq.app.retry import Constant, Postpone, Retry
from hopmq.client.message import Message
from hopmq.testing import TurnedClock


async def test_what_is_put_off_comes_again_and_counts_as_no_attempt(
    work: Work, clock: TurnedClock
) -> None:
    wanted: list[BaseException | None] = [Postpone(10), ValueError(), Postpone(10), None]
    await work.fail(
        lambda message, attempt: wanted[len(work.attempts)],
        Retry(attempts=2, backoff=Constant(1)),
    )
    await work.publish(message_id="m")
    await clock.advance(100)
    assert work.when() == pytest.approx([0, 10, 11, 21])
    assert [each.number for each in work.attempts] == [1, 1, 2, 2]
    assert ATTEMPTS not in work.attempts[1].message.headers
    assert work.attempts[3].message.headers[ATTEMPTS] == 1
    assert FIRST_FAILED in work.attempts[3].message.headers
    assert await work.parked() == []


async def test_what_is_put_off_for_ever_is_not_parked(work: Work, clock: TurnedClock) -> None:
    def put_off(message: Message, attempt: int) -> BaseException:
        return Postpone(1, "not yet")

    await work.fail(put_off, None)
    await work.publish()
    await clock.advance(30.5)
    assert len(work.attempts) == 31
    assert await work.parked() == []


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_nothing_is_put_off_for_ever(seconds: float) -> None:
    with pytest.raises(UsageError):
        Postpone(seconds)
