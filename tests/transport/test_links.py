"""A client and a server over a link within the process: whole conversations, on each codec."""

import asyncio
import sys
import types

import pytest

import hopmq
from flavours import Flavour
from hopmq.core.events import ConnectionEnded
from hopmq.core.replies import NOBODY
from hopmq.errors import ConnectError, ConnectionLostError, PublishUnknownError
from hopmq.testing.clock import TurnedClock
from hopmq.transport.memory import connect_memory, listen

from .ends import SECONDS
from .links import Server, client_link

SIZES = [0, 1, 15_000, 17_000, 131_072, 3_000_000]


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of the flavour, whose codec is the active one."""
    return flavour.backend


class InProcess(types.ModuleType):
    """Stands in for the embedded broker: each connection has a server of its own."""

    def __init__(self) -> None:
        super().__init__("hopmq.broker.in_process")
        self.servers: list[Server] = []

    async def start(self, name: str) -> None:
        listen(name, self._accept)

    def _accept(self) -> asyncio.BaseProtocol:
        self.servers.append(Server())
        return self.servers[-1].link


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Return what `memory://` starts."""
    stub = InProcess()
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    return stub


async def test_a_client_publishes_with_confirms(in_process: InProcess, name: str) -> None:
    async with asyncio.timeout(SECONDS), hopmq.connect(f"memory://{name}") as connection:
        channel = await connection.channel()
        for size in SIZES:
            await channel.publish(bytes(size), routing_key="q")
        (server,) = in_process.servers
        assert [len(body) for body in server.published] == SIZES
        assert connection.is_open


async def test_close_reaches_the_server_as_a_close(in_process: InProcess, name: str) -> None:
    async with asyncio.timeout(SECONDS):
        connection = await hopmq.connect(f"memory://{name}")
        await connection.close()
        (server,) = in_process.servers
        await server.link.lost
    (ended,) = [event for event in server.events if isinstance(event, ConnectionEnded)]
    assert ended.error.reply_code == 200


async def test_a_server_that_drops_the_link_is_a_lost_connection(
    in_process: InProcess, name: str
) -> None:
    async with asyncio.timeout(SECONDS):
        connection = await hopmq.connect(f"memory://{name}", recovery=None)
        in_process.servers[0].link.abort()
        reason = await connection.wait_closed()
    assert isinstance(reason, ConnectionLostError)
    assert "reset" in str(reason)


async def test_a_channel_closed_by_the_server_costs_that_channel(
    in_process: InProcess, name: str
) -> None:
    async with asyncio.timeout(SECONDS), hopmq.connect(f"memory://{name}") as connection:
        channel = await connection.channel()
        (server,) = in_process.servers
        (core,) = server.link.core.channels.values()
        core.close(NOBODY, 404, "NOT_FOUND")
        with pytest.raises(PublishUnknownError, match="NOT_FOUND"):
            await channel.publish(b"x")
        await (await connection.channel()).publish(b"works")


async def test_many_publishers_share_a_link_whose_reader_is_slow(
    in_process: InProcess, name: str
) -> None:
    body = bytes(100_000)
    async with asyncio.timeout(SECONDS), hopmq.connect(f"memory://{name}") as connection:
        channel = await connection.channel()
        (server,) = in_process.servers
        server.link.pause_reading()
        publishing = [asyncio.ensure_future(channel.publish(body)) for _ in range(60)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert connection._session.link.write_paused
        server.link.resume_reading()
        await asyncio.gather(*publishing)
        assert not connection._session.link.write_paused
    assert [len(each) for each in server.published] == [len(body)] * 60


async def test_a_silent_listener_runs_into_the_time_limit(
    name: str,
) -> None:
    listener = listen(name, asyncio.Protocol)
    try:
        with pytest.raises(ConnectError, match=f"memory://{name}: not open within 0.05 seconds"):
            await hopmq.connect(f"memory://{name}", connect_timeout=0.05)
    finally:
        listener.close()


async def test_two_links_shake_hands_and_heartbeats_begin(name: str) -> None:
    clock = TurnedClock()
    server = Server(heartbeat=7, clock=clock)
    listener = listen(name, lambda: server.link)
    client = client_link(heartbeat=9, clock=clock)
    try:
        await connect_memory(name, client)
        async with asyncio.timeout(SECONDS):
            while not client.core.heartbeat.interval:
                await asyncio.sleep(0)
    finally:
        listener.close()
    assert client.core.heartbeat.interval == server.link.core.heartbeat.interval == 7
    begun = clock.time()
    async with asyncio.timeout(SECONDS):
        await clock.advance(7)
        for link in (client, server.link):
            assert link.core.heartbeat.last_sent == begun + 7  # twice per interval
            assert link.core.heartbeat.last_received == begun + 7
        client.abort()
        await asyncio.gather(client.lost, server.link.lost)
