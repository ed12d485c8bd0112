"""Messages that nobody reads yet: their bytes are bounded, and nobody waits for ever for it."""

import asyncio

import pytest

import hopmq
from client.proxy import Proxy
from client.waiting import until_ready
from hopmq import Connection, Consumer, Message

KIB = 1024
BODY = bytes(16 * KIB)
LIMIT = 256 * KIB
COUNT = 300
"""Messages that together fill every buffer on the way several times over."""


async def unread(proxy: Proxy, other: Connection, queue: str) -> Connection:
    """Fill `queue` and return a connection that may hold little of it unread."""
    filling = await other.channel()
    await filling.publish_many([BODY] * COUNT, routing_key=queue)
    await filling.close()
    return await hopmq.connect(proxy.url, max_unread_size=LIMIT)


async def filled(consumer: Consumer, proxy: Proxy) -> int:
    """Wait until a consumer has all that it may have unread; return the bytes."""
    while _size(consumer) < LIMIT:
        await asyncio.sleep(0.005)
    passed = -1
    while passed != proxy.answers.passed:
        passed = proxy.answers.passed
        await asyncio.sleep(0.05)
    return _size(consumer)


def _size(consumer: Consumer) -> int:
    return len(consumer._inbox) * len(BODY)


async def test_unread_bytes_are_bounded_and_all_are_read_in_the_end(
    proxy: Proxy, other: Connection, queue: str
) -> None:
    connection = await unread(proxy, other, queue)
    async with connection.channel(prefetch=0) as channel, channel.consume(queue) as consumer:
        assert await filled(consumer, proxy) <= LIMIT + 512 * KIB
        for number in range(COUNT):
            message = await anext(consumer)
            assert message.delivery_tag == number + 1
            message.ack()
    await connection.close()
    await until_ready(other, queue, 0)


async def test_requests_are_answered_while_messages_wait_unread(
    proxy: Proxy, other: Connection, queue: str, name: str
) -> None:
    connection = await unread(proxy, other, queue)
    # Bounded too, so that the answer is not behind more than reading on may take in.
    async with connection.channel(prefetch=60) as channel, channel.consume(queue) as consumer:
        await filled(consumer, proxy)
        assert (await connection.declare_queue("", exclusive=True)).name
        assert (await channel.publish(b"", routing_key="nowhere")).confirmed
        assert await channel.get(queue) is not None
        assert (await channel.publish_many([b""] * 10, routing_key="nowhere"))[9].confirmed
    await connection.close()


async def test_a_slow_handler_gets_everything(proxy: Proxy, other: Connection, queue: str) -> None:
    connection = await unread(proxy, other, queue)
    complete = asyncio.Event()
    seen = 0

    async def handle(message: Message) -> None:
        nonlocal seen
        await asyncio.sleep(0)
        message.ack()
        seen += 1
        if seen == COUNT:
            complete.set()

    async with connection.channel(prefetch=0) as channel, channel.consume(queue, handle):
        await complete.wait()
    await connection.close()
    await until_ready(other, queue, 0)


async def test_a_connection_with_unread_messages_closes_promptly(
    proxy: Proxy, other: Connection, queue: str
) -> None:
    connection = await unread(proxy, other, queue)
    channel = await connection.channel(prefetch=0)
    await filled(await channel.consume(queue), proxy)
    async with asyncio.timeout(20):
        await connection.close(timeout=60)
    await until_ready(other, queue, COUNT)


@pytest.mark.parametrize("end", ["cancel", "close the channel"])
async def test_ending_the_consumer_lets_the_connection_go_on(
    proxy: Proxy, other: Connection, queue: str, end: str
) -> None:
    connection = await unread(proxy, other, queue)
    channel = await connection.channel(prefetch=0)
    consumer = await channel.consume(queue)
    await filled(consumer, proxy)
    if end == "cancel":
        await consumer.cancel()
    else:
        await channel.close()
    assert (await connection.declare_queue("", exclusive=True)).name
    await until_ready(other, queue, COUNT)
    await connection.close()
