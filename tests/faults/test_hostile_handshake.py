"""Whatever a peer does instead of a handshake ends in one clear error, in time, socket closed."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from pamqp.commands import Channel, Connection, Queue

import hopmq
from hopmq.errors import (
    AuthenticationError,
    ConnectError,
    ConnectTimeoutError,
    HandshakeError,
    VhostNotFoundError,
)
from hopmq.testing.certificates import Certificates
from hopmq.transport import dial
from hopmq.wire import new_method
from scripted import frames
from scripted.server import ScriptedServer

from .ends import connected, soon, start
from .handshakes import STEPS, closing, refusal, start_method, tune

SHORT = 0.1
"""A connect_timeout that a test can wait for."""

UNHURRIED = 0.5
"""One within which a handshake gets on although the machine has other things to do."""


@asynccontextmanager
async def listener(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[int]:
    """Listen with something that answers in its own way; None hangs up."""

    class Stranger(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            said = answer(data)
            if said is None:
                self.transport.close()
            else:
                self.transport.write(said)

        def connection_lost(self, exc: Exception | None) -> None:
            gone.set()

    gone = asyncio.Event()
    listening = await asyncio.get_running_loop().create_server(Stranger, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
        await soon(gone.wait())
    finally:
        listening.close()


# --- silence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
async def test_silence_ends_within_the_connect_timeout(server: ScriptedServer, step: str) -> None:
    server.gate.drop(step)
    error = await refusal(server, connect_timeout=SHORT)
    assert isinstance(error, ConnectTimeoutError)
    assert isinstance(error, TimeoutError)
    assert f"not open within {SHORT:g} seconds" in str(error)


async def test_silence_instead_of_tls_ends_within_the_connect_timeout() -> None:
    async with listener(lambda data: b"") as port:
        with pytest.raises(ConnectTimeoutError):
            await soon(hopmq.connect(f"amqps://localhost:{port}", connect_timeout=SHORT))


async def test_the_connect_timeout_of_a_url_is_in_milliseconds(server: ScriptedServer) -> None:
    server.gate.drop("Connection.Start")
    with pytest.raises(ConnectTimeoutError, match=r"within 0\.25 seconds"):
        await soon(hopmq.connect(f"{server.url}?connection_timeout=250"))
    await soon((await soon(server.peer())).lost)


async def test_a_peer_that_talks_without_getting_on_ends_within_the_connect_timeout(
    server: ScriptedServer,
) -> None:
    held = server.gate.hold("Connection.Tune")
    task = start(hopmq.connect(server.url, connect_timeout=UNHURRIED))
    await soon(held.reached())
    peer = await soon(server.peer())
    while not task.done():
        peer.write(b"\x08\x00\x00\x00\x00\x00\x00\xce")
        await asyncio.sleep(0.005)
    with pytest.raises(ConnectTimeoutError):
        await soon(task)
    await soon(peer.lost)


async def test_a_peer_that_sends_one_byte_at_a_time_is_understood(server: ScriptedServer) -> None:
    held = server.gate.hold("Connection.Start")
    task = start(connected_and_used(server))
    await soon(held.reached())
    server.peers[0].write_byte_by_byte()
    held.release()
    assert await soon(task) == b"x" * 300


async def connected_and_used(server: ScriptedServer) -> bytes:
    async with connected(server) as ends:
        await ends.check_in_step()
        consumer = await ends.channel.consume("q")
        ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"x" * 300)
        return (await anext(consumer)).body


# --- peers that speak something else -------------------------------------------------------------


async def test_an_http_answer_is_recognised() -> None:
    async with listener(lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        with pytest.raises(HandshakeError, match=r"HTTP.*management port"):
            await soon(hopmq.connect(f"amqp://127.0.0.1:{port}"))


async def test_a_tls_alert_on_a_plain_connection_is_recognised() -> None:
    async with listener(lambda data: b"\x15\x03\x03\x00\x02\x02\x46") as port:
        with pytest.raises(HandshakeError, match="amqps://"):
            await soon(hopmq.connect(f"amqp://127.0.0.1:{port}"))


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n", b"\x00" * 9])
async def test_a_foreign_banner_is_quoted(banner: bytes) -> None:
    async with listener(lambda data: banner) as port:
        with pytest.raises(HandshakeError, match="does not speak AMQP 0-9-1"):
            await soon(hopmq.connect(f"amqp://127.0.0.1:{port}"))


async def test_another_version_of_the_protocol_is_named() -> None:
    async with listener(lambda data: b"AMQP\x03\x01\x00\x00") as port:
        with pytest.raises(HandshakeError, match=r"offers AMQP 1\.0\.0"):
            await soon(hopmq.connect(f"amqp://127.0.0.1:{port}"))


async def test_a_tls_client_on_a_plain_port_is_told_so(server: ScriptedServer) -> None:
    with pytest.raises(HandshakeError, match="is this a TLS port"):
        await soon(hopmq.connect(f"amqps://localhost:{server.port}"))
    await soon(server.peers[0].lost)


async def test_a_plain_client_on_a_tls_port_is_told_so(certificates: Certificates) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    async with ScriptedServer(context) as server:
        with pytest.raises(HandshakeError):
            await soon(hopmq.connect(f"amqp://127.0.0.1:{server.port}"))


async def test_a_refused_connection_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectError, match=f"127.0.0.1:{port}: cannot connect: Connection refused"):
        await soon(hopmq.connect(f"amqp://127.0.0.1:{port}"))


async def test_a_reset_before_any_byte_is_no_matter_of_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def reset(host: str, port: int) -> socket.socket:
        raise ConnectionResetError(errno.ECONNRESET, "Connect call failed")

    monkeypatch.setattr(dial, "open_socket", reset)
    text = "localhost:5672: cannot connect: Connection reset by peer"
    with pytest.raises(ConnectError, match=text):
        await soon(hopmq.connect("amqp://localhost"))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64, "a%00b", ".example"])
@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
async def test_a_host_without_an_address_is_a_connect_error(scheme: str, host: str) -> None:
    with pytest.raises(ConnectError):
        await soon(hopmq.connect(f"{scheme}://{host}:1", connect_timeout=4))


@pytest.mark.parametrize("path", ["/no/such/socket", "/" + "x" * 200, "/a%00b"])
async def test_a_unix_socket_that_cannot_be_used_is_a_connect_error(path: str) -> None:
    with pytest.raises(ConnectError):
        await soon(hopmq.connect(f"amqp+unix://{path}"))


# --- hanging up ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang_up", "reset"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_peer_that_hangs_up_is_a_handshake_error(
    server: ScriptedServer, step: str, how: str
) -> None:
    held = server.gate.hold(step)
    task = start(refusal(server))
    await soon(held.reached())
    getattr(server.peers[0], how)()
    error = await soon(task)
    # Old brokers answer wrong passwords by hanging up.
    assert type(error) is (AuthenticationError if step == "Connection.Tune" else HandshakeError)
    assert "hung up" in str(error)


# --- what brokers refuse -------------------------------------------------------------------------


async def test_a_403_during_the_handshake_is_an_authentication_error(
    server: ScriptedServer,
) -> None:
    server.gate.replace("Connection.Tune", closing(403, "ACCESS_REFUSED"))
    error = await refusal(server)
    assert type(error) is AuthenticationError
    assert "403 ACCESS_REFUSED" in str(error)
    assert "'guest'" in str(error)


async def test_a_530_after_open_is_a_missing_vhost(server: ScriptedServer) -> None:
    server.gate.replace("Connection.OpenOk", closing(530, "vhost nope not found"))
    error = await refusal(server, vhost="nope")
    assert type(error) is VhostNotFoundError
    assert "'nope'" in str(error)


@pytest.mark.parametrize("step", STEPS)
async def test_any_other_close_during_the_handshake_is_a_handshake_error(
    server: ScriptedServer, step: str
) -> None:
    server.gate.replace(step, closing(541, "INTERNAL_ERROR"))
    error = await refusal(server)
    assert type(error) is HandshakeError
    assert "541 INTERNAL_ERROR" in str(error)


async def test_a_broker_without_a_common_mechanism_is_an_authentication_error(
    server: ScriptedServer,
) -> None:
    server.gate.replace("Connection.Start", start_method(mechanisms="GSSAPI SCRAM-SHA-256"))
    error = await refusal(server)
    assert type(error) is AuthenticationError
    assert "GSSAPI SCRAM-SHA-256" in str(error)


async def test_a_challenge_that_plain_cannot_answer_is_an_authentication_error(
    server: ScriptedServer,
) -> None:
    challenge = new_method(Connection.Secure, challenge="more?")
    server.gate.replace("Connection.Tune", frames.method(0, challenge))
    assert type(await refusal(server)) is AuthenticationError


# --- malformed or misplaced frames -----------------------------------------------------------------

GARBAGE = {
    "wrong-frame-end": start_method()[:-1] + b"\x00",
    "unknown-frame-type": frames.frame(9, 0, b""),
    "four-gigabytes": frames.announced(frames.METHOD, 0, 2**32 - 1),
    "heartbeat-on-a-channel": frames.frame(frames.HEARTBEAT, 1, b""),
    "heartbeat-with-payload": frames.frame(frames.HEARTBEAT, 0, b"!"),
    "too-short-for-a-method": frames.frame(frames.METHOD, 0, b"\x00\x0a"),
    "unknown-class": frames.raw_method(0, 11, 10),
    "unknown-method": frames.raw_method(0, 10, 99),
    "truncated-arguments": frames.raw_method(0, 10, 10, b"\x00"),
    "trailing-bytes": frames.raw_method(0, 10, 41, b"\x00\x00"),
    "table-overruns": frames.raw_method(0, 10, 10, b"\x00\x09\xff\xff\xff\xff"),
    "nested-tables": frames.raw_method(
        0, 10, 10, b"\x00\x09" + frames.nested_table(400) + b"\x00" * 8
    ),
    "start-on-a-channel": start_method()[:1] + b"\x00\x01" + start_method()[3:],
    "channel-method": frames.method(1, new_method(Channel.OpenOk)),
    "body-out-of-nowhere": frames.body(1, b"x"),
    "header-out-of-nowhere": frames.header(1, 1),
    "client-method": frames.method(0, new_method(Connection.Open, virtual_host="/")),
    "close-ok": frames.method(0, new_method(Connection.CloseOk)),
    "blocked": frames.method(0, new_method(Connection.Blocked, reason="early")),
    "declare-ok": frames.method(1, new_method(Queue.DeclareOk)),
    "second-protocol-header": b"AMQP\x00\x00\x09\x01",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_at_any_step_is_a_handshake_error(
    server: ScriptedServer, step: str, garbage: str
) -> None:
    server.gate.replace(step, GARBAGE[garbage])
    assert type(await refusal(server)) is HandshakeError


@pytest.mark.parametrize("step", STEPS[:2])
async def test_a_frame_above_4096_bytes_before_tuning_is_a_handshake_error(
    server: ScriptedServer, step: str
) -> None:
    server.gate.replace(step, frames.announced(frames.METHOD, 0, 4089))
    assert type(await refusal(server)) is HandshakeError


@pytest.mark.parametrize(
    "due, sent", [(due, sent) for due in STEPS for sent in STEPS if due != sent]
)
async def test_a_step_out_of_turn_is_a_handshake_error(
    server: ScriptedServer, due: str, sent: str
) -> None:
    steps = {
        "Connection.Start": start_method(),
        "Connection.Tune": tune(),
        "Connection.OpenOk": frames.method(0, new_method(Connection.OpenOk)),
    }
    server.gate.replace(due, steps[sent])
    error = await refusal(server)
    assert type(error) is HandshakeError
    assert sent in str(error)


async def test_a_start_for_another_version_is_a_handshake_error(server: ScriptedServer) -> None:
    server.gate.replace("Connection.Start", start_method(version_minor=10))
    error = await refusal(server)
    assert type(error) is HandshakeError
    assert "0-10" in str(error)


async def test_several_urls_are_tried_in_order_and_all_are_named(server: ScriptedServer) -> None:
    server.gate.replace("Connection.Tune", closing(403, "ACCESS_REFUSED"))
    with pytest.raises(AuthenticationError, match="none of 2 brokers"):
        await soon(hopmq.connect([server.url, server.url]))
    assert len(server.peers) == 2
    for peer in server.peers:
        await soon(peer.lost)
