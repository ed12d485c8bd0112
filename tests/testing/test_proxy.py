"""A proxy passes everything on as it is, and breaks connections when it is told."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest

import hopmq
from client.proxy import hang_up
from hopmq.broker import Broker
from hopmq.errors import UsageError
from hopmq.testing import FaultProxy
from hopmq.testing.faults import Direction
from testing.faults.transfer import echoed

SECONDS = 20.0
DIRECTIONS: list[Direction | None] = [None, "to_broker", "to_client"]


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


class Upstream:
    """A server that shows what arrives, and says what it is told.

    Attributes:
        received: What has arrived, of all clients.
        ends: How clients have ended: `eof`, or the name of an error.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        self.writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self._arrived = asyncio.Event()
        # Both: asyncio drops the connection of a reader that nobody refers to.
        self._all: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all.append((reader, writer))
        self.writers.put_nowait(writer)
        try:
            while data := await reader.read(65_536):
                self.received += data
                self._arrived.set()
            self.ends.put_nowait("eof")
        except ConnectionError as error:
            self.ends.put_nowait(type(error).__name__)

    async def has(self, size: int) -> bytes:
        """Return the first bytes once so many have arrived."""
        while len(self.received) < size:
            self._arrived.clear()
            await self._arrived.wait()
        return bytes(self.received[:size])

    async def drop(self) -> None:
        """Drop every client."""
        for _, writer in self._all:
            await hang_up(writer)


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    """Return a server, and its address."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    yield upstream, f"amqp://127.0.0.1:{port}"
    await upstream.drop()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def server(upstream: tuple[Upstream, str]) -> Upstream:
    """Return what the proxy stands before."""
    return upstream[0]


@pytest.fixture
async def bare(upstream: tuple[Upstream, str]) -> AsyncIterator[FaultProxy]:
    """Return a proxy before a server that does not speak AMQP."""
    async with FaultProxy(upstream[1]) as proxy:
        yield proxy


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker of the test's own."""
    async with Broker() as broker:
        yield broker


@pytest.fixture
async def proxy(broker: Broker) -> AsyncIterator[FaultProxy]:
    """Return a proxy before it."""
    async with FaultProxy(broker.url) as proxy:
        yield proxy


Dial = Callable[[], "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]"]


@pytest.fixture
async def dial(bare: FaultProxy) -> AsyncIterator[Dial]:
    """Return how to connect to the bare proxy."""
    writers: list[asyncio.StreamWriter] = []

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", bare.port)
        writers.append(writer)
        return reader, writer

    yield lambda: asyncio.ensure_future(connected())
    for writer in writers:
        await hang_up(writer)


# --- what passes -------------------------------------------------------------------------------


