"""Exclusive queues, and those that go with their last consumer."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hopmq.wire import Ack
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer
from parity.endings import refusal, resource_locked
from parity.waiting import eventually

Request = Callable[[ChannelDriver, str], Coroutine[Any, Any, object]]

REFUSED: dict[str, tuple[Request, tuple[int, int]]] = {
    "declare": (lambda channel, queue: channel.declare(queue, exclusive=True), (50, 10)),
    "declare for all": (lambda channel, queue: channel.declare(queue), (50, 10)),
    "declare passively": (lambda channel, queue: channel.declare(queue, passive=True), (50, 10)),
    "bind": (lambda channel, queue: channel.bind(queue, "amq.direct", "key"), (50, 20)),
    "purge": (lambda channel, queue: channel.purge(queue), (50, 30)),
    "delete": (lambda channel, queue: channel.delete(queue), (50, 40)),
    "consume": (lambda channel, queue: channel.consume(queue), (60, 20)),
    "get": (lambda channel, queue: channel.get(queue), (60, 70)),
}


async def exists(peer: Peer, queue: str) -> bool:
    """Tell whether there is such a queue, at the cost of a channel if not."""
    channel = await peer.channel()
    try:
        await channel.declare(queue, passive=True)
    except Closed as closed:
        if not closed.is_missing and closed.code != 405:
            raise
        return closed.code == 405
    await channel.close()
    return True


@pytest.mark.parametrize("request_name", REFUSED)
async def test_another_connection_is_locked_out(
    peer: Peer, channel: ChannelDriver, name: str, request_name: str
) -> None:
    owner = await peer.channel()
    await owner.declare(name, exclusive=True)
    ask, blamed = REFUSED[request_name]
    closed = await refusal(ask(channel, name))
    assert closed.answer == resource_locked(name)
    assert closed.blamed == blamed


async def test_another_connection_may_publish_to_it(
    peer: Peer, channel: ChannelDriver, name: str
) -> None:
    owner = await peer.channel()
    await owner.declare(name, exclusive=True)
    await channel.confirm()
    channel.publish(b"a message", routing_key=name, mandatory=True)
    await channel.next(Ack)
    assert await owner.drain(name) == [b"a message"]


async def test_another_channel_of_the_connection_may_use_it(peer: Peer, name: str) -> None:
    owner = await peer.channel()
    await owner.declare(name, exclusive=True)
    await owner.close()
    other = await peer.channel()
    await other.declare(name, exclusive=True)
    await other.consume(name)
    await other.delete(name)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("abort", [False, True], ids=["closed", "lost"])
async def test_an_exclusive_queue_goes_with_its_connection(
    peer: Peer, second_peer: Peer, name: str, durable: bool, abort: bool
) -> None:
    await (await peer.channel()).declare(name, exclusive=True, durable=durable)
    assert await exists(second_peer, name)
    if abort:
        peer.abort()
    else:
        await peer.close()

    async def is_gone() -> bool:
        return not await exists(second_peer, name)

    await eventually(is_gone)


# --- auto-delete -------------------------------------------------------------------------------


async def test_an_auto_delete_queue_waits_for_its_first_consumer(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, auto_delete=True)
    channel.publish(routing_key=name)
    assert len(await channel.drain(name)) == 1
    assert await exists(channel.peer, name)


async def test_an_auto_delete_queue_goes_when_its_last_consumer_is_cancelled(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, auto_delete=True)
    first = await channel.consume(name)
    second = await channel.consume(name)
    await channel.cancel(first)
    assert await exists(channel.peer, name)
    await channel.cancel(second)
    assert not await exists(channel.peer, name)


async def test_an_auto_delete_queue_goes_with_the_channel_of_its_last_consumer(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, auto_delete=True)
    consumers = await channel.peer.channel()
    await consumers.consume(name)
    await consumers.close()
    assert not await exists(channel.peer, name)


async def test_an_auto_delete_queue_goes_with_the_connection_of_its_last_consumer(
    peer: Peer, channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, auto_delete=True)
    await (await peer.channel()).consume(name)
    peer.abort()

    async def is_gone() -> bool:
        return not await exists(channel.peer, name)

    await eventually(is_gone)


async def test_an_auto_delete_queue_goes_with_its_messages_unsettled(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, auto_delete=True)
    channel.publish(routing_key=name)
    await channel.get(name, no_ack=False)
    tag = await channel.consume(name)
    await channel.cancel(tag)
    assert not await exists(channel.peer, name)
    channel.ack(1)
    await channel.expect_silence()
