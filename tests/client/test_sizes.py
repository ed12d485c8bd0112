"""Sizes at their limits: bodies around frame_max, large ones, and names of 255 bytes."""

import asyncio
import hashlib

import pytest

import hopmq
from client.waiting import bodies
from hopmq import Channel, Connection, Exchange
from hopmq.wire.limits import FRAME_OVERHEAD

MIB = 1024 * 1024


def body_of(size: int) -> bytes:
    return (hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1))[:size]


@pytest.mark.parametrize("frame_max", [8192, 131_072])
async def test_bodies_around_the_size_of_a_frame_arrive_whole(
    amqp_url: str, queue: str, frame_max: int
) -> None:
    room = frame_max - FRAME_OVERHEAD
    sizes = [0, 1, room - 1, room, room + 1, frame_max, 2 * room - 1, 2 * room, 2 * room + 1]
    sent = [body_of(size) for size in sizes]
    async with (
        hopmq.connect(amqp_url, frame_max=frame_max) as connection,
        connection.channel() as channel,
    ):
        assert connection.frame_max == frame_max
        await channel.publish_many(sent, routing_key=queue)
        assert await bodies(channel, queue) == sent
        await channel.publish_many(sent, routing_key=queue)
        async with channel.consume(queue, no_ack=True) as consumer:
            assert [(await anext(consumer)).body for _ in sizes] == sent


async def test_a_body_of_5_mib_arrives_whole(channel: Channel, queue: str) -> None:
    body = body_of(5 * MIB)
    await channel.publish(body, routing_key=queue)
    assert await bodies(channel, queue) == [body]
    await channel.publish(bytearray(body), routing_key=queue)
    async with channel.consume(queue, no_ack=True) as consumer:
        assert (await anext(consumer)).body == body


async def test_large_and_small_messages_keep_their_order(channel: Channel, queue: str) -> None:
    sizes = [1, 300_000, 0, 131_064, 16_384, 16_383, 2 * MIB, 5]
    await asyncio.gather(
        *(channel.publish(bytes(size), routing_key=queue, mandatory=True) for size in sizes)
    )
    async with channel.consume(queue) as consumer:
        assert [len((await anext(consumer)).body) for _ in sizes] == sizes


async def test_a_large_message_that_comes_back_is_matched(channel: Channel) -> None:
    large, small = await asyncio.gather(
        channel.publish(bytes(MIB), routing_key="nowhere", mandatory=True),
        channel.publish(b"", routing_key="nowhere"),
        return_exceptions=True,
    )
    assert isinstance(large, hopmq.PublishReturnedError)
    assert isinstance(small, hopmq.Receipt)


async def test_a_message_above_max_message_size_costs_only_its_channel(
    amqp_url: str, queue: str
) -> None:
    async with hopmq.connect(amqp_url, max_message_size=MIB) as connection:
        channel = await connection.channel()
        await channel.publish(bytes(MIB + 1), routing_key=queue)
        with pytest.raises(hopmq.ChannelClosed, match="max_message_size") as caught:
            await channel.get(queue)
        assert caught.value.reply_code == 311
        again = await connection.channel()
        assert (await again.publish(b"", routing_key="nowhere")).confirmed


def long_name(name: str, letter: str) -> str:
    """Fill a name up to 255 bytes."""
    long = name + letter * ((255 - len(name.encode())) // len(letter.encode()))
    return long + "." * (255 - len(long.encode()))


@pytest.mark.parametrize("letter", ["n", "é", "🐇"])
async def test_names_may_have_255_bytes_of_unicode(
    connection: Connection, channel: Channel, letter: str, name: str
) -> None:
    long = long_name(name, letter)
    assert len(long.encode()) == 255
    await channel.declare_queue(long, exclusive=True)
    exchange = await channel.declare_exchange(Exchange.topic(long, auto_delete=True))
    await channel.bind(long, exchange, long)
    async with channel.consume(long, consumer_tag=long) as consumer:
        await channel.publish(
            b"", exchange=exchange, routing_key=long, message_id=long, headers={long: long}
        )
        message = await anext(consumer)
        message.ack()
    assert consumer.consumer_tag == long
    assert (message.exchange, message.routing_key, message.message_id) == (long, long, long)
    assert message.headers == {long: long}
    assert (await connection.declare_queue(long, passive=True)).name == long
