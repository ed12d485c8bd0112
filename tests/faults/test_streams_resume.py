"""A consumer of a stream reads on where it was: every message once, and none left out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hopmq import Channel, Connection, Consumer, Message, Queue, Settlement
from hopmq.errors import NotFoundError
from hopmq.events import ConsumerLost
from hopmq.testing import FaultProxy

from .work import Events, Work, recovered


@pytest.fixture
async def stream(other: Channel, name: str) -> AsyncIterator[str]:
    """Return the name of an empty stream."""
    await other.declare_queue(Queue.stream(name))
    yield name
    await other.delete_queue(name)


def numbers(first: int, end: int) -> list[bytes]:
    """Return bodies that are their messages' offsets."""
    return [str(number).encode() for number in range(first, end)]


async def fill(other: Channel, stream: str, first: int, end: int) -> None:
    """Publish these numbers."""
    for body in numbers(first, end):
        await other.publish(body, routing_key=stream)


FIRST = {"x-stream-offset": "first"}


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_everything_comes_once_however_often_the_link_ends(
    connection: Connection, proxy: FaultProxy, other: Channel, stream: str, concurrency: int
) -> None:
    seen: list[bytes] = []
    all_seen = asyncio.Event()

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)
        seen.append(message.body)
        message.ack()
        if len(seen) >= 80:
            all_seen.set()

    async with connection.channel(prefetch=7) as channel:
        await channel.consume(stream, handle, concurrency=concurrency, arguments=FIRST)
        for first in range(0, 80, 20):
            await fill(other, stream, first, first + 20)
            await recovered(connection, proxy)
        await all_seen.wait()
    if concurrency == 1:
        assert seen == numbers(0, 80)
    assert sorted(seen, key=int) == numbers(0, 80)


async def test_what_was_settled_is_passed_over_and_what_was_not_comes_again(
    connection: Connection, proxy: FaultProxy, other: Channel, stream: str
) -> None:
    await fill(other, stream, 0, 10)
    async with connection.channel(prefetch=5) as channel:
        consumer = await channel.consume(stream, arguments=FIRST)
        messages = [await anext(consumer) for _ in range(5)]
        for number in (0, 1, 3):
            messages[number].ack()
        await recovered(connection, proxy)
        assert not messages[2].settled
        # 2 and 4 are still in the program's hands: they take two of five places.
        later = [await anext(consumer) for _ in range(3)]
        assert [message.body for message in later] == numbers(5, 8)
        assert messages[4].ack() is Settlement.SENT
        assert messages[2].ack() is Settlement.SENT
        later += [await anext(consumer) for _ in range(2)]
        assert [message.body for message in later] == numbers(5, 10)


async def test_a_handler_at_work_settles_its_message_for_good(
    connection: Connection, proxy: FaultProxy, other: Channel, stream: str
) -> None:
    work = Work()
    await fill(other, stream, 0, 3)
    async with connection.channel(prefetch=10) as channel:
        await channel.consume(stream, work, concurrency=2, arguments=FIRST)
        await work.begins(2)
        await recovered(connection, proxy)
        await work.end(1, Message.ack)
        await work.begins(3)
        await recovered(connection, proxy)
        await work.end(0, Message.ack)
        await work.end(2, Message.ack)
        await recovered(connection, proxy)
        await fill(other, stream, 3, 4)
        await work.begins(4)
        await work.end(3, Message.ack)
        assert work.bodies == numbers(0, 4)


async def test_an_ack_while_there_is_no_link_counts(
    connection: Connection, proxy: FaultProxy, other: Channel, stream: str
) -> None:
    work = Work()
    await fill(other, stream, 0, 2)
    async with connection.channel(prefetch=1) as channel:
        await channel.consume(Queue.stream(stream), work, arguments=FIRST)
        await work.begins(1)
        with proxy.refuse_connections():
            proxy.disconnect()
            await connection.wait_for("recovering", timeout=30)
            await work.end(0, Message.ack)
            assert work.settlements == [Settlement.DEFERRED]
        await work.begins(2)
        await work.end(1, Message.ack)
        assert work.bodies == numbers(0, 2)


@pytest.mark.parametrize("offset", ["next", None])
async def test_a_reader_of_what_is_new_reads_on_once_it_has_read(
    connection: Connection, proxy: FaultProxy, other: Channel, stream: str, offset: Any
) -> None:
    await fill(other, stream, 0, 3)
    arguments = {} if offset is None else {"x-stream-offset": offset}
    async with connection.channel(prefetch=5) as channel:
        consumer = await channel.consume(Queue.stream(stream), arguments=arguments)
        await fill(other, stream, 3, 4)
        (await anext(consumer)).ack()
        with proxy.refuse_connections():
            proxy.disconnect()
            await connection.wait_for("recovering", timeout=30)
            await fill(other, stream, 4, 6)
        bodies = [(await anext(consumer)).body for _ in range(2)]
        assert bodies == numbers(4, 6)


