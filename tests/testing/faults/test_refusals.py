"""Requests that are refused, replies that do not come, and ends of the broker's own accord."""

import asyncio

import pytest
from pamqp.commands import Basic

import hopmq
from hopmq import Channel, Connection, wire
from hopmq.broker import Broker
from hopmq.testing import Faults
from parity.driver import Peer


async def test_the_next_declare_is_refused_with_a_code_and_a_text(
    faults: Faults, connection: Connection
) -> None:
    refused = faults.refuse("Queue.Declare", code=406, text="PRECONDITION_FAILED - because")
    with pytest.raises(hopmq.PreconditionFailedError, match="because") as caught:
        await connection.declare_queue("q")
    assert (caught.value.class_id, caught.value.method_id) == (50, 10)
    await connection.declare_queue("q")
    assert refused.hits == 1


async def test_a_code_of_connections_costs_the_connection(
    faults: Faults, connection: Connection
) -> None:
    faults.refuse("Queue.Declare", code=541)
    with pytest.raises(hopmq.ConnectionClosed, match="INTERNAL_ERROR - refused by a fault"):
        await connection.declare_queue("q")
    assert not connection.is_open


async def test_any_code_can_be_made_to_cost_the_connection(
    faults: Faults, connection: Connection
) -> None:
    faults.refuse("Queue.Declare", code=404, closes_connection=True)
    with pytest.raises(hopmq.ConnectionClosed) as caught:
        await connection.declare_queue("q")
    assert caught.value.reply_code == 404


async def test_a_queue_says_which_declares_are_refused(
    faults: Faults, connection: Connection
) -> None:
    faults.on(queue="bad-*").refuse("Queue.Declare", code=403, times=None)
    await connection.declare_queue("good")
    for _ in range(2):
        with pytest.raises(hopmq.AccessRefusedError):
            await connection.declare_queue("bad-1")


async def test_a_publish_can_be_refused(
    faults: Faults, channel: Channel, connection: Connection
) -> None:
    faults.refuse("Basic.Publish", code=404)
    with pytest.raises(hopmq.PublishError):
        await channel.publish(b"", routing_key="q")
    assert not channel.is_open
    assert connection.is_open


