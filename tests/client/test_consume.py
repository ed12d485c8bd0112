"""Consuming by `async for`, and what holds for every consumer."""

import asyncio
from typing import Any

import pytest

import hopmq
from client.conftest import Tap
from client.waiting import bodies, until, until_ready
from hopmq import (
    AccessRefusedError,
    Channel,
    Connection,
    ConsumerCancelledError,
    NotFoundError,
    Queue,
    UsageError,
)

# --- async for ---------------------------------------------------------------------------------------


async def test_messages_arrive_in_order(channel: Channel, queue: str) -> None:
    sent = [b"%d" % number for number in range(200)]
    await channel.publish_many(sent, routing_key=queue)
    received = []
    async with channel.consume(queue) as consumer:
        async for message in consumer:
            received.append(message.body)
            message.ack()
            if len(received) == len(sent):
                break
    assert received == sent


async def test_a_message_says_where_it_comes_from(channel: Channel, queue: str) -> None:
    await channel.bind(queue, "amq.topic", "orders.*")
    async with channel.consume(queue, consumer_tag="reader") as consumer:
        await channel.publish(b"body", exchange="amq.topic", routing_key="orders.new")
        message: Any = await anext(consumer)
        assert message.body == b"body"
        assert (message.exchange, message.routing_key) == ("amq.topic", "orders.new")
        assert (message.consumer_tag, message.delivery_tag) == ("reader", 1)
        assert not message.redelivered
        assert not message.settled
        message.ack()
        assert message.settled


async def test_an_opened_consumer_is_active_until_cancelled(channel: Channel, queue: str) -> None:
    consumer = await channel.consume(queue)
    assert consumer.is_active
    assert consumer.queue == queue
    await consumer.cancel()
    assert not consumer.is_active


async def test_the_iteration_ends_when_the_consumer_is_cancelled(
    channel: Channel, queue: str
) -> None:
    consumer = await channel.consume(queue)
    ended = asyncio.create_task(consumer.wait_closed())

    async def read() -> list[bytes]:
        return [message.body async for message in consumer]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await consumer.cancel()
    assert await reading == []
    await ended
    with pytest.raises(StopAsyncIteration):
        await anext(consumer)


async def test_cancel_is_idempotent(channel: Channel, queue: str) -> None:
    consumer = await channel.consume(queue)
    await asyncio.gather(consumer.cancel(), consumer.cancel())
    await consumer.cancel()
    assert channel.is_open


async def test_cancel_returns_what_nobody_has_read(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=10)
    await channel.publish_many([b"1", b"2", b"3", b"4"], routing_key=queue)
    consumer = await channel.consume(queue)
    first = await anext(consumer)
    await until_ready(other, queue, 0)
    await consumer.cancel()
    await until_ready(other, queue, 3)
    first.ack()
    await channel.close()
    messages = await bodies(await other.channel(), queue)
    assert messages == [b"2", b"3", b"4"]


