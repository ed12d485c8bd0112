"""While the broker is low on memory, connections that publish are not read; others go on.

Raising and ending an alarm of RabbitMQ takes a second each. So it stays on from test to test,
and the tests that need it off stand at both ends.
"""

from collections.abc import AsyncIterator

import pytest
from pamqp.commands import Connection, Queue

from conftest import RunningBroker
from hopmq.wire import Ack, Delivery
from parity.channel import ChannelDriver
from parity.conditions import MemoryAlarm
from parity.driver import Peer
from parity.peers import Peers
from parity.queues import SHORT
from parity.waiting import pass_time


@pytest.fixture(scope="module")
async def alarm(broker: RunningBroker) -> AsyncIterator[MemoryAlarm]:
    """Return the broker's alarm; it is over after the module."""
    alarm = MemoryAlarm(broker)
    yield alarm
    await alarm.clear()


@pytest.fixture
async def alarmed(alarm: MemoryAlarm) -> MemoryAlarm:
    """Return the alarm, raised."""
    await alarm.raise_()
    return alarm


@pytest.fixture
async def queue(channel: ChannelDriver, name: str) -> str:
    """Return a queue."""
    await channel.declare(name)
    return name


async def block(channel: ChannelDriver, queue: str, body: bytes = b"held") -> None:
    """Publish, and expect the connection to be blocked by it."""
    channel.publish(body, routing_key=queue)
    blocked = await channel.peer.control.next(Connection.Blocked)
    assert blocked.reason == "low on memory"


# --- before and during the alarm ---------------------------------------------------------------


async def test_who_published_before_is_told_at_the_next_publish(
    queue: str, peer: Peer, alarm: MemoryAlarm
) -> None:
    await alarm.clear()
    channel = await peer.channel()
    channel.publish(b"before", routing_key=queue)
    await channel.qos(1)
    await alarm.raise_()
    await channel.qos(2)
    assert not peer.control.inbox
    await block(channel, queue)


async def test_consumers_are_served_meanwhile(
    queue: str, peer: Peer, second_peer: Peer, alarm: MemoryAlarm
) -> None:
    await alarm.clear()
    publisher, consumer = await peer.channel(), await second_peer.channel()
    publisher.publish(b"1", routing_key=queue)
    publisher.publish(b"2", routing_key=queue)
    await publisher.count(queue)
    await alarm.raise_()
    await consumer.qos(1)
    await consumer.consume(queue)
    for body in (b"1", b"2"):
        delivery = await consumer.next(Delivery)
        assert delivery.body == body
        consumer.ack(delivery.delivery_tag)


# --- during the alarm --------------------------------------------------------------------------


async def test_a_publish_blocks_the_connection_and_waits(
    queue: str, peer: Peer, second_peer: Peer, alarmed: MemoryAlarm
) -> None:
    looking = await second_peer.channel()
    await block(await peer.channel(), queue)
    await pass_time(SHORT)
    assert await looking.count(queue) == 0


async def test_who_does_not_publish_is_not_told(
    queue: str, peer: Peer, alarmed: MemoryAlarm
) -> None:
    channel = await peer.channel()
    await channel.consume(queue)
    await channel.declare(queue, passive=True)
    assert not peer.control.inbox


async def test_an_unroutable_publish_blocks_too(peer: Peer, alarmed: MemoryAlarm) -> None:
    await block(await peer.channel(), "no-such-queue")


async def test_all_requests_of_a_blocked_connection_wait(
    queue: str, peer: Peer, alarmed: MemoryAlarm
) -> None:
    channel, other = await peer.channel(), await peer.channel()
    await block(channel, queue)
    other.send(Queue.Declare, queue=queue, passive=True)
    await pass_time(SHORT)
    assert not other.inbox


async def test_new_connections_are_taken_meanwhile(
    queue: str, peers: Peers, alarmed: MemoryAlarm
) -> None:
    peer = await peers.open()
    channel = await peer.channel()
    assert await channel.count(queue) == 0
    assert not peer.control.inbox
    await block(channel, queue)


async def test_a_blocked_peer_that_is_cut_leaves_the_others_alone(
    channel: ChannelDriver, queue: str, peer: Peer, alarmed: MemoryAlarm
) -> None:
    await block(await peer.channel(), queue)
    peer.abort()
    assert await channel.count(queue) == 0


# --- after the alarm ---------------------------------------------------------------------------


async def test_what_was_held_is_done_in_order_after_the_alarm(
    queue: str, peer: Peer, second_peer: Peer, alarmed: MemoryAlarm
) -> None:
    channel, looking = await peer.channel(), await second_peer.channel()
    await looking.consume(queue, no_ack=True)
    await channel.confirm()
    await block(channel, queue, b"first")
    channel.publish(b"second", routing_key=queue)
    channel.send(Queue.Declare, queue=queue, passive=True)
    peer.control.send(Connection.Close, reply_code=200, reply_text="done")
    await pass_time(SHORT)
    assert not channel.inbox
    assert not peer.control.inbox
    await alarmed.clear()
    await peer.control.next(Connection.Unblocked)
    await channel.expect(Queue.DeclareOk)
    await peer.control.expect(Connection.CloseOk)
    assert [each.body for each in await looking.collect(Delivery, 2)] == [b"first", b"second"]
    assert {type(each).__name__ for each in channel.inbox} <= {Ack.__name__}


async def test_each_alarm_is_told_anew_and_only_to_those_who_understand(
    queue: str, peer: Peer, peers: Peers, alarm: MemoryAlarm
) -> None:
    channel = await peer.channel()
    deaf = await peers.open(client_properties={"capabilities": {}})
    unaware = await deaf.channel()
    await alarm.raise_()
    await block(channel, queue)
    unaware.publish(b"held", routing_key=queue)
    unaware.send(Queue.Declare, queue=queue, passive=True)
    await pass_time(2 * SHORT)
    assert not unaware.inbox
    await alarm.clear()
    await peer.control.next(Connection.Unblocked)
    await unaware.expect(Queue.DeclareOk)
    assert not deaf.control.inbox
    await alarm.raise_()
    await block(channel, queue)
