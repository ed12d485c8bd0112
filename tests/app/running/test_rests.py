"""Nobody waits for an attempt that is not made any more: a drain gives back what rests in its place."""

import asyncio

import pytest

from hopmq import Connection, Exchange, Queue
from hopmq.app import App, Batch, Group, Retry
from hopmq.resilience import Constant

MUCH_LATER = Retry(attempts=3, backoff=Constant(3600))


class Failing:
    """A handler that fails when it may."""

    def __init__(self) -> None:
        self.handled: list[bytes] = []
        self.begun = asyncio.Event()
        self.may_fail = asyncio.Event()
        self.has_failed = asyncio.Event()

    async def one(self, body: bytes) -> None:
        await self.many([body])

    async def many(self, bodies: list[bytes]) -> None:
        self.handled += bodies
        self.begun.set()
        await self.may_fail.wait()
        self.has_failed.set()
        raise ValueError


@pytest.fixture
def failing() -> Failing:
    """Return a handler."""
    return Failing()


async def count_of(connection: Connection, queue: str, due: int) -> int:
    """Return how many messages a queue has, once there are as many as are due."""
    async with asyncio.timeout(20):
        while True:
            count = (await connection.declare_queue(queue, passive=True)).message_count
            if count >= due:
                return count
            await asyncio.sleep(0)


async def until_ended(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """Have it end, and see that there was nothing to wait for in vain."""
    await app.drain(5)
    assert "cut off" not in caplog.text


@pytest.mark.parametrize("fails", ["before the drain", "in the drain"])
async def test_a_message_that_rests_goes_back_and_none_of_its_key_overtakes(
    fails: str,
    amqp_url: str,
    cleaned: str,
    failing: Failing,
    other: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App(amqp_url)
    app.consumer(cleaned, order_by="routing_key", concurrency=2, retry=MUCH_LATER)(failing.one)
    await app.start()
    for body in (b"1", b"2"):
        await app.publish(body, routing_key=cleaned)
    await failing.begun.wait()
    if fails == "before the drain":
        failing.may_fail.set()
        await failing.has_failed.wait()
    ending = asyncio.create_task(until_ended(app, caplog))
    while (await other.declare_queue(cleaned, passive=True)).consumer_count:
        await asyncio.sleep(0)
    failing.may_fail.set()
    await ending
    assert failing.handled == [b"1"]
    assert await count_of(other, cleaned, 2) == 2


async def test_what_a_member_rests_with_goes_back_to_its_partition(
    amqp_url: str,
    name: str,
    failing: Failing,
    other: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group("billing", partitions=1, hashed_by="publisher")
    [queue] = group.partition_names(name)
    app = App(amqp_url)
    app.consumer(exchange=Exchange.topic(name), group=group, retry=MUCH_LATER)(failing.one)
    failing.may_fail.set()
    await app.start()
    try:
        for body in (b"1", b"2"):
            await app.publish(
                body, exchange=group.exchange_name(name), routing_key=group.routing_key("a")
            )
        await failing.has_failed.wait()
        await until_ended(app, caplog)
        assert failing.handled == [b"1"]
        assert await count_of(other, queue, 2) == 2
    finally:
        await other.delete_queue(queue)


async def test_a_batch_that_rests_is_not_waited_for(
    amqp_url: str, cleaned: str, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(amqp_url)
    app.consumer(Queue.stream(cleaned), batch=Batch(1), retry=MUCH_LATER)(failing.many)
    failing.may_fail.set()
    await app.start()
    for body in (b"1", b"2"):
        await app.publish(body, routing_key=cleaned)
    await failing.has_failed.wait()
    await until_ended(app, caplog)
    assert failing.handled == [b"1"]