async def test_a_break_inside_the_block_returns_the_rest(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish_many([b"%d" % number for number in range(50)], routing_key=queue)
    async with channel.consume(queue) as consumer:
        async for message in consumer:
            message.ack()
            if message.body == b"9":
                break
    await until_ready(other, queue, 40)
    assert channel.is_open
    assert await bodies(channel, queue) == [b"%d" % number for number in range(10, 50)]


async def test_a_cancelled_wait_loses_no_message(channel: Channel, queue: str) -> None:
    async with channel.consume(queue) as consumer:
        waiting = asyncio.ensure_future(anext(consumer))
        await asyncio.sleep(0)
        waiting.cancel()
        await channel.publish(b"kept", routing_key=queue)
        assert (await anext(consumer)).body == b"kept"


async def test_several_readers_share_a_consumer(channel: Channel, queue: str) -> None:
    async with channel.consume(queue) as consumer:
        readers = [asyncio.ensure_future(anext(consumer)) for _ in range(5)]
        await channel.publish_many([b"%d" % number for number in range(5)], routing_key=queue)
        messages = await asyncio.gather(*readers)
    assert sorted(message.body for message in messages) == [b"%d" % number for number in range(5)]


async def test_several_consumers_share_a_channel(connection: Connection, name: str) -> None:
    channel = await connection.channel()
    names = [f"{name}-{number}" for number in range(5)]
    for each in names:
        await channel.declare_queue(each, exclusive=True)
    consumers = [await channel.consume(each) for each in names]
    for each in names:
        await channel.publish(each.encode(), routing_key=each)
    for each, consumer in zip(names, consumers, strict=True):
        message = await anext(consumer)
        assert message.body == each.encode()
        message.ack()


# --- prefetch ----------------------------------------------------------------------------------------


async def test_no_more_than_prefetch_is_delivered(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=3)
    await channel.publish_many([b"%d" % number for number in range(10)], routing_key=queue)
    async with channel.consume(queue) as consumer:
        messages = [await anext(consumer) for _ in range(3)]
        await until_ready(other, queue, 7)
        assert not consumer._inbox
        messages[0].ack()
        assert (await anext(consumer)).body == b"3"
        await until_ready(other, queue, 6)


async def test_a_prefetch_of_zero_is_no_bound(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=0)
    await channel.publish_many([b""] * 300, routing_key=queue)
    async with channel.consume(queue):
        await until_ready(other, queue, 0)


async def test_the_default_prefetch_is_100(channel: Channel, other: Connection, queue: str) -> None:
    await channel.publish_many([b""] * 150, routing_key=queue)
    async with channel.consume(queue):
        await until_ready(other, queue, 50)


async def test_prefetch_holds_for_consumers_started_later(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish_many([b""] * 10, routing_key=queue)
    await channel.set_prefetch(2)
    async with channel.consume(queue):
        await until_ready(other, queue, 8)
        await channel.set_prefetch(5)
        async with channel.consume(queue):
            await until_ready(other, queue, 3)


# --- no_ack, exclusive, priority, arguments ------------------------------------------------------------


async def test_without_acks_messages_are_gone_once_delivered(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish_many([b"1", b"2"], routing_key=queue)
    async with channel.consume(queue, no_ack=True) as consumer:
        messages = [await anext(consumer), await anext(consumer)]
    assert all(message.settled for message in messages)
    await channel.close()
    assert await bodies(await other.channel(), queue) == []


async def test_without_acks_what_arrived_stays_readable_after_cancel(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish_many([b"1", b"2"], routing_key=queue)
    consumer = await channel.consume(queue, no_ack=True)
    await until_ready(other, queue, 0)
    await consumer.cancel()
    assert [message.body async for message in consumer] == [b"1", b"2"]


async def test_a_second_consumer_beside_an_exclusive_one_is_refused(
    channel: Channel, other: Connection, queue: str
) -> None:
    async with channel.consume(queue, exclusive=True):
        theirs = await other.channel()
        with pytest.raises(AccessRefusedError, match="exclusive") as caught:
            await theirs.consume(queue)
        assert caught.value.reply_code == 403
        assert not theirs.is_open
        assert channel.is_open


async def test_an_exclusive_consumer_beside_another_is_refused(
    channel: Channel, other: Connection, queue: str
) -> None:
    async with channel.consume(queue):
        theirs = await other.channel()
        with pytest.raises(AccessRefusedError):
            await theirs.consume(queue, exclusive=True)


async def test_the_consumer_of_higher_priority_is_served_first(
    connection: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=5)
    async with (
        channel.consume(queue, priority=1) as low,
        channel.consume(queue, priority=10) as high,
        channel.consume(queue, priority=-3) as lowest,
    ):
        await channel.publish_many([b"%d" % number for number in range(5)], routing_key=queue)
        for number in range(5):
            assert (await anext(high)).body == b"%d" % number
        await channel.publish(b"next", routing_key=queue)
        assert (await anext(low)).body == b"next"
        assert not lowest._inbox


async def test_a_stream_is_read_from_an_offset(channel: Channel, name: str) -> None:
    await channel.declare_queue(Queue.stream(name))
    try:
        await channel.publish_many([b"%d" % number for number in range(10)], routing_key=name)
        for _ in range(2):  # reading does not empty it
            async with channel.consume(name, arguments={"x-stream-offset": 4}) as consumer:
                received = []
                async for message in consumer:
                    received.append((message.headers["x-stream-offset"], message.body))
                    message.ack()
                    if len(received) == 6:
                        break
            assert received == [(number, b"%d" % number) for number in range(4, 10)]
    finally:
        await channel.delete_queue(name)


async def test_a_consumer_tag_in_use_is_refused_here(
    channel: Channel, queue: str, tap: Tap
) -> None:
    consumer = await channel.consume(queue, consumer_tag="reader")
    tap.sent = 0
    with pytest.raises(UsageError, match="'reader'"):
        await channel.consume(queue, consumer_tag="reader")
    assert tap.is_silent
    await consumer.cancel()
    again = await channel.consume(queue, consumer_tag="reader")
    assert again.is_active


async def test_a_consumer_that_cannot_be_meant_is_refused_here(
    channel: Channel, queue: str, tap: Tap
) -> None:
    tap.sent = 0
    wrong: list[dict[str, Any]] = [
        {"concurrency": 0},
        {"concurrency": -1},
        {"consumer_tag": "t" * 256},
        {"priority": 2**63},
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            await channel.consume(queue, print, **options)
    with pytest.raises(UsageError, match="handler"):
        await channel.consume(queue, 5)  # type: ignore[arg-type]
    assert tap.is_silent
    assert not channel._consumers
    assert not channel._core.consumers


async def test_a_consumer_shows_its_tag_its_queue_and_whether_it_is_active(
    channel: Channel, queue: str
) -> None:
    consumer = await channel.consume(queue, consumer_tag="reader")
    assert repr(consumer) == f"<Consumer reader of queue {queue!r} active>"
    await consumer.cancel()
    assert repr(consumer) == f"<Consumer reader of queue {queue!r} ended>"


async def test_a_missing_queue_closes_the_channel(connection: Connection, channel: Channel) -> None:
    with pytest.raises(NotFoundError, match="no such queue"):
        await channel.consume("no such queue")
    assert not channel.is_open
    assert connection.is_open


# --- the end of a consumer -------------------------------------------------------------------------------


async def test_a_deleted_queue_ends_its_consumers(channel: Channel, queue: str) -> None:
    await channel.publish_many([b"1", b"2"], routing_key=queue)
    consumer = await channel.consume(queue, consumer_tag="reader")
    first = await anext(consumer)
    await channel.delete_queue(queue)
    with pytest.raises(ConsumerCancelledError, match=queue) as caught:
        await consumer.wait_closed()
    assert caught.value.consumer_tag == "reader"
    assert not consumer.is_active
    assert (await anext(consumer)).body == b"2"  # it was delivered before
    with pytest.raises(ConsumerCancelledError):
        await anext(consumer)
    first.ack()
    await consumer.cancel()
    assert channel.is_open


async def test_a_waiting_reader_hears_of_a_deleted_queue(channel: Channel, queue: str) -> None:
    async with channel.consume(queue) as consumer:
        reading = asyncio.ensure_future(anext(consumer))
        await asyncio.sleep(0)
        await channel.delete_queue(queue)
        with pytest.raises(ConsumerCancelledError):
            await reading


async def test_the_end_of_the_channel_is_the_end_of_its_consumers(
    channel: Channel, queue: str
) -> None:
    consumer = await channel.consume(queue)
    reading = asyncio.ensure_future(anext(consumer))
    await asyncio.sleep(0)
    await channel.close()
    with pytest.raises(hopmq.ChannelClosed):
        await reading
    with pytest.raises(hopmq.ChannelClosed):
        await consumer.wait_closed()
    await consumer.cancel()


async def test_ended_consumers_are_forgotten(channel: Channel, queue: str, name: str) -> None:
    doomed = f"{name}-doomed"
    await channel.declare_queue(doomed)
    await channel.consume(doomed)
    await channel.consume(doomed, print)
    for _ in range(5):
        async with channel.consume(queue), channel.consume(queue, print):
            pass
    await channel.delete_queue(doomed)

    async def nothing_left() -> bool:
        return not channel._consumers and not channel._core.consumers

    await until(nothing_left)


async def test_a_consumer_that_is_given_up_amid_deliveries_harms_nobody(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=0)
    await channel.publish_many([b"%d" % number for number in range(1000)], routing_key=queue)
    for _ in range(10):
        opening = asyncio.ensure_future(channel.consume(queue))
        await asyncio.sleep(0)
        opening.cancel()
        consumer = await channel.consume(queue)
        await anext(consumer)
        cancelling = asyncio.create_task(consumer.cancel())
        await asyncio.sleep(0)
        cancelling.cancel()
        await asyncio.wait({opening, cancelling})
    assert channel.is_open
    await channel.close()
    await until_ready(other, queue, 1000)
