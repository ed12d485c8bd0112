"""One answer that a recovery never gets, or gets too late, costs nothing but itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hopmq import Channel, Connection
from hopmq.errors import RequestTimeoutError
from hopmq.events import ConsumerLost, ConsumerRestored, EntityFailed
from hopmq.testing import FaultProxy

from .ends import start, turns
from .links import (
    PATIENCE,
    back,
    becomes,
    bounce,
    consumers_of,
    drained,
    hurried,
    lose,
    quick,
    until,
)
from .promises import Promises
from .work import Events

SHORT = 0.15
"""Seconds that an answer may take."""

STALLS = {
    "topology channel": ("Channel.OpenOk", 1),
    "exchange": ("Exchange.DeclareOk", 1),
    "queue": ("Queue.DeclareOk", 1),
    "binding": ("Queue.BindOk", 1),
    "channel": ("Channel.OpenOk", 2),
    "prefetch": ("Basic.QosOk", 1),
    "confirms": ("Confirm.SelectOk", 1),
    "consumer": ("Basic.ConsumeOk", 1),
}
"""Answers that a recovery waits for, and which of them."""


@pytest.fixture
async def connection(proxy: FaultProxy) -> AsyncIterator[Connection]:
    """Return a connection; while it recovers, tests have it wait for no answer for long."""
    async with quick(proxy.url) as opened:
        yield opened


@pytest.fixture
async def queues(connection: Connection, other: Channel, name: str) -> AsyncIterator[list[str]]:
    """Return two queues that were declared and bound on the connection."""
    names = [f"{name}-{number}" for number in range(2)]
    await connection.declare_exchange(name, "topic")
    for queue in names:
        await connection.declare_queue(queue)
        await connection.bind(queue, name, queue)
    yield names
    for queue in names:
        await other.delete_queue(queue)
    await other.delete_exchange(name)


@pytest.mark.parametrize("lasts", [True, False], ids=["for long", "beyond the time-out"])
@pytest.mark.parametrize("stall", STALLS)
async def test_a_single_answer_that_stalls(
    connection: Connection,
    proxy: FaultProxy,
    other: Channel,
    queues: list[str],
    stall: str,
    lasts: bool,
) -> None:
    channels = [await connection.channel() for _ in queues]
    consumers = [
        await channel.consume(queue) for channel, queue in zip(channels, queues, strict=True)
    ]
    frame, nth = STALLS[stall]
    fault = proxy.stall(frame, nth=nth)
    with hurried(connection, SHORT):
        await lose(connection, proxy)
        await fault.happened()
        if not lasts:
            await asyncio.sleep(2 * SHORT)
            fault.cancel()
        await back(connection)
        if stall != "consumer":
            # It is asked again, elsewhere; what waits for a consume-ok waits for that one.
            await until(lambda: all(consumer.is_active for consumer in consumers))
        elif lasts:
            await until(lambda: any(consumer.is_active for consumer in consumers))
        fault.cancel()
        await until(lambda: all(consumer.is_active for consumer in consumers))
    for queue, consumer in zip(queues, consumers, strict=True):
        await becomes(1, lambda queue=queue: consumers_of(other, queue))
        await other.publish(b"on", exchange=other_exchange(queue), routing_key=queue)
        message = await anext(consumer)
        assert (message.body, bool(message.ack())) == (b"on", True)
    assert len(connection.channels()) == 2
    assert connection.counters.links == 2
    await bounce(connection, proxy)
    await until(lambda: all(consumer.is_active for consumer in consumers))


def other_exchange(queue: str) -> str:
    """Return the exchange that a queue is bound to."""
    return queue.rpartition("-")[0]


async def test_a_consume_ok_that_comes_late_counts(
    connection: Connection, proxy: FaultProxy, other: Channel, queues: list[str]
) -> None:
    events, promises = Events(connection), Promises()
    channel = await connection.channel()
    first = await channel.consume(queues[0])
    fault = proxy.stall("Basic.ConsumeOk")
    with hurried(connection, SHORT):
        await lose(connection, proxy)
        lost = await events.first(ConsumerLost)
    assert lost.consumer_tag == first.consumer_tag
    assert isinstance(lost.error, RequestTimeoutError)
    assert not first.is_active
    assert first.is_wanted
    reading = start(anext(first))
    await turns()
    fault.cancel()
    await promises.publish(channel, queues[0])
    assert (await reading).body == b"p 0"
    restored = await events.first(ConsumerRestored)
    assert restored.consumer_tag == first.consumer_tag
    await becomes(1, lambda: consumers_of(other, queues[0]))


async def test_a_consume_that_is_not_answered_holds_up_nothing_else(
    proxy: FaultProxy, name: str
) -> None:
    async with quick(proxy.url, request_timeout=60.0) as connection:
        await connection.declare_queue(name)
        channel = await connection.channel()
        consumer = await channel.consume(name)
        fault = proxy.stall("Basic.ConsumeOk")
        await lose(connection, proxy)
        await back(connection)
        async with asyncio.timeout(PATIENCE):
            await connection.delete_queue(f"{name}-other")
        assert not consumer.is_active
        fault.cancel()
        await until(lambda: consumer.is_active)
        await connection.delete_queue(name)


async def test_a_consume_that_is_never_answered_is_tried_again_on_another_channel(
    connection: Connection, proxy: FaultProxy, other: Channel, queues: list[str]
) -> None:
    events, promises = Events(connection), Promises()
    channel = await connection.channel()
    consumer = await channel.consume(queues[0])
    number = channel.number
    with proxy.stall("Basic.ConsumeOk"):
        with hurried(connection, SHORT):
            await lose(connection, proxy)
            await events.first(ConsumerLost)
            await events.first(ConsumerRestored)
        assert consumer.is_active
        assert channel.number != number
        await promises.publish(channel, queues[0])
        message = await anext(consumer)
        assert (message.body, bool(message.ack())) == (b"p 0", True)
    await becomes(1, lambda: consumers_of(other, queues[0]))


async def test_a_consumer_cancelled_before_its_late_consume_ok_is_gone(
    connection: Connection, proxy: FaultProxy, other: Channel, queues: list[str]
) -> None:
    events = Events(connection)
    channel = await connection.channel()
    consumer = await channel.consume(queues[0])
    fault = proxy.stall("Basic.ConsumeOk")
    with hurried(connection, SHORT):
        await lose(connection, proxy)
        await events.first(ConsumerLost)
    cancelling = start(consumer.cancel())
    await turns()
    await other.publish(b"1", routing_key=queues[0])
    fault.cancel()
    await cancelling
    await becomes(0, lambda: consumers_of(other, queues[0]))
    assert channel.consumers() == []
    await channel.flow(True)
    assert await drained(other, queues[0]) == [b"1"]


async def test_an_answer_that_stalls_is_told_once(
    connection: Connection, proxy: FaultProxy, queues: list[str]
) -> None:
    events = Events(connection)
    with proxy.stall("Queue.DeclareOk", times=3), hurried(connection, SHORT):
        await lose(connection, proxy)
        await back(connection)
        failed = await events.first(EntityFailed)
        assert isinstance(failed.error, RequestTimeoutError)
    await until(lambda: connection.counters.entities_failed >= 1)
    # Both queues were behind the one answer.
    assert {getattr(each.entity, "name", "") for each in events.all(EntityFailed)} <= set(queues)
