"""Connections that are cut, reset, swallowed, slowed and blocked."""

import asyncio

import pytest

import hopmq
from hopmq import Channel, Connection
from hopmq.broker import Broker
from hopmq.testing import Faults, TurnedClock
from hopmq.testing.faults import Direction, Fault
from hopmq.transport.memory import connect_memory
from hopmq.url import parse_url
from parity.driver import Peer
from testing.faults.transfer import echoed


async def reason(connection: Connection) -> str:
    """Return the text of what ended a connection."""
    error = await connection.wait_closed()
    assert isinstance(error, hopmq.ConnectionLostError)
    return str(error)


# --- cut ---------------------------------------------------------------------------------------


async def test_disconnect_ends_the_stream(faults: Faults, connection: Connection) -> None:
    assert faults.disconnect().hits == 1
    assert "closed the link" in await reason(connection)


async def test_disconnect_by_reset_resets(faults: Faults, connection: Connection) -> None:
    faults.disconnect(reset=True)
    assert "reset" in await reason(connection)


async def test_the_broker_knows_at_once_that_a_client_was_cut_off(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    await connection.declare_queue("own", exclusive=True)
    faults.disconnect()
    await connection.wait_closed()
    assert not broker.state.peers
    assert "own" not in broker.state.vhosts["/"].queues


async def test_a_cut_at_a_publish_keeps_it_from_the_queue(
    broker: Broker, faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    cut = faults.cut("Basic.Publish", nth=2)
    await channel.publish(b"first", routing_key="q")
    with pytest.raises(hopmq.PublishUnknownError):
        await channel.publish(b"second", routing_key="q")
    await cut.happened()
    assert broker.state.vhosts["/"].queues["q"].ready == 1


async def test_a_cut_after_the_confirm_leaves_with_it(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    faults.cut("Basic.Ack", direction="to_client", let_through=None)
    await channel.publish(b"confirmed", routing_key="q")
    await reason(connection)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_cut_before_the_confirm_leaves_the_outcome_open(
    broker: Broker, faults: Faults, connection: Connection, channel: Channel, reset: bool
) -> None:
    await connection.declare_queue("q")
    faults.cut("Basic.Ack", direction="to_client", reset=reset)
    with pytest.raises(hopmq.PublishUnknownError):
        await channel.publish(b"arrived", routing_key="q")
    assert broker.state.vhosts["/"].queues["q"].ready == 1


async def test_a_cut_within_a_frame_leaves_a_part_of_it(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    faults.cut("Queue.DeclareOk", let_through=9)
    with pytest.raises(hopmq.ConnectionLostError):
        await connection.declare_queue("q")


@pytest.mark.parametrize("at", ["protocol-header", "Connection.StartOk", "Connection.Tune"])
async def test_a_handshake_can_be_cut(broker: Broker, faults: Faults, at: str) -> None:
    with faults.cut(at) as cut:
        with pytest.raises(hopmq.ConnectError):
            await hopmq.connect(broker.url)
        assert cut.hits == 1


async def test_after_so_many_bytes_a_connection_is_cut_wherever_that_is(
    broker: Broker, faults: Faults
) -> None:
    for size in (0, 7, 8, 9, 40):
        with faults.cut_after(size) as cut:
            with pytest.raises(hopmq.ConnectError):
                await hopmq.connect(broker.url)
            await cut.happened()


async def test_exactly_so_many_bytes_arrive() -> None:
    async with Broker() as broker:
        Faults(broker).cut_after(9, direction="to_client")
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(b"AMQP\x00\x00\x09\x01")
        assert len(await reader.read()) == 9
        writer.close()


async def test_a_connection_that_sends_less_is_not_cut(
    faults: Faults, connection: Connection
) -> None:
    cut = faults.cut_after(10_000)
    await echoed(connection, b"small")
    assert not cut.hits


# --- whom it is for ----------------------------------------------------------------------------


@pytest.mark.parametrize("name, hit", [("subject", True), ("sub*", True), ("other", False)])
async def test_a_name_says_which_connection_is_meant(
    faults: Faults, connection: Connection, name: str, hit: bool
) -> None:
    assert faults.on(connection=name).disconnect().hits == hit


@pytest.mark.parametrize("user, hit", [("guest", True), ("somebody", False)])
async def test_a_user_says_which_connection_is_meant(
    faults: Faults, connection: Connection, user: str, hit: bool
) -> None:
    assert faults.on(user=user).disconnect().hits == hit


async def test_a_channel_says_which_frames_are_meant(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    second = await connection.channel()
    cut = faults.on(channel=second.number).cut("Basic.Publish")
    await connection.declare_queue("q")
    await channel.publish(b"1", routing_key="q")
    assert not cut.hits
    with pytest.raises(hopmq.PublishUnknownError):
        await second.publish(b"2", routing_key="q")


async def test_a_queue_says_which_frames_are_meant(faults: Faults, connection: Connection) -> None:
    faults.on(queue="second").cut("Queue.Declare")
    await connection.declare_queue("first")
    with pytest.raises(hopmq.ConnectionLostError):
        await connection.declare_queue("second")


# --- black holes -------------------------------------------------------------------------------


async def unanswered(connection: Connection, fault: Fault) -> None:
    """Declare a queue, and wait for an answer for a short while after a fault has kept it away."""
    declaring = asyncio.ensure_future(connection.declare_queue("q"))
    await fault.happened()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(declaring, 0.05)


DIRECTIONS: list[Direction | None] = [None, "to_broker", "to_client"]


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_black_hole_answers_nothing_and_closes_nothing(
    faults: Faults, connection: Connection, direction: Direction | None
) -> None:
    with faults.black_hole(direction) as hole:
        await unanswered(connection, hole)
        assert connection.is_open


async def test_what_a_black_hole_swallowed_never_arrives(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    with faults.black_hole("to_broker") as hole:
        await unanswered(connection, hole)
    assert "reset" in await reason(connection)
    assert "q" not in broker.state.vhosts["/"].queues


async def test_a_connection_that_lost_nothing_goes_on_after_a_black_hole(
    faults: Faults, connection: Connection
) -> None:
    with faults.black_hole():
        await asyncio.sleep(0)
    assert await echoed(connection, b"alive") == b"alive"


async def test_behind_a_black_hole_the_broker_does_not_see_its_client_go(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    hole = faults.black_hole("to_broker")
    await connection.close(timeout=0.05)
    await hole.happened()
    assert len(broker.state.peers) == 1


async def test_a_client_that_hangs_up_into_a_black_hole_is_not_answered() -> None:
    async with Broker() as broker:
        with Faults(broker).black_hole("to_broker"):
            reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            writer.write_eof()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.05)
        writer.close()


async def test_behind_a_black_hole_a_client_does_not_see_that_the_broker_has_given_it_up(
    name: str,
) -> None:
    clock = TurnedClock()
    async with Broker(host=None, name=name, clock=clock, heartbeat=10) as broker:
        peer = Peer(parse_url(broker.url))
        await connect_memory(name, peer)
        await peer.handshake(heartbeat=10)
        with Faults(broker).black_hole():
            await clock.advance(30)
            assert not broker.state.peers
            assert not peer.gone


@pytest.mark.usefixtures("_patience")
async def test_a_broker_stops_at_once_in_spite_of_a_stall(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    faults.stall("Connection.Close")
    await broker.stop()
    assert (await connection.wait_closed()).reply_code == 320


@pytest.mark.usefixtures("_patience")
async def test_a_broker_stops_at_once_in_spite_of_a_black_hole(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    faults.black_hole()
    await broker.stop()
    await reason(connection)


async def test_new_connections_fall_into_a_black_hole(broker: Broker, faults: Faults) -> None:
    faults.black_hole("to_client")
    with pytest.raises(hopmq.ConnectTimeoutError):
        await hopmq.connect(broker.url, connect_timeout=0.1)


# --- held --------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_what_is_held_arrives_when_it_is_let_go(
    broker: Broker, faults: Faults, connection: Connection, direction: Direction | None
) -> None:
    await connection.declare_queue("other")
    hold = faults.hold(direction)
    await unanswered(connection, hold)
    assert ("q" in broker.state.vhosts["/"].queues) == (direction == "to_client")
    hold.cancel()
    assert await echoed(connection, b"alive") == b"alive"
    await connection.declare_queue("q", passive=True)


async def test_a_close_that_is_held_is_seen_when_it_is_let_go(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    hold = faults.hold("to_broker")
    await connection.close(timeout=0.05)
    assert len(broker.state.peers) == 1
    hold.cancel()
    while broker.state.peers:
        await asyncio.sleep(0)


# --- pace --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_everything_works_in_pieces(
    broker: Broker, faults: Faults, size: int, direction: Direction | None
) -> None:
    split = faults.split(size, direction=direction)
    async with hopmq.connect(broker.url) as connection:
        assert await echoed(connection, b"in pieces") == b"in pieces"
    assert split.hits


async def test_delayed_bytes_take_their_time(name: str) -> None:
    clock = TurnedClock()
    async with Broker(host=None, name=name, clock=clock, heartbeat=0) as broker:
        faults = Faults(broker)
        async with hopmq.connect(broker.url) as connection:
            await connection.declare_queue("q")
            delay = faults.delay(2.0, direction="to_client")
            declare = asyncio.ensure_future(connection.declare_queue("q"))
            await clock.advance(1.9)
            assert not declare.done()
            await clock.advance(0.1)
            await declare
            delay.cancel()


async def test_a_throttled_connection_takes_as_long_as_its_bytes(name: str) -> None:
    clock = TurnedClock()
    async with Broker(host=None, name=name, clock=clock, heartbeat=0) as broker:
        faults = Faults(broker)
        async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
            await connection.declare_queue("q")
            with faults.throttle(1000, direction="to_broker"):
                publish = asyncio.ensure_future(channel.publish(bytes(5000), routing_key="q"))
                await clock.advance(4.9)
                assert not publish.done()
                await clock.advance(0.3)
                await publish


async def test_a_lost_segment_comes_later_and_all_behind_it(name: str) -> None:
    clock = TurnedClock()
    async with (
        Broker(host=None, name=name, clock=clock, heartbeat=0) as broker,
        hopmq.connect(broker.url) as connection,
    ):
        await connection.declare_queue("q")
        # The first of these random numbers is below a half, the next is not.
        loss = Faults(broker).lose(0.5, direction="to_broker", retransmit=0.2, seed=1)
        declare = asyncio.ensure_future(connection.declare_queue("q"))
        await clock.advance(0.19)
        assert not declare.done()
        await clock.advance(0.02)
        await declare
        loss.cancel()


# --- blocked -----------------------------------------------------------------------------------


async def blocking(connection: Connection) -> None:
    """Wait until a connection knows that it is blocked."""
    while not connection.is_blocked:
        await asyncio.sleep(0)


async def test_a_blocked_connection_holds_its_publishes_until_it_is_unblocked(
    faults: Faults, connection: Connection, channel: Channel
) -> None:
    await connection.declare_queue("q")
    with faults.block("no room") as blocked:
        await blocking(connection)
        publish = asyncio.ensure_future(channel.publish(b"", routing_key="q"))
        await asyncio.sleep(0.02)
        assert not publish.done()
        assert blocked.hits == 1
    await publish


async def test_a_new_connection_is_blocked_when_it_publishes(
    broker: Broker, faults: Faults
) -> None:
    with faults.block() as blocked:
        async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
            await connection.declare_queue("q")
            assert not blocked.hits
            first = asyncio.ensure_future(channel.publish(b"waits", routing_key="q"))
            await blocking(connection)
            with pytest.raises(hopmq.PublishNotSentError):
                await channel.publish(b"held", routing_key="q", timeout=0.05)
            assert not first.done()
            blocked.cancel()
            await first
            await channel.publish(b"free", routing_key="q")


@pytest.mark.usefixtures("_patience")
async def test_a_broker_stops_at_once_though_connections_are_blocked(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    faults.block()
    await broker.stop()
    error = await connection.wait_closed()
    assert error.reply_code == 320
