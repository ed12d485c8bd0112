"""Consumers of a pool: on channels of their own, apart from publishers."""

import asyncio

import pytest

import hopmq
from client.proxy import Proxy
from client.waiting import ready, until, until_ready
from hopmq import (
    Connection,
    ConnectionLostError,
    Message,
    NotFoundError,
    Pool,
    Queue,
    ResourceLockedError,
    UsageError,
)
from hopmq.broker import Broker
from hopmq.testing import Faults

from .conftest import QUICKLY, opened


async def until_given_back(pool: Pool) -> None:
    async def is_so() -> bool:
        statistics = pool.statistics()
        return statistics.consumers == 0 and statistics.consuming.lent == 0

    await until(is_so)


async def test_messages_arrive(pool: Pool, queue: str) -> None:
    await pool.publish_many([b"1", b"2"], routing_key=queue)
    async with pool.consume(queue) as consumer:
        first, second = await anext(consumer), await anext(consumer)
        assert (first.body, second.body) == (b"1", b"2")
        first.ack()
        second.ack()
        assert pool.statistics().consumers == 1
    await until_given_back(pool)
    assert pool.statistics().consuming.idle == 1


async def test_publishing_and_consuming_have_connections_of_their_own(
    pool: Pool, queue: str
) -> None:
    async with pool.consume(queue):
        statistics = pool.statistics()
        assert statistics.publishing.connections == 1
        assert statistics.consuming.connections == 1
        assert statistics.consuming.lent == 1


async def test_an_alarm_holds_back_publishers_and_no_ack(name: str) -> None:
    async with Broker() as broker, opened(broker.url) as pool:
        await pool.declare_queue(name)
        await pool.publish(b"", routing_key=name)
        async with pool.consume(name) as consumer:
            message = await anext(consumer)
            alarm = Faults(broker).on(connection="*publishing*").block("low on memory")
            await until(lambda: is_blocked(pool))
            held = asyncio.create_task(pool.publish(b"held", routing_key=name))
            await asyncio.sleep(0)
            message.ack()
        await until_given_back(pool)
        assert (await pool.declare_queue(name, passive=True)).message_count == 0
        assert not held.done()
        # Another channel would be blocked as well: none was opened, nor asked for.
        assert len(pool._engine.publishing.sizing.books.channels) == 1
        alarm.cancel()
        assert (await held).confirmed


async def is_blocked(pool: Pool) -> bool:
    return all(each.is_blocked for each in pool._engine.publishing.connections.values())


async def test_each_consumer_has_a_channel_of_its_own(pool: Pool, queue: str) -> None:
    async with (
        pool.consume(queue, prefetch=1) as first,
        pool.consume(queue, prefetch=1) as second,
    ):
        await pool.publish_many([b"", b"", b""], routing_key=queue)
        messages = [await anext(first), await anext(second)]
        assert pool.statistics().consuming.lent == 2
        for message in messages:
            message.ack()


async def test_consumers_are_spread_over_connections(amqp_url: str, queue: str) -> None:
    bounds = {"max_connections": 2, "channels_per_connection": 2}
    async with opened(amqp_url, **bounds) as pool:
        consumers = [await pool.consume(queue) for _ in range(4)]
        assert pool.statistics().consuming.connections == 2
        with pytest.raises(hopmq.errors.PoolTimeoutError, match="for consuming"):
            await pool.consume(queue, timeout=0.05)
        await consumers[0].cancel()
        await pool.consume(queue)


async def test_the_channel_stays_until_its_messages_are_settled(
    pool: Pool, other: Connection, queue: str
) -> None:
    await pool.publish(b"", routing_key=queue)
    consumer = await pool.consume(queue)
    message = await anext(consumer)
    await consumer.cancel()
    assert pool.statistics().consuming.lent == 1
    assert message.ack()
    await until_given_back(pool)
    assert await ready(other, queue) == 0


async def test_a_handler_that_works_on_keeps_its_channel(pool: Pool, queue: str) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        has_begun.set()
        await may_end.wait()
        assert message.ack()

    consumer = await pool.consume(queue, handler=handle, concurrency=2)
    await pool.publish(b"", routing_key=queue)
    await has_begun.wait()
    cancelling = asyncio.create_task(consumer.cancel())
    await asyncio.sleep(0)
    may_end.set()
    await cancelling
    await until_given_back(pool)


async def test_a_missing_queue_costs_no_more_than_its_channel(pool: Pool, queue: str) -> None:
    with pytest.raises(NotFoundError):
        await pool.consume(f"not {queue}")
    async with pool.consume(queue):
        assert pool.statistics().consumers == 1
    await until_given_back(pool)