async def test_whatever_is_no_amqp_passes_as_it_is(server: Upstream, dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(bytes(range(256)) * 1000)
    assert await server.has(256_000) == bytes(range(256)) * 1000
    (await server.writers.get()).write(b"an answer")
    assert await reader.readexactly(9) == b"an answer"


async def test_a_part_of_a_frame_passes_at_the_end_of_the_stream(
    server: Upstream, dial: Dial
) -> None:
    _, writer = await dial()
    writer.write(b"AMQP\x00")
    writer.write_eof()
    assert await server.ends.get() == "eof"
    assert server.received == b"AMQP\x00"


async def test_the_end_of_one_direction_leaves_the_other_open(
    bare: FaultProxy, server: Upstream, dial: Dial
) -> None:
    reader, writer = await dial()
    writer.write_eof()
    assert await server.ends.get() == "eof"
    far = await server.writers.get()
    far.write(b"more")
    assert await reader.readexactly(4) == b"more"
    far.close()
    assert await reader.read() == b""
    while bare.open_connections:
        await asyncio.sleep(0.001)


async def test_a_reset_passes_as_a_reset(server: Upstream, dial: Dial) -> None:
    reader, writer = await dial()
    far = await server.writers.get()
    reset(far)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_large_message_passes_and_is_counted(proxy: FaultProxy) -> None:
    async with hopmq.connect(proxy.url) as connection:
        body = bytes(3_000_000)
        assert await echoed(connection, body) == body
    assert proxy.accepted == 1
    assert proxy.passed("to_broker") > 3_000_000
    assert proxy.passed("to_client") > 3_000_000


async def test_it_says_how_many_have_come_and_are_there(proxy: FaultProxy) -> None:
    first = await hopmq.connect(proxy.url)
    second = await hopmq.connect(proxy.url)
    await proxy.connected(2)
    assert proxy.open_connections == 2
    await first.close()
    await second.close()
    with pytest.raises(TimeoutError, match="2 of 3 connections"):
        await proxy.connected(3, timeout=0.01)


async def test_the_address_keeps_its_user_and_virtual_host() -> None:
    async with FaultProxy("amqp://me:pass%2Fword@host.example/team%2Fa?heartbeat=5") as proxy:
        expected = f"amqp://me:pass%2Fword@127.0.0.1:{proxy.port}/team%2Fa?heartbeat=5"
        assert proxy.url == expected
    async with FaultProxy("amqps://host.example") as proxy:
        assert proxy.url == f"amqps://localhost:{proxy.port}"


@pytest.mark.parametrize("url", ["memory://x", "amqp+unix:///run/amqp.sock", "http://x"])
def test_it_stands_before_brokers_behind_tcp(url: str) -> None:
    with pytest.raises(UsageError):
        FaultProxy(url)


async def test_what_needs_connections_needs_a_proxy_that_runs() -> None:
    proxy = FaultProxy("amqp://localhost")
    for call in (proxy.disconnect, proxy.black_hole, proxy.refuse_connections):
        with pytest.raises(UsageError, match="start it first"):
            call()


async def test_it_stops_and_starts_on_the_same_port(broker: Broker) -> None:
    proxy = FaultProxy(broker.url)
    await proxy.start()
    await proxy.start()
    url = proxy.url
    connection = await hopmq.connect(url, recovery=None)
    proxy.delay(60)
    await proxy.stop()
    await proxy.stop()
    assert isinstance(await connection.wait_closed(), hopmq.ConnectionLostError)
    await proxy.start()
    async with hopmq.connect(url) as connection:
        assert await echoed(connection, b"anew") == b"anew"
    await proxy.stop()


# --- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_reset", [False, True])
async def test_disconnect_ends_both_ends(
    bare: FaultProxy, server: Upstream, dial: Dial, by_reset: bool
) -> None:
    reader, writer = await dial()
    await server.writers.get()
    assert bare.disconnect(reset=by_reset).hits == 1
    if by_reset:
        with pytest.raises(ConnectionResetError):
            await reader.read()
    else:
        assert await reader.read() == b""
    assert await server.ends.get() == ("ConnectionResetError" if by_reset else "eof")
    writer.close()
    while bare.open_connections:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("by_reset", [False, True])
async def test_exactly_so_many_bytes_arrive_before_a_cut(
    bare: FaultProxy, server: Upstream, dial: Dial, by_reset: bool
) -> None:
    cut = bare.cut_after(300_000, reset=by_reset)
    _, writer = await dial()
    writer.write(bytes(400_000))
    await cut.happened()
    await server.ends.get()
    if not by_reset:
        assert len(server.received) == 300_000
    assert len(server.received) <= 300_000


async def test_a_frame_can_be_cut_before_any_broker(broker: Broker, proxy: FaultProxy) -> None:
    connection = await hopmq.connect(proxy.url, recovery=None)
    channel = await connection.channel()
    await connection.declare_queue("q")
    with proxy.cut("Basic.Ack", direction="to_client") as cut:
        with pytest.raises(hopmq.PublishUnknownError):
            await channel.publish(b"arrived", routing_key="q")
        assert cut.hits == 1
    assert broker.state.vhosts["/"].queues["q"].ready == 1


async def test_a_reply_can_be_stalled_before_any_broker(proxy: FaultProxy) -> None:
    async with hopmq.connect(proxy.url) as connection:
        stalled = proxy.stall("Queue.DeclareOk")
        declaring = asyncio.ensure_future(connection.declare_queue("q"))
        await stalled.happened()
        assert not declaring.done()
        stalled.release()
        await declaring


async def test_without_a_broker_a_connection_is_reset() -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    async with FaultProxy(f"amqp://127.0.0.1:{port}") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await hang_up(writer)


# --- silence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_black_hole_swallows_its_directions_and_no_other(
    bare: FaultProxy, server: Upstream, dial: Dial, direction: Direction | None
) -> None:
    reader, writer = await dial()
    far = await server.writers.get()
    with bare.black_hole(direction) as hole:
        writer.write(b"there")
        far.write(b"back")
        await hole.happened(2 if direction is None else 1)
        if direction == "to_broker":
            assert await reader.readexactly(4) == b"back"
        if direction == "to_client":
            assert await server.has(5) == b"there"
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert await server.ends.get() == "ConnectionResetError"
    assert len(server.received) == (5 if direction == "to_client" else 0)


