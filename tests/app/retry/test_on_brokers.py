"""Attempts on every broker: as many as declared, not before their time, by any replica; then parked."""

import asyncio
import contextlib
import itertools

import pytest

import hopmq
from app.retry.work import GRAIN, Work, always
from hopmq import Message, Pool, PublishNackedError, Queue
from hopmq.app import App, ConsumeContext, Parking, Retry
from hopmq.app.header_names import ATTEMPTS, ERROR, QUEUE, REASON
from hopmq.app.retry import Constant, Exponential, Linear
from hopmq.resilience import Backoff


@pytest.mark.parametrize(
    "backoff", [Exponential(0.125, 60), Linear(0.25, 0.5), Constant(0.25)], ids=str
)
async def test_replicas_make_the_declared_attempts(
    real_work: Work, amqp_url: str, version: tuple[int, ...], backoff: Backoff
) -> None:
    bodies = [b"%d" % number for number in range(30)]
    retry = Retry(attempts=4, backoff=backoff)
    async with Pool(amqp_url) as other:
        for pool in (real_work.pool, other):
            failures = await real_work.fail(always(ValueError("closed")), retry, pool=pool)
            native = version >= (4, 3) and not isinstance(backoff, Exponential)
            assert failures.is_native == native
        for body in bodies:
            await real_work.publish(body)
        await real_work.until(4 * len(bodies))
        await real_work.stop()
    for body in bodies:
        noted = [each for each in real_work.attempts if each.body == body]
        made = sorted(noted, key=lambda each: each.at)  # they are noted when they are settled
        assert [each.number for each in made] == [1, 2, 3, 4]
        waits = [after.at - before.at for before, after in itertools.pairwise(made)]
        for waits_done, waited in enumerate(waits):
            delay = backoff.delay(waits_done)
            assert delay is not None
            assert waited >= delay - GRAIN
    parked = await real_work.parked()
    assert sorted(each.body for each in parked) == sorted(bodies)
    for each in parked:
        assert each.headers[ATTEMPTS] == 4
        assert (each.headers[ERROR], each.headers[REASON]) == ("ValueError", "closed")
        assert each.headers[QUEUE] == real_work.queue.name
    assert await real_work.pool.purge(real_work.queue) == 0


@pytest.mark.parametrize("limit", [None, 3])
async def test_what_its_workers_die_of_is_parked_before_the_broker_drops_it(
    amqp_url: str, pool: Pool, name: str, version: tuple[int, ...], limit: int | None
) -> None:
    queue = Queue.quorum(name, delivery_limit=limit)
    await pool.declare_queue(queue)
    await pool.publish(b"poison", routing_key=name)
    for _ in range(limit or 20):
        dies = await hopmq.connect(amqp_url)
        consumer = await (await dies.channel()).consume(name)
        await anext(consumer)
        await dies.close()
    app = App(amqp_url)
    handled = []

    @app.consumer(queue, retry=Retry(attempts=5))
    async def handle(message: Message, context: ConsumeContext) -> None:
        handled.append(message.body)
        assert context.attempt == 1

    parking = Parking(pool, name)
    async with app:
        while not handled and not await parking.count():
            await asyncio.sleep(0.01)
        parked = await parking.list()
    has_limit = limit is not None or version >= (4, 0)
    assert handled == ([] if has_limit else [b"poison"])
    errors = [each.error for each in parked]
    assert errors == (["hopmq.app.errors.DeliveryLimitError"] if has_limit else [])
    for each in (name, f"{name}.parked"):
        await pool.delete_queue(each)


async def test_a_full_queue_holds_up_retries_of_no_other(
    real_work: Work, pool: Pool, name: str
) -> None:
    full = Queue.quorum(f"{name}-full", max_length=1, overflow="reject-publish")
    async with Work(pool, real_work.clock, full.name) as work:
        work.queue = full
        retry = Retry(attempts=2, backoff=Exponential(0.25, 1))
        await work.fail(always(ValueError()), retry, concurrency=50)
        for number in range(50):
            await work.publish(b"%d" % number)
        await work.until(50)
        await work.stop()
        for _ in range(5):
            with contextlib.suppress(PublishNackedError):
                await work.publish(b"more")  # nobody takes them: the queue is full
        await real_work.fail(always(ValueError()), retry)
        for _ in range(5):
            await real_work.publish()
        await real_work.until(10)
        assert len(await real_work.parked()) == 5
        await work.delete()
        await pool.delete_queue(f"hopmq.due.in.{full.name}")
