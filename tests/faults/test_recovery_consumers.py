"""Consumers are brought back once each, as they were, whatever happens in which turn."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hopmq import Channel, Connection, Message
from hopmq.resilience.recovery import ConnectionKeeper
from hopmq.resilience.restoration import Restoration
from hopmq.testing import FaultProxy

from .ends import soon, start, turns
from .links import becomes, bounce, consumers_of, drained, lose, quick, until

REPLY_TO = "amq.rabbitmq.reply-to"


@pytest.fixture
async def connection(proxy: FaultProxy) -> AsyncIterator[Connection]:
    """Return a connection that comes back at once."""
    async with quick(proxy.url) as opened:
        yield opened


@pytest.fixture
async def queue(other: Channel, name: str) -> AsyncIterator[str]:
    """Return the name of a queue."""
    await other.declare_queue(name)
    yield name
    await other.delete_queue(name)


async def test_each_consumer_has_its_own_prefetch_again(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    prefetches = [3, 1, 5, 2]
    received: list[list[Message]] = [[] for _ in prefetches]
    channel = await connection.channel()
    for prefetch, messages in zip(prefetches, received, strict=True):
        await channel.set_prefetch(prefetch)
        await channel.consume(queue, messages.append)
    await other.publish_many([b"1"] * 20, routing_key=queue)
    await until(lambda: [len(each) for each in received] == prefetches)
    for messages in received:
        messages.clear()
    await bounce(connection, proxy)
    await until(lambda: [len(each) for each in received] >= prefetches)
    await channel.flow(True)  # its answer comes behind what had still been under way
    assert [len(each) for each in received] == prefetches
    assert channel._prefetch == 2
    await channel.close()
    assert len(await drained(other, queue)) == 20


async def test_what_goes_missing_in_the_turn_in_which_a_recovery_ends_is_seen_to(
    connection: Connection, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_consumers, passes, again = Restoration.start_consumers, 0, asyncio.Event()
    keeper = connection._session.keeper
    assert isinstance(keeper, ConnectionKeeper)

    async def counted(restoration: Restoration) -> bool:
        nonlocal passes
        passes += 1
        complete = await start_consumers(restoration)
        assert complete
        if passes == 1:
            # Runs when the task is done, and before anybody has heard of that.
            asyncio.get_running_loop().call_soon(keeper._heal)
        else:
            again.set()
        return complete

    monkeypatch.setattr(Restoration, "start_consumers", counted)
    proxy.disconnect(reset=True)
    await soon(again.wait())


async def test_a_restored_consumer_is_there_once_however_often_the_link_ends(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    channel = await connection.channel()
    consumer = await channel.consume(queue)
    for _ in range(20):
        await bounce(connection, proxy)
        assert consumer.is_active
    await becomes(1, lambda: consumers_of(other, queue))
    assert channel.consumers() == [consumer]
    for number in range(3):
        await other.publish(b"%d" % number, routing_key=queue)
    assert [(await anext(consumer)).body for _ in range(3)] == [b"0", b"1", b"2"]


async def test_replies_are_awaited_again_before_requests_go_out(
    connection: Connection, proxy: FaultProxy, other: Channel, queue: str
) -> None:
    """RabbitMQ closes the channel of a request whose replies nobody awaits (direct reply-to)."""
    channel = await connection.channel()
    replies: list[bytes] = []
    await channel.consume(REPLY_TO, lambda reply: replies.append(reply.body), no_ack=True)
    with proxy.refuse_connections():
        await lose(connection, proxy)
        request = start(channel.publish(b"", routing_key=queue, reply_to=REPLY_TO))
        await turns()
        assert not request.done()
    await request
    asked = await other.get(queue, no_ack=True)
    assert asked is not None
    await other.publish(b"reply", routing_key=asked.reply_to or "")
    await until(lambda: replies == [b"reply"])
    await channel.close()


async def test_a_loss_is_told_once_and_whether_the_channel_goes_on(
    connection: Connection, proxy: FaultProxy
) -> None:
    told: list[tuple[str, bool]] = []
    channel = await connection.channel()
    channel.on_loss = lambda error: told.append((type(error).__name__, channel.is_recovering))
    await bounce(connection, proxy)
    assert told == [("ConnectionLostError", True)]
    await channel.close()
    assert told == [("ConnectionLostError", True), ("ChannelClosed", False)]
