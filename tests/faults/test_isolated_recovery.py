"""One entity that cannot be restored is its own trouble: everything else is back at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import hopmq
from conftest import RunningBroker
from hopmq import Channel, Connection, Exchange, Queue
from hopmq.errors import PreconditionFailedError, ResourceLockedError
from hopmq.events import (
    ConsumerLost,
    ConsumerRestored,
    EntityFailed,
    QueueRenamed,
)
from hopmq.resilience.policy import Recovery
from hopmq.testing import FaultProxy

from .links import becomes
from .work import Events, recovered

BACK_WITHIN = 30.0
"""Seconds until a connection with one URL in reach is back, on a loaded machine."""


@pytest.fixture
def events(connection: Connection) -> Events:
    """Return what happens to the connection from now on."""
    return Events(connection)


async def test_a_queue_redeclared_elsewhere_is_reported_and_the_rest_lives(
    connection: Connection, proxy: FaultProxy, other: Channel, events: Events, name: str
) -> None:
    bad, good = f"{name}-bad", f"{name}-good"
    async with connection.channel() as channel, connection.channel() as unrelated:
        await unrelated.declare_queue(good)
        await channel.declare_queue(bad, arguments={"x-max-length": 10})
        consumer = await channel.consume(bad)
        untouched = await unrelated.consume(good)
        with proxy.refuse_connections():
            proxy.disconnect(reset=True)
            await connection.wait_for("recovering", timeout=30)
            await other.delete_queue(bad)
            await other.declare_queue(bad)
        await connection.wait_for("open", timeout=BACK_WITHIN)
        await unrelated.publish(b"1", routing_key=good)
        assert (await anext(untouched)).ack()
        failure = await events.first(EntityFailed)
        assert isinstance(failure.error, PreconditionFailedError)
        assert isinstance(failure.entity, Queue)
        assert failure.entity.name == bad
        await unrelated.publish(b"2", routing_key=good)
        assert (await anext(untouched)).ack()
        await other.delete_queue(bad)
        async with asyncio.timeout(BACK_WITHIN):
            while not consumer.is_active:
                await asyncio.sleep(0.05)
        await other.publish(b"3", routing_key=bad)
        assert (await anext(consumer)).ack()
        assert len(events.all(EntityFailed)) == 1  # told once, however often it was tried
        for queue in (bad, good):
            await connection.delete_queue(queue)


async def test_a_queue_that_the_broker_named_has_a_new_name_and_what_hung_on_it_follows(
    connection: Connection, proxy: FaultProxy, other: Channel, events: Events, name: str
) -> None:
    await connection.declare_exchange(name, "topic")
    async with connection.channel() as channel:
        queue = (await channel.declare_queue(Queue.temporary())).name
        await channel.bind(queue, name, "a.*")
        consumer = await channel.consume(queue)
        for round_ in range(1, 4):
            await recovered(connection, proxy)
            renamed = events.all(QueueRenamed)
            assert len(renamed) == round_
            assert consumer.queue == renamed[-1].after != queue
            await other.publish(b"bound", exchange=name, routing_key="a.b", mandatory=True)
            assert (await anext(consumer)).ack()
        # The program may go on with the name that it was given.
        await channel.bind(queue, name, "b.*")
        await other.publish(b"bound", exchange=name, routing_key="b.a", mandatory=True)
        assert (await anext(consumer)).ack()
        await channel.unbind(queue, name, "a.*")
        # The last link's queue may have gone a moment after it.
        await becomes(False, lambda: is_routed(other, name, "a.b"))
        await recovered(connection, proxy)
        with pytest.raises(hopmq.PublishReturnedError):
            await other.publish(b"unbound", exchange=name, routing_key="a.b", mandatory=True)
        assert await channel.get(queue) is None
        await consumer.cancel()
        await channel.delete_queue(queue)
        await recovered(connection, proxy)
        assert len(events.all(QueueRenamed)) == 4
        with pytest.raises(hopmq.PublishReturnedError):
            await other.publish(b"unbound", exchange=name, routing_key="b.a", mandatory=True)
    await connection.delete_exchange(name)


async def is_routed(other: Channel, exchange: str, routing_key: str) -> bool:
    """Return whether a message finds a queue."""
    try:
        await other.publish(b"", exchange=exchange, routing_key=routing_key, mandatory=True)
    except hopmq.PublishReturnedError:
        return False
    return True


# --- exclusive queues of a connection that the broker has not given up yet ----------------------


@pytest.fixture
async def two_ways(broker: RunningBroker, proxy: FaultProxy) -> AsyncIterator[Connection]:
    """Return a connection by way of the proxy, which comes back without it."""
    urls = [proxy.url, broker.url]
    recovery = Recovery(shuffle=False)
    async with hopmq.connect(urls, name="two ways", recovery=recovery) as opened:
        yield opened


async def test_a_locked_queue_is_waited_for_and_nothing_else_waits(
    two_ways: Connection, proxy: FaultProxy, other: Channel, name: str
) -> None:
    connection, events = two_ways, Events(two_ways)
    good = f"{name}-good"
    await connection.declare_queue(good)
    async with connection.channel() as channel, connection.channel() as unrelated:
        await channel.declare_queue(Queue.temporary(name))
        unnamed = (await channel.declare_queue(Queue.temporary())).name
        locked = await channel.consume(name)
        renamed = await channel.consume(unnamed)
        untouched = await unrelated.consume(good)
        with proxy.black_hole(), proxy.refuse_connections():
            connection._session.link.abort()  # of which the broker hears nothing
            await connection.wait_for("recovering", timeout=30)
            await connection.wait_for("open", timeout=BACK_WITHIN)
            assert untouched.is_active
            for _ in range(2):  # one of them goes to the consumer that the broker believes alive
                await unrelated.publish(b"1", routing_key=good)
            assert (await anext(untouched)).ack()
            assert renamed.is_active
            assert renamed.queue != unnamed
            await other.publish(b"2", routing_key=renamed.queue)
            assert (await anext(renamed)).ack()
            failure = await events.first(EntityFailed)
            assert isinstance(failure.error, ResourceLockedError)
            assert not locked.is_active
            assert len(connection.channels()) == 2
        async with asyncio.timeout(BACK_WITHIN):
            while not locked.is_active:
                await asyncio.sleep(0.05)
        await other.publish(b"3", routing_key=name)
        assert (await anext(locked)).ack()
        assert len(events.all(EntityFailed)) == 1
        assert connection.counters.links == 2  # it was never connected anew for it
    await connection.delete_queue(good)


async def test_a_consumer_of_a_queue_that_is_gone_is_told_of_and_waited_for(
    connection: Connection, proxy: FaultProxy, other: Channel, events: Events, name: str
) -> None:
    await other.declare_queue(name)
    async with connection.channel() as channel, connection.channel() as unrelated:
        consumer = await channel.consume(name)
        with proxy.refuse_connections():
            proxy.disconnect(reset=True)
            await connection.wait_for("recovering", timeout=30)
            await other.delete_queue(name)
        await connection.wait_for("open", timeout=BACK_WITHIN)
        lost = await events.first(ConsumerLost)
        assert isinstance(lost.error, hopmq.NotFoundError)
        assert channel.is_open
        await unrelated.publish(b"nowhere", routing_key=name)
        await other.declare_queue(name)
        await events.first(ConsumerRestored)
        await other.publish(b"1", routing_key=name)
        assert (await anext(consumer)).ack()
    await other.delete_queue(name)


async def test_an_exchange_redeclared_elsewhere_is_reported_and_the_rest_lives(
    connection: Connection, proxy: FaultProxy, other: Channel, events: Events, name: str
) -> None:
    await connection.declare_exchange(name, "topic")
    await connection.declare_queue(name)
    await connection.bind(name, name, "#")
    async with connection.channel() as channel:
        consumer = await channel.consume(name)
        with proxy.refuse_connections():
            proxy.disconnect(reset=True)
            await connection.wait_for("recovering", timeout=30)
            await other.delete_exchange(name)
            await other.declare_exchange(name, "fanout")
        await connection.wait_for("open", timeout=BACK_WITHIN)
        failure = await events.first(EntityFailed)
        assert isinstance(failure.error, PreconditionFailedError)
        assert isinstance(failure.entity, Exchange)
        await channel.publish(b"1", routing_key=name)
        assert (await anext(consumer)).ack()
        await other.delete_exchange(name)
        async with asyncio.timeout(BACK_WITHIN):
            while connection._session.keeper._task is not None:  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
        await other.publish(b"2", exchange=name, routing_key="any", mandatory=True)
        assert (await anext(consumer)).ack()
        await connection.delete_queue(name)
    await connection.delete_exchange(name)
