"""Queues go away by themselves: unused for x-expires, or after their last consumer."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Returned
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer
from parity.queues import both_kinds, declare_kind, fill
from parity.waiting import eventually, in_time, pass_time

EXPIRES = 150
"""Milliseconds after which an unused queue of these tests goes away."""


async def exists(peer: Peer, queue: str) -> bool:
    """Ask on a channel of its own whether there is such a queue."""
    channel = await peer.channel()
    try:
        await channel.declare(queue, passive=True)
    except Closed as closed:
        if not closed.is_missing:
            raise
        return False
    await channel.close()
    return True


async def vanishes(peer: Peer, queue: str) -> None:
    """Wait until the queue is gone, without using it so often that it stays."""
    probe = f"{queue}-probe"
    channel = await peer.channel()
    await channel.exchange(probe, "fanout")
    try:
        await channel.bind(queue, probe)
    except Closed:
        return  # gone already

    async def look() -> bool:
        asking = await peer.channel()
        try:
            await asking.delete_exchange(probe, if_unused=True)
        except Closed:
            return False  # its only binding is there as long as the queue is
        return True

    async def gone() -> bool:
        return not await exists(peer, queue)

    await eventually(look)
    await eventually(gone)  # 4.3 forgets a queue a moment after its bindings
    await channel.close()


# --- x-expires ---------------------------------------------------------------------------------


@both_kinds
async def test_an_unused_queue_expires_with_its_messages(peer: Peer, name: str, kind: str) -> None:
    channel = await peer.channel()
    await declare_kind(channel, name, kind, {"x-expires": EXPIRES})
    await fill(channel, name, b"1")
    await vanishes(peer, name)
    assert not await exists(peer, name)


async def test_a_consumer_keeps_it(peer: Peer, name: str) -> None:
    queues = (f"{name}-{number}" for number in itertools.count())

    async def declare_and_consume(channel: ChannelDriver) -> tuple[ChannelDriver, str, str]:
        queue = next(queues)
        await channel.declare(queue, arguments={"x-expires": EXPIRES})
        return channel, queue, await channel.consume(queue)

    channel, queue, tag = await in_time(EXPIRES / 1000, peer.channel, declare_and_consume)
    await pass_time(2 * EXPIRES / 1000)
    assert await exists(peer, queue)
    await channel.cancel(tag)
    await vanishes(peer, queue)


@pytest.mark.parametrize("use", ["get", "redeclare", "passive"])
async def test_using_it_begins_the_time_anew(peer: Peer, name: str, use: str) -> None:
    arguments: FieldTable = {"x-expires": 4 * EXPIRES}
    uses: dict[str, Use] = {
        "get": lambda channel: channel.get(name),
        "redeclare": lambda channel: channel.declare(name, arguments=arguments),
        "passive": lambda channel: channel.declare(name, passive=True),
    }

    while not await lives_on(await peer.channel(), uses["redeclare"], uses[use]):
        pass


Use = Callable[[ChannelDriver], Coroutine[Any, Any, object]]


async def lives_on(channel: ChannelDriver, declare: Use, use: Use) -> bool:
    """Use the queue ten times; tell whether the machine let that be often enough."""
    clock = asyncio.get_running_loop().time
    used = clock()
    await declare(channel)
    for _ in range(10):
        before = used
        await pass_time(EXPIRES / 2000)
        used = clock()
        try:
            await use(channel)
        except Closed:
            if clock() - before < 4 * EXPIRES / 1000:
                raise
            return False
    return True


async def test_publishing_is_no_use(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, arguments={"x-expires": EXPIRES})

    async def returned() -> bool:
        channel.publish(b"1", routing_key=name, mandatory=True)
        await channel.qos(0)
        return bool(channel.inbox)

    await eventually(returned)
    await channel.next(Returned)


# --- auto-delete -------------------------------------------------------------------------------


async def test_the_last_cancel_deletes(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, auto_delete=True)
    tags = [await channel.consume(name) for _ in range(2)]
    await channel.cancel(tags[0])
    assert await exists(peer, name)
    await channel.cancel(tags[1])
    assert not await exists(peer, name)


@pytest.mark.parametrize("how", ["channel", "connection", "cut"])
async def test_the_end_of_the_last_consumers_channel_deletes(
    peer: Peer, second_peer: Peer, name: str, how: str
) -> None:
    channel = await peer.channel()
    await channel.declare(name, auto_delete=True)
    await channel.consume(name)
    if how == "channel":
        await channel.close()
    elif how == "connection":
        await peer.close()
    else:
        peer.abort()

    async def gone() -> bool:
        return not await exists(second_peer, name)

    await eventually(gone)


async def test_without_any_consumer_ever_it_stays(peer: Peer, second_peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, auto_delete=True)
    await fill(channel, name, b"1")
    assert await channel.get(name) is not None
    await peer.close()
    assert await exists(second_peer, name)


async def test_a_refused_consumer_does_not_count(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, auto_delete=True)
    await channel.consume(name, exclusive=True)
    other = await peer.channel()
    with pytest.raises(Closed):
        await other.consume(name)
    assert await exists(peer, name)


# --- exclusive queues --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["connection", "cut"])
@pytest.mark.parametrize("durable", [False, True])
async def test_the_connections_end_deletes_its_exclusive_queues(
    peer: Peer, second_peer: Peer, name: str, how: str, durable: bool
) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True, durable=durable)
    await (peer.close() if how == "connection" else _cut(peer))

    async def gone() -> bool:
        try:
            return not await exists(second_peer, name)
        except Closed:
            return False  # still locked

    await eventually(gone)


async def _cut(peer: Peer) -> None:
    peer.abort()


async def test_its_channels_end_does_not(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    await channel.close()
    assert await exists(peer, name)


async def test_after_close_ok_the_queue_is_gone(peer: Peer, second_peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    await peer.close()
    assert not await exists(second_peer, name)


LOCKED = (
    "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{}' in vhost '/'."
    " It could be originally declared on another connection or the exclusive property"
    " value does not match that of the original declaration."
)


@pytest.mark.parametrize(
    "method", ["declare", "passive", "consume", "get", "bind", "purge", "delete"]
)
async def test_others_are_locked_out(peer: Peer, second_peer: Peer, name: str, method: str) -> None:
    await (await peer.channel()).declare(name, exclusive=True)
    other = await second_peer.channel()
    requests = {
        "declare": lambda: other.declare(name, exclusive=True),
        "passive": lambda: other.declare(name, passive=True),
        "consume": lambda: other.consume(name),
        "get": lambda: other.get(name),
        "bind": lambda: other.bind(name, "amq.fanout"),
        "purge": lambda: other.purge(name),
        "delete": lambda: other.delete(name),
    }
    with pytest.raises(Closed) as caught:
        await requests[method]()
    assert caught.value.answer == ("channel", 405, LOCKED.format(name))


async def test_anybody_may_publish_to_it(
    peer: Peer, second_peer: Peer, channel: ChannelDriver, name: str
) -> None:
    own = await peer.channel()
    await own.declare(name, exclusive=True)
    await fill(channel, name, b"from outside")
    message = await own.get(name)
    assert message is not None
    assert message.body == b"from outside"
