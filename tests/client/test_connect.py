"""Opening connections: addresses, options, what both sides tell each other, and refusals."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import hopmq
from client.proxy import Proxy, hang_up
from conftest import RunningBroker
from hopmq import (
    AuthenticationError,
    ConnectError,
    ConnectTimeoutError,
    EncodeError,
    HandshakeError,
    UsageError,
    VhostNotFoundError,
)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Return a port on which nobody listens; it is held, so that nobody begins to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def server(greeting: bytes | None) -> AsyncIterator[str]:
    """Accept connections; greet, or say nothing at all."""

    writers = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if greeting is not None:
            await reader.read(8)
            writer.write(greeting)

    listening = await asyncio.start_server(accept, "127.0.0.1")
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"amqp://guest:hush-hush@127.0.0.1:{port}"
    finally:
        listening.close()
        for writer in writers:
            await hang_up(writer)


# --- where to ------------------------------------------------------------------------------------


async def test_awaiting_connect_opens_a_connection(amqp_url: str) -> None:
    connection = await hopmq.connect(amqp_url)
    assert connection.is_open
    assert connection.state == "open"
    await connection.close()


async def test_the_block_of_connect_closes_the_connection(amqp_url: str) -> None:
    async with hopmq.connect(amqp_url) as connection:
        assert connection.is_open
    assert connection.state == "closed"


def test_connect_without_await_is_of_no_use() -> None:
    assert not hasattr(hopmq.connect(), "channel")


async def test_urls_are_tried_in_order(amqp_url: str, unused_port: int) -> None:
    dead = f"amqp://127.0.0.1:{unused_port}"
    async with hopmq.connect([dead, amqp_url, dead]) as connection:
        assert connection.is_open


async def test_an_error_of_several_urls_names_them_all(amqp_url: str, unused_port: int) -> None:
    dead = f"127.0.0.1:{unused_port}"
    broker = urlsplit(amqp_url)
    wrong = f"amqp://guest:hush-hush@{broker.hostname}:{broker.port}"
    with pytest.raises(AuthenticationError) as caught:
        await hopmq.connect([f"amqp://{dead}", wrong], recovery=None)
    assert dead in str(caught.value)
    assert f"{broker.hostname}:{broker.port}" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


async def test_a_unix_socket_leads_to_the_broker(broker: RunningBroker, tmp_path: Path) -> None:
    path = tmp_path / "broker.sock"
    async with (
        Proxy(broker.url, str(path)),
        hopmq.connect(f"amqp+unix://guest:guest@{path}?vhost=%2F") as connection,
    ):
        assert connection.product == broker.product


async def test_options_win_over_the_url(amqp_url: str) -> None:
    broker = urlsplit(amqp_url)
    wrong = f"amqp://nobody:wrong@{broker.hostname}:{broker.port}/nowhere?heartbeat=11&name=url"
    options: dict[str, Any] = {"username": "guest", "password": "guest", "vhost": "/"}
    async with hopmq.connect(wrong, **options, heartbeat=7, name="option") as connection:
        assert connection.heartbeat == 7
        assert connection.name == "option"


async def test_the_url_names_connection_and_limits(amqp_url: str) -> None:
    url = f"{amqp_url}?name=from%20url&heartbeat=9&channel_max=12&frame_max=16384"
    async with hopmq.connect(url) as connection:
        assert connection.name == "from url"
        assert connection.heartbeat == 9
        assert connection.channel_max == 12
        assert connection.frame_max == 16_384


# --- what both sides say ---------------------------------------------------------------------------


async def test_the_broker_says_what_it_is(broker: RunningBroker) -> None:
    async with hopmq.connect(broker.url) as connection:
        assert connection.product == broker.product
        assert connection.version == connection.server_properties["version"]
        if broker.rabbitmq is not None:
            assert connection.version == broker.version


async def test_capabilities_are_those_the_broker_announces(connection: hopmq.Connection) -> None:
    expected = {"publisher_confirms", "basic.nack", "connection.blocked", "consumer_priorities"}
    assert expected <= connection.capabilities


@pytest.mark.parametrize("asked, agreed", [(0, 0), (7, 7), (60, 60), (600, 60)])
async def test_the_lower_heartbeat_holds(amqp_url: str, asked: int, agreed: int) -> None:
    async with hopmq.connect(amqp_url, heartbeat=asked) as connection:
        assert connection.heartbeat == agreed


@pytest.mark.parametrize("asked, agreed", [(8192, 8192), (131_072, 131_072), (2**20, 131_072)])
async def test_the_lower_frame_max_holds(amqp_url: str, asked: int, agreed: int) -> None:
    async with hopmq.connect(amqp_url, frame_max=asked) as connection:
        assert connection.frame_max == agreed


@pytest.mark.parametrize("asked, agreed", [(1, 1), (2047, 2047), (65_535, 2047)])
async def test_the_lower_channel_max_holds(amqp_url: str, asked: int, agreed: int) -> None:
    async with hopmq.connect(amqp_url, channel_max=asked) as connection:
        assert connection.channel_max == agreed


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN", "amqplain"])
async def test_each_password_mechanism_logs_in(amqp_url: str, mechanism: str) -> None:
    async with hopmq.connect(amqp_url, auth_mechanisms=[mechanism]) as connection:
        assert connection.is_open


# --- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", [("guest", "hush-hush"), ("nobody", "hush-hush")])
async def test_refused_credentials_are_an_authentication_error(
    amqp_url: str, credentials: tuple[str, str]
) -> None:
    username, password = credentials
    with pytest.raises(AuthenticationError, match=f"refused user '{username}': 403") as caught:
        await hopmq.connect(amqp_url, username=username, password=password)
    assert password not in repr(caught.value)


async def test_a_missing_virtual_host_is_named(amqp_url: str) -> None:
    with pytest.raises(VhostNotFoundError, match="'no/where'"):
        await hopmq.connect(amqp_url, vhost="no/where")


async def test_a_refused_connection_names_the_address(unused_port: int) -> None:
    with pytest.raises(ConnectError, match=f"127.0.0.1:{unused_port}"):
        await hopmq.connect(f"amqp://127.0.0.1:{unused_port}")


async def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(ConnectError, match=r"broker\.invalid:5672: cannot resolve"):
        await hopmq.connect("amqp://broker.invalid")


async def test_a_missing_unix_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"none\.sock"):
        await hopmq.connect(f"amqp+unix://{tmp_path}/none.sock")


async def test_a_silent_peer_costs_no_more_than_the_timeout() -> None:
    async with server(greeting=None) as url:
        with pytest.raises(ConnectTimeoutError) as caught:
            await hopmq.connect(url, connect_timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert "hush-hush" not in str(caught.value)


async def test_the_timeout_of_the_url_counts_in_milliseconds() -> None:
    async with server(greeting=None) as url:
        with pytest.raises(ConnectTimeoutError, match=r"0\.05 seconds"):
            await hopmq.connect(f"{url}?connection_timeout=50")


@pytest.mark.parametrize(
    "greeting, hint",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "amqps://"),
        (b"AMQP\x00\x01\x00\x00", "AMQP 1.0.0"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "right port"),
    ],
)
async def test_a_peer_that_speaks_something_else_is_recognised(greeting: bytes, hint: str) -> None:
    async with server(greeting) as url:
        with pytest.raises(HandshakeError, match=hint):
            await hopmq.connect(url)


async def test_no_mechanism_in_common_is_an_authentication_error(amqp_url: str) -> None:
    with pytest.raises(AuthenticationError):
        await hopmq.connect(amqp_url, auth_mechanisms=["EXTERNAL"])


@pytest.mark.parametrize(
    "options",
    [
        {"heartbeat": -1},
        {"heartbeat": 65_536},
        {"frame_max": 4095},
        {"frame_max": 2**32},
        {"channel_max": 0},
        {"channel_max": 65_536},
        {"connect_timeout": 0},
        {"request_timeout": -1},
        {"publish_timeout": 0},
        {"max_message_size": 0},
        {"max_unread_size": 0},
        {"auth_mechanisms": ["GSSAPI"]},
        {"auth_mechanisms": []},
        {"auth_mechanisms": "PLAIN"},
        {"urls": []},
        {"urls": None},
        {"urls": 5672},
        {"urls": b"amqp://localhost"},
        {"urls": ["amqp://ok", None]},
        {"name": 5},
        {"username": b"guest"},
        {"password": 1234},
        {"vhost": 1},
        {"heartbeat": "60"},
        {"heartbeat": 1.5},
        {"frame_max": 131_072.0},
        {"channel_max": "1"},
        {"connect_timeout": "5"},
        {"connect_timeout": float("nan")},
        {"request_timeout": None},
        {"max_message_size": 1e6},
        {"urls": ["amqp://ok", "http://localhost"]},
        {"urls": "amqp://localhost?connection_timeout=0"},
        {"urls": "amqp://localhost?heartbeat=65536"},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused_at_the_call(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        hopmq.connect(**options)


def test_a_context_for_a_url_without_tls_is_refused() -> None:
    with pytest.raises(UsageError, match="amqps://"):
        hopmq.connect("amqp://localhost", ssl_context=ssl.create_default_context())


def test_client_properties_that_cannot_be_sent_are_refused_at_the_call() -> None:
    with pytest.raises(EncodeError, match="answer"):
        hopmq.connect(client_properties={"answer": object()})  # type: ignore[dict-item]


@pytest.mark.parametrize("show", [repr, str])
async def test_a_connection_shows_no_password(amqp_url: str, show: Callable[[object], str]) -> None:
    broker = urlsplit(amqp_url)
    async with hopmq.connect(amqp_url, name="shown") as connection:
        assert "shown" in show(connection)
        assert str(broker.port) in show(connection)
        assert f":{broker.password}" not in show(connection)
