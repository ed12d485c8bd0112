"""Fetching single messages, and having unsettled ones delivered again."""

import asyncio
from typing import Any

import pytest

from client.waiting import bodies, until_ready
from hopmq import Channel, Connection, Message, NotFoundError, Settlement

# --- get -----------------------------------------------------------------------------------------------


async def test_get_takes_the_oldest_message(channel: Channel, queue: str) -> None:
    await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    message: Any = await channel.get(queue)
    assert message.body == b"1"
    assert message.message_count == 2
    assert (message.exchange, message.routing_key) == ("", queue)
    assert not message.redelivered
    assert not message.settled
    assert message.ack() is Settlement.SENT
    assert message.settled


async def test_an_empty_queue_gives_none(channel: Channel, queue: str) -> None:
    assert await channel.get(queue) is None
    assert channel.is_open


async def test_a_missing_queue_closes_the_channel(connection: Connection, channel: Channel) -> None:
    with pytest.raises(NotFoundError, match="no such queue"):
        await channel.get("no such queue")
    assert not channel.is_open
    assert connection.is_open


async def test_without_acks_a_fetched_message_is_gone(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish(b"1", routing_key=queue)
    message = await channel.get(queue, no_ack=True)
    assert message is not None
    assert message.settled
    await channel.close()
    assert await bodies(await other.channel(), queue) == []


async def test_an_unsettled_fetched_message_goes_back_with_its_channel(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish(b"1", routing_key=queue)
    await channel.get(queue)
    await channel.close()
    await until_ready(other, queue, 1)


async def test_gets_at_once_take_a_message_each(channel: Channel, queue: str) -> None:
    await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    messages = await asyncio.gather(*(channel.get(queue) for _ in range(5)))
    assert [message and message.body for message in messages] == [b"1", b"2", b"3", None, None]


async def test_a_cancelled_get_returns_its_message(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish(b"1", routing_key=queue)
    getting = asyncio.create_task(channel.get(queue))
    await asyncio.sleep(0)
    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting
    async with channel.consume(queue) as consumer:
        message = await anext(consumer)
        assert message.body == b"1"
        message.ack()
    await channel.close()
    await until_ready(other, queue, 0)


# --- recover -------------------------------------------------------------------------------------------


async def test_recover_delivers_unsettled_messages_again(channel: Channel, queue: str) -> None:
    await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    async with channel.consume(queue) as consumer:
        first = [await anext(consumer) for _ in range(3)]
        first[0].ack()
        await channel.recover()
        again = [await anext(consumer) for _ in range(2)]
        assert [(message.body, message.redelivered) for message in again] == [
            (b"2", True),
            (b"3", True),
        ]
        assert all(message.ack() for message in again)


async def test_recover_takes_back_what_nobody_has_read(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    async with channel.consume(queue) as consumer:
        await until_ready(other, queue, 0)
        await channel.set_prefetch(100)  # its answer comes after the deliveries
        await channel.recover()
        messages = [await anext(consumer) for _ in range(3)]
        assert [(message.body, message.redelivered) for message in messages] == [
            (b"1", True),
            (b"2", True),
            (b"3", True),
        ]


async def test_messages_taken_back_by_recover_are_stale(channel: Channel, queue: str) -> None:
    await channel.publish(b"1", routing_key=queue)
    message = await channel.get(queue)
    assert message is not None
    await channel.recover()
    assert message.ack() is Settlement.STALE
    again = await channel.get(queue)
    assert again is not None
    assert again.redelivered
    assert again.ack() is Settlement.SENT


async def test_recover_amid_deliveries_loses_and_doubles_nothing(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=20)
    settled: list[bytes] = []
    complete = asyncio.Event()

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)
        if message.ack() is Settlement.SENT:
            settled.append(message.body)
        if len(settled) == 300:
            complete.set()

    sent = [b"%d" % number for number in range(300)]
    await channel.publish_many(sent, routing_key=queue)
    async with channel.consume(queue, handle, concurrency=3):
        for _ in range(10):
            await channel.recover()
        await complete.wait()
    assert channel.is_open
    assert sorted(settled, key=int) == sent
    await channel.close()
    await until_ready(other, queue, 0)


async def test_recover_leaves_messages_without_acks_alone(channel: Channel, queue: str) -> None:
    await channel.publish_many([b"1", b"2"], routing_key=queue)
    async with channel.consume(queue, no_ack=True) as consumer:
        assert (await anext(consumer)).body == b"1"
        await channel.recover()
        assert (await anext(consumer)).body == b"2"