async def test_a_handler_that_fails_costs_neither_connection_nor_place(
    connection: Connection, other: Channel, stream: str
) -> None:
    seen: list[bytes] = []
    both_seen = asyncio.Event()

    async def fail(message: Message) -> None:
        seen.append(message.body)
        if len(seen) == 2:
            both_seen.set()
        raise RuntimeError("on purpose")

    await fill(other, stream, 0, 2)
    async with connection.channel(prefetch=1) as channel:
        consumer = await channel.consume(stream, fail, arguments=FIRST)
        await both_seen.wait()
        await consumer.cancel()
        await connection.declare_queue(stream, passive=True)
    assert seen == numbers(0, 2)


async def test_a_cancelled_reader_leaves_the_connection_alone(
    connection: Connection, other: Channel, stream: str
) -> None:
    await fill(other, stream, 0, 5)
    async with connection.channel(prefetch=5) as channel:
        consumer = await channel.consume(stream, arguments=FIRST)
        await anext(consumer)
        await consumer.cancel()
        again = await channel.consume(stream, arguments=FIRST)
        assert (await anext(again)).body == b"0"


async def test_what_is_said_to_be_a_stream_and_is_none_is_read_as_what_it_is(
    connection: Connection, proxy: FaultProxy, other: Channel, name: str
) -> None:
    await other.declare_queue(name)
    await other.publish(b"1", routing_key=name)
    async with connection.channel() as channel:
        consumer = await channel.consume(Queue.stream(name))
        assert (await anext(consumer)).reject(requeue=True)
        assert (await anext(consumer)).body == b"1"
        await recovered(connection, proxy)
        message = await anext(consumer)
        assert message.redelivered
        message.ack()
    await other.delete_queue(name)


# --- another stream of the same name ------------------------------------------------------------


async def read(consumer: Consumer, count: int) -> list[bytes]:
    """Read and settle so many messages."""
    bodies = []
    for _ in range(count):
        message = await anext(consumer)
        bodies.append(message.body)
        message.ack()
    return bodies


async def test_a_stream_that_another_deleted_is_back_and_read_from_its_beginning(
    connection: Connection, other: Channel, name: str
) -> None:
    events = Events(connection)
    async with connection.channel(prefetch=5) as channel:
        await channel.declare_queue(Queue.stream(name))
        consumer = await channel.consume(name, arguments=FIRST)
        await fill(other, name, 0, 10)
        assert await read(consumer, 10) == numbers(0, 10)
        await other.delete_queue(name)
        await events.first(ConsumerLost)
        await active(consumer)
        await fill(other, name, 0, 2)
        assert await read(consumer, 2) == numbers(0, 2)
        await channel.delete_queue(name)


async def test_a_stream_of_others_is_read_from_its_beginning_once_it_is_there_again(
    connection: Connection, other: Channel, name: str
) -> None:
    await other.declare_queue(Queue.stream(name))
    events = Events(connection)
    async with connection.channel(prefetch=5) as channel:
        consumer = await channel.consume(name, arguments=FIRST)
        await fill(other, name, 0, 10)
        assert await read(consumer, 10) == numbers(0, 10)
        await other.delete_queue(name)
        async with asyncio.timeout(30):
            while not any(
                isinstance(each.error, NotFoundError) for each in events.all(ConsumerLost)
            ):
                await asyncio.sleep(0.02)
        await other.declare_queue(Queue.stream(name))
        await fill(other, name, 0, 2)
        assert await read(consumer, 2) == numbers(0, 2)
    await other.delete_queue(name)


async def test_a_stream_that_went_with_the_link_is_read_from_its_beginning(
    connection: Connection, proxy: FaultProxy, other: Channel, name: str
) -> None:
    async with connection.channel(prefetch=5) as channel:
        await channel.declare_queue(Queue.stream(name))
        consumer = await channel.consume(name, arguments=FIRST)
        await fill(other, name, 0, 3)
        held = await anext(consumer)
        with proxy.refuse_connections():
            proxy.disconnect()
            await connection.wait_for("recovering", timeout=30)
            await other.delete_queue(name)
        await connection.wait_for("open", timeout=30)
        await active(consumer)
        assert held.ack() is Settlement.STALE
        await fill(other, name, 0, 2)
        assert await read(consumer, 2) == numbers(0, 2)
        await channel.delete_queue(name)


async def active(consumer: Consumer) -> None:
    """Wait until a consumer gets messages again."""
    async with asyncio.timeout(30):
        while not consumer.is_active:
            await asyncio.sleep(0.02)