async def test_an_acknowledgement_can_be_refused(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    await channel.publish(b"", routing_key="q")
    message = await channel.get("q")
    assert message is not None
    refused = faults.refuse("Basic.Ack", code=406)
    message.ack()
    await refused.happened()
    with pytest.raises(hopmq.PreconditionFailedError):
        await channel.get("q")


async def test_the_login_can_be_refused(broker: Broker, faults: Faults) -> None:
    faults.refuse("Connection.StartOk", code=403, text="ACCESS_REFUSED - not today")
    with pytest.raises(hopmq.AuthenticationError):
        await hopmq.connect(broker.url)
    async with hopmq.connect(broker.url):
        pass


async def test_the_virtual_host_can_be_refused(broker: Broker, faults: Faults) -> None:
    faults.refuse("Connection.Open", code=530, text="NOT_ALLOWED - vhost / not found")
    with pytest.raises(hopmq.VhostNotFoundError):
        await hopmq.connect(broker.url)


async def test_a_method_that_does_not_exist_is_named(faults: Faults) -> None:
    with pytest.raises(hopmq.UsageError, match=r"Queue\.Declair"):
        faults.refuse("Queue.Declair", code=404)


async def test_a_locked_queue_is_another_connections(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    with faults.lock_queue("q") as locked:
        with pytest.raises(hopmq.ResourceLockedError, match="exclusive access to locked queue 'q'"):
            await connection.declare_queue("q")
        with pytest.raises(hopmq.ResourceLockedError):
            await channel.get("q")
        await connection.declare_queue("other")
        assert locked.hits == 2
    await connection.declare_queue("q")


async def test_a_lock_can_end_by_itself(faults: Faults, connection: Connection) -> None:
    faults.lock_queue("q", times=2)
    for _ in range(2):
        with pytest.raises(hopmq.ResourceLockedError):
            await connection.declare_queue("q")
    await connection.declare_queue("q")


# --- replies that do not come --------------------------------------------------------------------


async def test_a_stalled_reply_comes_when_it_is_released(
    faults: Faults, connection: Connection
) -> None:
    stalled = faults.stall("Queue.DeclareOk")
    declare = asyncio.ensure_future(connection.declare_queue("q"))
    await stalled.happened()
    async with connection.channel():  # other channels go on
        assert not declare.done()
    stalled.release()
    assert (await declare).name == "q"


async def test_what_follows_a_stalled_reply_stays_behind_it(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    await channel.publish(b"waiting", routing_key="q")
    with faults.stall("Basic.ConsumeOk") as stalled:
        consuming = asyncio.ensure_future(first_of(channel, "q"))
        await stalled.happened()
        await asyncio.sleep(0.02)
        assert not consuming.done()
    assert await consuming == b"waiting"


async def test_a_channel_keeps_its_order_behind_a_stalled_reply() -> None:
    async with Broker() as broker:
        peer = await Peer.open(broker.url)
        channel, other = await peer.channel(), await peer.channel()
        await channel.declare("q")
        channel.publish(b"waiting", routing_key="q")
        stalled = Faults(broker).stall("Basic.ConsumeOk")
        channel.send(Basic.Consume, queue="q", no_ack=True)
        await stalled.happened()
        await other.declare("q", passive=True)
        assert not channel.inbox
        stalled.release()
        await channel.expect(Basic.ConsumeOk)
        assert (await channel.next(wire.active.Delivery)).body == b"waiting"
        await peer.close()


async def first_of(channel: Channel, queue: str) -> bytes:
    """Consume one message."""
    async with channel.consume(queue) as consumer:
        async for message in consumer:
            message.ack()
            return bytes(message.body)
    raise AssertionError("the consumer has ended")


async def test_a_lost_request_is_never_answered(faults: Faults, connection: Connection) -> None:
    lost = faults.inject(b"", at="Queue.Declare", direction="to_broker")
    declare = asyncio.ensure_future(connection.declare_queue("q"))
    await lost.happened()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(declare, 0.05)
    assert connection.is_open


# --- malformed frames ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"\x01\x00\x00\x00\x00\x00\x01\x00\xff", b"HTTP/1.1 200 OK\r\n", b"\x09" * 8]
)
async def test_malformed_frames_end_the_connection_on_the_clients_side(
    faults: Faults, connection: Connection, data: bytes
) -> None:
    faults.inject(data, at="Queue.DeclareOk")
    with pytest.raises(hopmq.ConnectionClosed) as caught:
        await connection.declare_queue("q")
    assert caught.value.reply_code == 501
    assert not caught.value.by_peer


async def test_raw_bytes_can_be_sent_at_once(faults: Faults, connection: Connection) -> None:
    assert faults.send_raw(b"\x09" * 8).hits == 1
    assert (await connection.wait_closed()).reply_code == 501


async def test_raw_bytes_go_before_and_after_a_frame(
    faults: Faults, connection: Connection
) -> None:
    heartbeat = b"\x08\x00\x00\x00\x00\x00\x00\xce"
    faults.inject(heartbeat, at="Queue.DeclareOk", place="before")
    await connection.declare_queue("q")
    faults.inject(heartbeat * 3, at="Queue.DeclareOk", place="after")
    await connection.declare_queue("q")


# --- the broker's own accord -----------------------------------------------------------------------


async def test_cancelled_consumers_are_told_and_their_queue_stays(
    broker: Broker, faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    async with channel.consume("q") as consumer:
        assert faults.on(queue="q").cancel_consumers().hits == 1
        with pytest.raises(hopmq.ConsumerCancelledError):
            await anext(aiter(consumer))
    assert not len(broker.state.vhosts["/"].queues["q"].roster)


async def test_a_queue_is_deleted_under_its_consumers(
    broker: Broker, faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    async with channel.consume("q") as consumer:
        assert faults.delete_queue("q").hits == 1
        with pytest.raises(hopmq.ConsumerCancelledError):
            await anext(aiter(consumer))
    assert "q" not in broker.state.vhosts["/"].queues


async def test_a_channel_is_closed_with_a_code(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    closed = faults.on(channel=channel.number).close_channel(406, "PRECONDITION_FAILED - so")
    assert closed.hits == 1
    with pytest.raises(hopmq.PreconditionFailedError, match="so"):
        await channel.get("q")
    assert connection.is_open


async def test_a_connection_is_closed_with_a_code(faults: Faults, connection: Connection) -> None:
    faults.close_connection(320, "CONNECTION_FORCED - go away")
    error = await connection.wait_closed()
    assert (error.reply_code, error.by_peer) == (320, True)
    assert "go away" in str(error)