async def test_a_cancelled_start_leaves_no_consumer(
    proxy: Proxy, other: Connection, queue: str
) -> None:
    async with opened(proxy.url) as pool:
        async with pool.consume(queue):
            pass
        await until_given_back(pool)
        proxy.answers.hold()
        starting = asyncio.create_task(_start(pool, queue))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        proxy.answers.release()

        async def nobody_consumes() -> bool:
            return (await other.declare_queue(queue, passive=True)).consumer_count == 0

        await until(nobody_consumes)
        await until_given_back(pool)


async def _start(pool: Pool, queue: str) -> None:
    await pool.consume(queue)


async def test_an_exclusive_queue_is_consumed_where_it_was_declared(amqp_url: str) -> None:
    async with opened(amqp_url, channels_per_connection=3, max_connections=3) as pool:
        mine = (await pool.declare_queue(Queue.temporary())).name
        filler = (await pool.declare_queue(Queue.temporary())).name
        others = [await pool.consume(filler) for _ in range(2)]
        async with pool.consume(mine) as consumer:
            await pool.publish(b"for me", routing_key=mine)
            message = await anext(consumer)
            assert message.body == b"for me"
            message.ack()
        for other in others:
            await other.cancel()
        await pool.delete_queue(mine)
        assert pool._home_of(mine) is None


async def test_topology_is_declared_bound_and_deleted(
    pool: Pool, other: Connection, name: str
) -> None:
    exchange, source = f"{name}-e", f"{name}-s"
    await pool.declare(Queue(name), hopmq.Exchange(exchange, "fanout"))
    await pool.declare_exchange(source, "fanout")
    await pool.bind(name, exchange)
    await pool.bind_exchange(exchange, source)
    await pool.publish(b"", exchange=source)
    await until_ready(other, name, 1)
    assert await pool.purge(name) == 1
    await pool.unbind_exchange(exchange, source)
    await pool.unbind(name, exchange)
    await pool.publish(b"", exchange=exchange)
    assert await pool.delete_queue(name) == 0
    await pool.delete_exchange(exchange)
    await pool.delete_exchange(source)
    with pytest.raises(NotFoundError):
        await pool.declare_queue(name, passive=True)


async def test_wrong_calls_are_refused_at_once(pool: Pool) -> None:
    with pytest.raises(UsageError):
        pool.consume("q", prefetch=-1)
    with pytest.raises(UsageError):
        pool.consume("q", concurrency=0)
    with pytest.raises(UsageError):
        pool.channel(prefetch=100_000)
    with pytest.raises(UsageError):
        pool.channel(timeout=0)


# --- links that end --------------------------------------------------------------------------------


async def test_a_consumer_outlives_its_link(proxy: Proxy, queue: str) -> None:
    async with opened(proxy.url, recovery=QUICKLY) as pool:
        async with pool.consume(queue) as consumer:
            await pool.publish(b"1", routing_key=queue)
            (await anext(consumer)).ack()
            proxy.cut()
            await until(lambda: has_recovered(pool))
            await pool.publish(b"2", routing_key=queue)
            message = await anext(consumer)
            while message.body != b"2":  # the ack of the first may have been lost
                message.ack()
                message = await anext(consumer)
            message.ack()
        await until_given_back(pool)
        assert pool.statistics().consuming.opened == 1


async def has_recovered(pool: Pool) -> bool:
    engine = pool._engine
    connections = [*engine.publishing.connections.values(), *engine.consuming.connections.values()]
    return all(each.is_open and each.counters.links == 2 for each in connections)


async def test_without_recovery_a_consumer_ends_with_its_link(proxy: Proxy, queue: str) -> None:
    async with opened(proxy.url, recovery=None) as pool:
        consumer = await pool.consume(queue)
        proxy.cut()
        with pytest.raises(ConnectionLostError):
            await anext(consumer)
        await until_given_back(pool)
        async with pool.consume(queue) as consumer:
            await pool.publish(b"", routing_key=queue)
            (await anext(consumer)).ack()


async def test_exclusive_queues_are_forgotten_with_their_connection(proxy: Proxy) -> None:
    async with opened(proxy.url, recovery=None) as pool:
        mine = (await pool.declare_queue(Queue.temporary())).name
        assert pool._home_of(mine) is not None
        proxy.cut()

        async def is_forgotten() -> bool:
            return pool._home_of(mine) is None

        async def is_gone() -> bool:
            try:
                await pool.consume(mine)
            except ResourceLockedError:  # the broker has not seen yet that its connection is gone
                return False
            except NotFoundError:
                return True
            raise AssertionError("the queue of a connection that is gone can be consumed")

        await until(is_forgotten)
        await until(is_gone)
