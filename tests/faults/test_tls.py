"""TLS and unix sockets: verified by default, and refused in words that help."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

import hopmq
from hopmq.errors import AuthenticationError, ConnectError, HandshakeError, UsageError
from hopmq.testing import RabbitMQ
from hopmq.testing.certificates import Certificates
from scripted.relay import Relay
from scripted.server import ScriptedServer

from .ends import PATIENCE, soon


def url_of(rabbitmq: RabbitMQ, **parameters: object) -> str:
    """Return the address of the TLS listener with query parameters."""
    query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    return f"{rabbitmq.tls_url}?{query}"


async def works(opening: Awaitable[hopmq.Connection]) -> None:
    """Publish through a connection."""
    connection = await soon(opening)
    async with connection, connection.channel() as channel:
        info = await soon(channel.declare_queue(hopmq.Queue.temporary()))
        assert (await soon(channel.publish(b"over TLS", routing_key=info.name))).confirmed
        message = await soon(channel.get(info.name, no_ack=True))
        assert message is not None
        assert message.body == b"over TLS"


# --- a broker ------------------------------------------------------------------------------------


async def test_a_broker_of_a_trusted_authority_is_accepted(rabbitmq: RabbitMQ) -> None:
    await works(hopmq.connect(url_of(rabbitmq, cacertfile=rabbitmq.certificates.authority)))


async def test_a_context_of_one_s_own_is_used(rabbitmq: RabbitMQ) -> None:
    context = ssl.create_default_context(cafile=str(rabbitmq.certificates.authority))
    await works(hopmq.connect(rabbitmq.tls_url, ssl_context=context))


async def test_a_broker_of_an_unknown_authority_is_refused_by_default(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(ConnectError, match=r"certificate is not trusted.*cacertfile") as raised:
        await soon(hopmq.connect(rabbitmq.tls_url))
    assert not isinstance(raised.value, HandshakeError)


async def test_a_broker_of_another_name_is_refused_by_default(rabbitmq: RabbitMQ) -> None:
    url = url_of(
        rabbitmq,
        cacertfile=rabbitmq.certificates.authority,
        server_name_indication="other.example",
    )
    with pytest.raises(ConnectError, match=r"certificate is not trusted.*other\.example"):
        await soon(hopmq.connect(url))


async def test_verification_can_be_switched_off_by_name(rabbitmq: RabbitMQ) -> None:
    await works(hopmq.connect(url_of(rabbitmq, verify="verify_none")))


async def test_a_client_certificate_logs_in_by_external(rabbitmq: RabbitMQ) -> None:
    certificates = rabbitmq.certificates
    url = url_of(
        rabbitmq,
        cacertfile=certificates.authority,
        certfile=certificates.client,
        keyfile=certificates.client_key,
        auth_mechanism="external",
    ).replace("guest:guest@", "")
    await works(hopmq.connect(url, password="not used"))


async def test_external_without_a_certificate_is_an_authentication_error(
    rabbitmq: RabbitMQ,
) -> None:
    url = url_of(rabbitmq, cacertfile=rabbitmq.certificates.authority, auth_mechanism="external")
    with pytest.raises(AuthenticationError):
        await soon(hopmq.connect(url))


async def test_a_tls_client_on_the_plain_port_of_a_broker_is_told_so(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(HandshakeError, match="is this a TLS port"):
        await soon(hopmq.connect(f"amqps://localhost:{rabbitmq.port}"))


async def test_a_plain_client_on_the_tls_port_of_a_broker_is_told_so(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(HandshakeError, match="amqps://"):
        await soon(hopmq.connect(f"amqp://127.0.0.1:{rabbitmq.tls_port}"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
async def test_a_wrong_password_is_an_authentication_error(
    rabbitmq: RabbitMQ, mechanism: str
) -> None:
    with pytest.raises(AuthenticationError, match="403 ACCESS_REFUSED"):
        await soon(hopmq.connect(rabbitmq.url, password="wrong", auth_mechanisms=[mechanism]))


@pytest.mark.parametrize("vhost", ["missing", "über/all", ""])
async def test_a_missing_vhost_is_named(rabbitmq: RabbitMQ, vhost: str) -> None:
    with pytest.raises(hopmq.VhostNotFoundError) as raised:
        await soon(hopmq.connect(rabbitmq.url, vhost=vhost))
    assert repr(vhost) in str(raised.value)


async def test_a_unix_socket_in_front_of_a_broker_works(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    path = str(tmp_path / "amqp.sock")
    async with Relay("127.0.0.1", rabbitmq.port, path):
        await works(hopmq.connect(f"amqp+unix://{quote(path)}?vhost=%2F"))


async def test_a_cut_unix_socket_is_a_lost_connection(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    path = str(tmp_path / "amqp.sock")
    async with Relay("127.0.0.1", rabbitmq.port, path) as relay:
        connection = await soon(hopmq.connect(f"amqp+unix://{quote(path)}", recovery=None))
        relay.cut()
        assert type(await soon(connection.wait_closed())) is hopmq.ConnectionLostError


# --- odd servers -----------------------------------------------------------------------------------


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Make the context of a server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
async def test_a_missing_client_certificate_is_told(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    context = server_context(certificates)
    context.load_verify_locations(certificates.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version

    def refuse(listener: socket.socket) -> None:
        # A blocking socket: asyncio's servers hang up without an alert.
        plain, _ = listener.accept()
        with plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        port = listener.getsockname()[1]
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        with pytest.raises(HandshakeError, match=r"(?i)certificate.required|handshake.failure"):
            await soon(
                hopmq.connect(f"amqps://localhost:{port}?cacertfile={certificates.authority}")
            )
        await soon(refusing)


async def test_less_than_tls_1_2_is_refused(certificates: Certificates) -> None:
    context = server_context(certificates)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with ScriptedServer(context) as server:
        with pytest.raises(HandshakeError, match="TLS handshake failed"):
            await soon(hopmq.connect(f"{server.url}?cacertfile={certificates.authority}"))


async def test_verify_none_refuses_less_than_tls_1_2_as_well(certificates: Certificates) -> None:
    context = server_context(certificates)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with ScriptedServer(context) as server:
        with pytest.raises(HandshakeError, match="TLS handshake failed"):
            await soon(hopmq.connect(f"{server.url}?verify=verify_none"))


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    elsewhere = Certificates.create(tmp_path, hosts=("DNS:elsewhere.example",))
    async with ScriptedServer(server_context(elsewhere)) as server:
        with pytest.raises(ConnectError, match=r"not trusted.*'localhost'"):
            await soon(hopmq.connect(f"{server.url}?cacertfile={elsewhere.authority}"))


async def test_the_name_to_verify_can_be_given(tmp_path: Path) -> None:
    elsewhere = Certificates.create(tmp_path, hosts=("DNS:elsewhere.example",))
    async with ScriptedServer(server_context(elsewhere)) as server:
        url = f"{server.url}?cacertfile={elsewhere.authority}"
        connection = await soon(hopmq.connect(f"{url}&server_name_indication=elsewhere.example"))
        await soon(connection.close())


BREAKS: dict[str, Callable[[ScriptedServer], None]] = {
    "hang-up": lambda server: server.peers[0].hang_up(),
    "abort": lambda server: server.peers[0].transport.abort(),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_a_lost_tls_connection_is_a_lost_connection(
    certificates: Certificates, how: str
) -> None:
    async with ScriptedServer(server_context(certificates)) as server:
        url = f"{server.url}?cacertfile={certificates.authority}"
        connection = await soon(hopmq.connect(url, recovery=None))
        server.gate.drop("Queue.DeclareOk")
        request = asyncio.create_task(connection.declare_queue("q"))
        await soon(server.peers[0].receives("Queue.Declare"))
        BREAKS[how](server)
        with pytest.raises(hopmq.ConnectionLostError):
            await soon(request)
        await soon(connection.wait_closed())


async def test_a_tls_peer_that_reads_nothing_pauses_publishers(certificates: Certificates) -> None:
    async with ScriptedServer(server_context(certificates)) as server:
        url = f"{server.url}?cacertfile={certificates.authority}"
        connection = await soon(hopmq.connect(url, recovery=None))
        channel = await soon(connection.channel(confirms=False))
        server.peers[0].transport.pause_reading()
        task = asyncio.create_task(channel.publish_many([bytes(1 << 20)] * 32, routing_key="q"))
        async with asyncio.timeout(PATIENCE):
            while not connection._session.link.write_paused:
                await asyncio.sleep(0)
        assert connection._session.link.transport.get_write_buffer_size() < 8 << 20
        server.peers[0].transport.resume_reading()
        await soon(task)
        await soon(connection.close())


@pytest.mark.parametrize("parameter", ["cacertfile", "certfile", "keyfile"])
async def test_a_file_that_cannot_be_used_is_a_usage_error(
    parameter: str, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    files = {"certfile": certificates.client, "keyfile": certificates.client_key}
    for name in ("missing.pem", "broken.pem"):
        query = "&".join(
            f"{key}={value}" for key, value in {**files, parameter: tmp_path / name}.items()
        )
        with pytest.raises(UsageError, match="cannot use cacertfile, certfile or keyfile"):
            await soon(hopmq.connect(f"amqps://localhost:1?{query}"))


async def test_tls_parameters_without_tls_are_refused() -> None:
    with pytest.raises(UsageError, match="needs amqps://"):
        await soon(hopmq.connect("amqp://localhost?verify=verify_none"))
