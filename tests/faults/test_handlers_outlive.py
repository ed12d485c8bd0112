"""Handlers outlive their connection, and nothing is worked on twice at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

import hopmq
from hopmq import Channel, Connection, Consumer, Message, Settlement
from hopmq.errors import PreconditionFailedError
from hopmq.testing import FaultProxy

from .links import becomes, consumers_of
from .work import Work, recovered


@pytest.fixture
async def queue(other: Channel, name: str) -> AsyncIterator[str]:
    """Return the name of an empty queue."""
    await other.declare_queue(name)
    yield name
    await other.delete_queue(name)


async def is_empty(other: Channel, queue: str) -> bool:
    """Return whether a queue has neither messages nor unsettled ones, once it comes to rest."""
    async with asyncio.timeout(30):
        while (await other.declare_queue(queue, passive=True)).message_count:
            await asyncio.sleep(0.02)
    # What is unsettled comes back when its channel ends, and is not seen before.
    return (await other.get(queue)) is None


async def all_delivered(channel: Channel, other: Channel, queue: str) -> None:
    """Wait until all that was ready in a queue has reached its consumer on `channel`."""
    async with asyncio.timeout(30):
        while (await other.declare_queue(queue, passive=True)).message_count:
            await asyncio.sleep(0.02)
    await channel.flow(True)  # its answer comes behind the deliveries of the channel


async def came_again(connection: Connection, proxy: FaultProxy, other: Channel, queue: str) -> None:
    """Lose the link and recover, and see that the broker has put back what that has cost.

    It has when the only consumer it knows is the new link's: the end of the last link takes its
    consumer and returns its messages in one step.
    """
    await recovered(connection, proxy)
    await becomes(1, lambda: consumers_of(other, queue))


async def put(other: Channel, queue: str, *bodies: bytes, named: bool = False) -> None:
    """Publish, each message with its body as its id on request."""
    for body in bodies:
        message_id = body.decode() if named else None
        await other.publish(body, routing_key=queue, message_id=message_id)


async def test_a_handler_ends_as_it_would_have_and_learns_that_its_ack_went_nowhere(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work)
        await put(other, queue, b"1")
        await work.begins(1)
        await recovered(connection, proxy)
        await work.end(0, Message.ack)
        await work.begins(2)
        await work.end(1, Message.ack)
        assert work.settlements == [Settlement.STALE, Settlement.SENT]
        assert [message.redelivered for message in work.begun] == [False, True]
        assert work.at_once == 1
    assert await is_empty(other, queue)


async def test_what_comes_again_waits_for_every_handler_of_the_lost_link(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, concurrency=4)
        await put(other, queue, b"1", b"2")
        await work.begins(2)
        await came_again(connection, proxy, other, queue)
        await put(other, queue, b"3")
        await work.begins(3)  # and so 1 and 2, which come before it, are here again
        await work.end(0, Message.ack)
        await put(other, queue, b"4")
        await work.begins(4)
        assert work.bodies == [b"1", b"2", b"3", b"4"]
        await work.end(1, Message.ack)
        await work.begins(6)
        assert work.bodies[4:] == [b"1", b"2"]
        for run in range(2, 6):
            await work.end(run, Message.ack)
        assert work.at_once == 1
    assert await is_empty(other, queue)


@pytest.mark.parametrize("recognise", [None, "message_id"])
async def test_one_at_a_time_stays_in_order(
    connection: Connection,
    proxy: FaultProxy,
    other: Channel,
    queue: str,
    recognise: Literal["message_id"] | None,
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, recognise=recognise)
        await put(other, queue, b"1", b"2", b"3")
        await work.begins(1)
        await came_again(connection, proxy, other, queue)
        await put(other, queue, b"4")
        await all_delivered(channel, other, queue)
        for run in range(5):
            await work.begins(run + 1)
            await work.end(run, Message.ack)
        assert work.bodies == [b"1", b"1", b"2", b"3", b"4"]
    assert await is_empty(other, queue)


async def test_a_second_loss_changes_nothing(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, concurrency=2)
        await put(other, queue, b"1")
        await work.begins(1)
        await came_again(connection, proxy, other, queue)
        await put(other, queue, b"2")
        await work.begins(2)
        await came_again(connection, proxy, other, queue)
        await work.end(0, Message.ack)
        await work.end(1, Message.ack)
        await work.begins(4)
        assert sorted(work.bodies) == [b"1", b"1", b"2", b"2"]
        await work.end(2, Message.ack)
        await work.end(3, Message.ack)
        assert work.at_once == 1
    assert await is_empty(other, queue)


async def test_a_cancelled_consumer_returns_what_it_had_kept(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        consumer = await channel.consume(queue, work, concurrency=2)
        await put(other, queue, b"1")
        await work.begins(1)
        await came_again(connection, proxy, other, queue)
        await put(other, queue, b"2")
        await work.begins(2)
        cancelling = asyncio.create_task(consumer.cancel())
        back = await taken(other, queue)
        assert back.body == b"1"
        await work.end(0, Message.ack)
        await work.end(1, Message.ack)
        await cancelling
        assert work.bodies == [b"1", b"2"]
    assert await is_empty(other, queue)


async def taken(other: Channel, queue: str) -> Message:
    """Take the next message of a queue, as soon as there is one."""
    async with asyncio.timeout(30):
        while (message := await other.get(queue, no_ack=True)) is None:
            await asyncio.sleep(0.02)
    return message


# --- recognised ------------------------------------------------------------------------------


async def test_an_ack_counts_for_the_copy_that_is_there_already(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, concurrency=2, recognise="message_id")
        await put(other, queue, b"1", named=True)
        await work.begins(1)
        await came_again(connection, proxy, other, queue)
        await put(other, queue, b"2", named=True)
        await work.begins(2)
        for run in (0, 1):
            await work.end(run, Message.ack)
        assert work.settlements == [Settlement.SENT, Settlement.SENT]
    assert await is_empty(other, queue)
    assert work.bodies == [b"1", b"2"]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_an_ack_counts_for_the_copy_that_comes_later(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str, concurrency: int
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, concurrency=concurrency, recognise="message_id")
        await put(other, queue, b"1", named=True)
        await work.begins(1)
        with proxy.refuse_connections():
            proxy.disconnect()
            await connection.wait_for("recovering", timeout=30)
            await work.end(0, Message.ack)
            assert work.settlements == [Settlement.DEFERRED]
        await connection.wait_for("open", timeout=30)
        await put(other, queue, b"2", named=True)
        await work.begins(2)
        await work.end(1, Message.ack)
        assert work.bodies == [b"1", b"2"]
    assert await is_empty(other, queue)


@pytest.mark.parametrize("is_back", [True, False])
async def test_what_failed_is_run_again(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str, is_back: bool
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, concurrency=2, recognise="message_id")
        await put(other, queue, b"1", named=True)
        await work.begins(1)
        if is_back:
            await came_again(connection, proxy, other, queue)
            await put(other, queue, b"2", named=True)
            await work.begins(2)
            await work.end(1, Message.ack)
            await work.fail(0)
        else:
            with proxy.refuse_connections():
                proxy.disconnect()
                await connection.wait_for("recovering", timeout=30)
                await work.fail(0)
            await connection.wait_for("open", timeout=30)
        runs = 3 if is_back else 2
        await work.begins(runs)
        assert work.bodies[-1] == b"1"
        await work.end(runs - 1, Message.ack)
    assert await is_empty(other, queue)


async def test_only_the_copy_waits(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel(prefetch=10) as channel:
        await channel.consume(queue, work, concurrency=2, recognise="message_id")
        await put(other, queue, b"1", b"2", b"3", named=True)
        await work.begins(2)
        await work.end(1, None)  # it is left unsettled, and nobody works on it
        await work.begins(3)
        await came_again(connection, proxy, other, queue)
        await work.end(2, Message.ack)
        await put(other, queue, b"4", named=True)
        await work.begins(4)
        assert work.bodies == [b"1", b"2", b"3", b"4"]
        assert work.begun[1].ack() is Settlement.SENT
        await work.end(0, lambda message: message.reject(requeue=False))
        await work.end(3, Message.ack)
    assert await is_empty(other, queue)


async def test_what_has_no_id_waits_for_what_has_none(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.consume(queue, work, concurrency=3, recognise="message_id")
        await put(other, queue, b"1")
        await put(other, queue, b"2", named=True)
        await work.begins(2)
        await came_again(connection, proxy, other, queue)
        await work.end(1, Message.ack)
        await put(other, queue, b"3")
        await work.begins(3)
        await work.end(0, Message.ack)
        await work.begins(4)
        assert work.bodies == [b"1", b"2", b"3", b"1"]
        await work.end(2, Message.ack)
        await work.end(3, Message.ack)
        assert work.at_once == 1
    assert await is_empty(other, queue)


async def test_a_message_may_be_settled_by_an_iteration_too(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    async with connection.channel() as channel:
        consumer = await channel.consume(queue, recognise="message_id")
        await put(other, queue, b"1", b"2", named=True)
        first = await anext(consumer)
        await recovered(connection, proxy)
        second = await anext(consumer)
        assert (first.body, second.body) == (b"1", b"2")
        assert not first.settled
        async with first.process(), second.process():
            pass
        assert first.settled
    assert await is_empty(other, queue)


async def test_the_end_of_a_consumer_leaves_stale_what_was_not_delivered_again(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    consumer: Consumer
    channel = await connection.channel()
    consumer = await channel.consume(queue, recognise="message_id")
    await put(other, queue, b"1", named=True)
    message = await anext(consumer)
    with proxy.refuse_connections():
        proxy.disconnect()
        await connection.wait_for("recovering", timeout=30)
        await connection.close()
    assert message.settled
    assert message.ack() is Settlement.STALE
    assert (await taken(other, queue)).body == b"1"


# --- the neighbours ---------------------------------------------------------------------------


async def test_a_refused_declare_is_nothing_to_a_handler(
    connection: Connection, other: Channel, queue: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        consumer = await channel.consume(queue, work)
        await put(other, queue, b"1")
        await work.begins(1)
        with pytest.raises(PreconditionFailedError):
            await channel.declare_queue(queue, arguments={"x-max-length": 5})
        await work.end(0, Message.ack)
        assert work.settlements == [Settlement.SENT]
        assert consumer.is_active
    assert await is_empty(other, queue)
    assert work.bodies == [b"1"]


async def test_a_queue_deleted_by_another_is_back_with_its_consumer(
    connection: Connection, other: Channel, name: str
) -> None:
    work = Work()
    async with connection.channel() as channel:
        await channel.declare_queue(name)
        await channel.consume(name, work, concurrency=2)
        await put(other, name, b"1")
        await work.begins(1)
        await other.delete_queue(name)
        async with asyncio.timeout(30):
            while not await has_consumer(other, name):
                await asyncio.sleep(0.05)
        await put(other, name, b"2")
        await work.begins(2)
        for run in (0, 1):
            await work.end(run, Message.ack)
        assert work.bodies == [b"1", b"2"]
        await channel.delete_queue(name)


async def has_consumer(other: Channel, queue: str) -> bool:
    """Return whether a queue is there and consumed from."""
    try:
        return (await other.declare_queue(queue, passive=True)).consumer_count > 0
    except hopmq.NotFoundError:
        return False