async def test_a_black_hole_hides_that_an_end_has_gone(
    bare: FaultProxy, server: Upstream, dial: Dial
) -> None:
    hole = bare.black_hole()
    reader, writer = await dial()
    far = await server.writers.get()
    far.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.05)
    writer.write_eof()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.05)
    assert bare._relays is not None
    (relay,) = bare._relays._open
    while not (relay.to_broker.has_lost and relay.to_client.has_lost):
        await asyncio.sleep(0.001)
    hole.cancel()
    with pytest.raises(ConnectionResetError):
        await reader.read()


async def test_a_connection_that_lost_nothing_goes_on_after_a_black_hole(
    proxy: FaultProxy,
) -> None:
    async with hopmq.connect(proxy.url) as connection:
        with proxy.black_hole():
            await asyncio.sleep(0)
        assert await echoed(connection, b"alive") == b"alive"


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_what_is_held_arrives_in_order_afterwards(
    bare: FaultProxy, server: Upstream, dial: Dial, direction: Direction | None
) -> None:
    reader, writer = await dial()
    far = await server.writers.get()
    hold = bare.hold(direction)
    for each in (b"1", b"2"):
        writer.write(each)
        far.write(each)
        await hold.happened(1 if direction else 2)
    writer.write_eof()
    far.write_eof()
    if direction != "to_client":
        assert server.ends.empty()
        assert not server.received
    if direction != "to_broker":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
    hold.cancel()
    assert await reader.read() == b"12"
    assert await server.ends.get() == "eof"
    assert server.received == b"12"


async def test_a_released_hold_goes_on_holding_what_comes_later(
    bare: FaultProxy, server: Upstream, dial: Dial
) -> None:
    _, writer = await dial()
    hold = bare.hold()
    writer.write(b"1")
    await hold.happened()
    hold.release()
    assert await server.has(1) == b"1"
    writer.write(b"2")
    await hold.happened(2)
    assert server.received == b"1"
    hold.cancel()
    assert await server.has(2) == b"12"


async def test_who_sends_into_a_hold_feels_it_in_the_end(bare: FaultProxy, dial: Dial) -> None:
    bare.hold("to_broker")
    _, writer = await dial()
    writer.transport.set_write_buffer_limits(high=0)
    writer.write(bytes(50_000_000))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.2)


# --- pace --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_everything_works_in_pieces(
    proxy: FaultProxy, size: int, direction: Direction | None
) -> None:
    split = proxy.split(size, direction=direction)
    async with hopmq.connect(proxy.url) as connection:
        assert await echoed(connection, b"in pieces") == b"in pieces"
    assert split.hits


async def test_delays_and_losses_add_up_and_nothing_is_reordered(
    bare: FaultProxy, server: Upstream, dial: Dial
) -> None:
    began = asyncio.get_running_loop().time()
    bare.delay(0.05)
    loss = bare.lose(0.2, retransmit=0.005, seed=1)
    _, writer = await dial()
    data = b"".join(struct.pack(">I", number) for number in range(50_000))
    writer.write(data)
    assert await server.has(len(data)) == data
    assert loss.hits
    assert asyncio.get_running_loop().time() - began >= 0.05


@pytest.mark.parametrize("share", [-0.1, 1.0])
async def test_not_everything_can_be_lost(proxy: FaultProxy, share: float) -> None:
    with pytest.raises(UsageError):
        proxy.lose(share)


# --- whom one reaches --------------------------------------------------------------------------


async def test_new_connections_are_refused_and_open_ones_stay(proxy: FaultProxy) -> None:
    async with hopmq.connect(proxy.url) as connection:
        with proxy.refuse_connections():
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await echoed(connection, b"still there") == b"still there"
        async with hopmq.connect(proxy.url) as second:
            assert await echoed(second, b"again") == b"again"


async def test_they_are_refused_until_the_last_refusal_ends(proxy: FaultProxy) -> None:
    first, second = proxy.refuse_connections(), proxy.refuse_connections()
    first.cancel()
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    second.cancel()
    await (await hopmq.connect(proxy.url)).close()


async def test_new_connections_go_elsewhere_after_a_redirect(proxy: FaultProxy) -> None:
    async with Broker() as other, hopmq.connect(proxy.url) as connection:
        await connection.declare_queue("q")
        proxy.redirect(other.url)
        await connection.declare_queue("q", passive=True)
        async with hopmq.connect(proxy.url) as second:
            with pytest.raises(hopmq.NotFoundError):
                await second.declare_queue("q", passive=True)


async def test_over_tls_bytes_are_cut_all_the_same(bare: FaultProxy, dial: Dial) -> None:
    cut = bare.cut_after(100)
    _, writer = await dial()
    writer.write(b"\x16\x03\x01" + bytes(200))
    await cut.happened()


def reset(writer: asyncio.StreamWriter) -> None:
    """Drop a connection so that its other end sees a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
