"""By which means a queue delays: by itself where it can, and never so that the broker drops messages."""

import pytest

from app.retry.work import Work, always
from hopmq import PreconditionFailedError, Queue
from hopmq.app.header_names import ATTEMPTS, FIRST_FAILED
from hopmq.app.retry import Constant, Exponential, Linear, Retry
from hopmq.app.retry.native import queue_that_delays, release_of
from hopmq.broker.emulation import Release
from hopmq.resilience import Exponential as Jittered
from hopmq.testing import TurnedClock
from hopmq.typedefs import FieldTable

NOW = (4, 3, 6)
BEFORE = (4, 2, 9)
PLAIN = Queue.quorum("q")
FIVE = Retry(attempts=5, backoff=Constant(2))


@pytest.mark.parametrize(
    "backoff, shortest, longest",
    [(Constant(2), 2000, 2000), (Linear(0.5, 10), 500, 10_000), (Constant(0.001), 1, 1)],
    ids=str,
)
def test_a_queue_may_delay_by_itself(backoff: Constant, shortest: int, longest: int) -> None:
    queue = queue_that_delays(PLAIN, Retry(backoff=backoff), NOW)
    assert queue is not None
    assert (queue.name, queue.arguments) == (
        "q",
        {
            "x-queue-type": "quorum",
            "x-delayed-retry-type": "failed",
            "x-delayed-retry-min": shortest,
            "x-delayed-retry-max": longest,
        },
    )


@pytest.mark.parametrize(
    "queue, retry, release",
    [
        (PLAIN, FIVE, BEFORE),
        (PLAIN, FIVE, ()),
        (Queue.classic("q"), FIVE, NOW),
        (Queue("q"), FIVE, NOW),
        (PLAIN, Retry(backoff=Exponential(1, 60)), NOW),
        (PLAIN, Retry(backoff=Jittered(1, 60)), NOW),
        (PLAIN, Retry(backoff=Constant(0)), NOW),
        (PLAIN, Retry(attempts=1, backoff=Constant(2)), NOW),
        (PLAIN, Retry(attempts=21, backoff=Constant(2)), NOW),
        (PLAIN, Retry(backoff=Constant(2), at_once=1), NOW),
        (Queue.quorum("q", delivery_limit=4), FIVE, NOW),
        (Queue.quorum("q", arguments={"x-delayed-retry-type": "all"}), FIVE, NOW),
    ],
    ids=str,
)
def test_otherwise_the_ladder_delays(queue: Queue, retry: Retry, release: tuple[int, ...]) -> None:
    assert queue_that_delays(queue, retry, release) is None


@pytest.mark.parametrize("limit, attempts", [(20, 20), (-1, 1000), (5, 5)], ids=str)
def test_a_limit_that_is_high_enough_is_none(limit: int, attempts: int) -> None:
    queue = Queue.quorum("q", delivery_limit=limit)
    assert queue_that_delays(queue, Retry(attempts=attempts, backoff=Constant(2)), NOW)


@pytest.mark.parametrize(
    "said, release",
    [
        ({"product": "RabbitMQ", "version": "4.3.6"}, (4, 3, 6)),
        ({"product": "RabbitMQ", "version": "4.3.0-rc.2"}, (4, 3, 0)),
        ({"product": "RabbitMQ", "version": "3.10.8"}, (3, 10, 8)),
        ({"product": "HopMQ", "version": "9.9.9", "emulates": "4.0.5"}, (4, 0, 5)),
        ({"product": "LavinMQ", "version": "4.5.0"}, ()),
        ({}, ()),
    ],
    ids=str,
)
def test_who_the_broker_is(said: FieldTable, release: tuple[int, ...]) -> None:
    assert release_of(said) == release


async def test_the_newest_release_delays_by_itself(work: Work, release: Release) -> None:
    failures = await work.fail(always(ValueError()), FIVE)
    assert failures.is_native == (release == "4.3")


async def test_a_queue_that_exists_keeps_its_arguments(work: Work, clock: TurnedClock) -> None:
    await work.pool.declare_queue(work.queue)
    failures = await work.fail(always(ValueError()), FIVE)
    assert not failures.is_native
    await work.publish()
    await clock.advance(20)
    assert work.when() == [0, 2, 4, 6, 8]
    assert len(await work.parked()) == 1


async def test_another_retry_for_a_queue_that_delays(work: Work, clock: TurnedClock) -> None:
    await work.fail(always(ValueError()), FIVE)
    await work.stop()
    for retry in (
        Retry(attempts=3, backoff=Exponential(1, 60)),
        Retry(attempts=3, backoff=Linear(1, 2)),
    ):
        failures = await work.fail(always(ValueError()), retry)
        assert not failures.is_native
        work.attempts.clear()
        await work.publish()
        await clock.advance(20)
        assert work.when() == [0, 1, 3]
        assert len(await work.parked()) == 1
        await work.stop()


async def test_other_differences_are_told(work: Work) -> None:
    await work.pool.declare_queue(Queue.quorum(work.queue.name, max_length=7))
    with pytest.raises(PreconditionFailedError, match="max-length"):
        await work.fail(always(ValueError()), FIVE)


@pytest.mark.parametrize("limit, attempts", [(None, 30), (2, 5), (0, 3)])
async def test_the_broker_drops_nothing_at_its_limit(
    work: Work, clock: TurnedClock, limit: int | None, attempts: int
) -> None:
    work.queue = Queue.quorum(work.queue.name, delivery_limit=limit)
    await work.fail(always(ValueError()), Retry(attempts=attempts, backoff=Constant(1)))
    await work.publish()
    await clock.advance(40)
    assert [each.number for each in work.attempts] == list(range(1, attempts + 1))
    (parked,) = await work.parked()
    assert parked.headers[ATTEMPTS] == attempts


async def test_when_it_failed_first_is_left_out_where_nobody_knows(
    work: Work, clock: TurnedClock, release: Release
) -> None:
    for _ in range(2):
        await work.fail(always(ValueError()), Retry(attempts=2, backoff=Constant(5)))
        if not work.attempts:
            await work.publish()
        await clock.advance(1)
        await work.stop()
        await clock.advance(10)
    (parked,) = await work.parked()
    assert (FIRST_FAILED in parked.headers) == (release != "4.3")
