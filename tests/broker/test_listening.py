"""Where a broker listens, and how its clients are told of its end."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

import hopmq
from hopmq.broker import Broker, new_user
from hopmq.errors import CertificateError, ConnectionForcedError
from hopmq.testing import Certificates


def names_in(folder: Path) -> list[str]:
    """List what is in a folder."""
    return [each.name for each in folder.iterdir()]


async def test_a_stop_returns_when_its_clients_have_answered() -> None:
    async with Broker() as broker:
        connection = await hopmq.connect(broker.url, recovery=None)
        (peer,) = broker.state.peers
        await broker.stop()
        assert peer.link.lost.done()
        async with asyncio.timeout(10.0):
            reason = await connection.wait_closed()
    assert isinstance(reason, ConnectionForcedError)
    assert reason.reply_code == 320


async def test_a_client_that_does_not_trust_its_certificate_is_not_waited_for(
    tmp_path: Path,
) -> None:
    certificates = await asyncio.to_thread(Certificates.create, tmp_path)
    async with Broker(tls=certificates.server_context()) as broker:
        with pytest.raises(CertificateError):
            await hopmq.connect(broker.tls_url)
        assert not broker.state.peers


async def test_its_addresses_are_those_that_it_listens_on(tmp_path: Path) -> None:
    certificates = await asyncio.to_thread(Certificates.create, tmp_path)
    path = tmp_path / "socket"
    tls = certificates.server_context()
    async with Broker(tls=tls, path=path, name="everywhere") as broker:
        assert broker.urls == (broker.url, broker.tls_url, broker.unix_url, broker.memory_url)
        for url in broker.urls:
            trust = f"?cacertfile={certificates.authority}" if url.startswith("amqps:") else ""
            async with hopmq.connect(url + trust) as connection:
                assert connection.product == "HopMQ"
    assert Broker(host=None, name="alone").urls == ("memory://guest:guest@alone/%2F",)


def test_without_tls_there_is_no_port_for_it() -> None:
    assert Broker(tls_port=5671).tls_port == 0


def test_the_password_of_another_user_is_not_shown() -> None:
    broker = Broker(port=5672, users=[new_user("guest", "secret")])
    assert broker.url == "amqp://guest@127.0.0.1:5672/%2F"


@pytest.mark.parametrize("option", ["port", "management_port"])
async def test_an_address_in_use_is_named(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = Broker(**{option: port})
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: ") as raised:
            await broker.start()
    assert raised.value.errno == errno.EADDRINUSE
    assert not broker.is_running


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with Broker(host=None, path=path) as broker, hopmq.connect(broker.url):
        pass
    assert names_in(tmp_path) == []


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.touch()
    with pytest.raises(FileExistsError, match="it is no socket"):
        await Broker(path=path).start()
    assert names_in(tmp_path) == ["letter"]
