"""Faults on every kind of transport, at every byte, and through a restart."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import hopmq
from hopmq import Connection
from hopmq.broker import Broker
from hopmq.testing import Certificates, Faults
from hopmq.testing.faults import Direction
from testing.faults.transfer import echoed


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of an authority of our own."""
    return Certificates.create(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["tls", "unix"])
async def connected(
    request: pytest.FixtureRequest, certificates: Certificates, tmp_path: Path
) -> AsyncIterator[tuple[Faults, Connection]]:
    """Return the faults of a broker and a connection to it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    async with Broker(tls=context, path=tmp_path / "socket") as broker:
        faults = Faults(broker)
        trusting = ssl.create_default_context(cafile=str(certificates.authority))
        secure = request.param == "tls"
        connection = await hopmq.connect(
            broker.tls_url if secure else broker.unix_url,
            ssl_context=trusting if secure else None,
            recovery=None,
        )
        yield faults, connection
        faults.clear()
        await connection.close()


async def test_a_connection_works_behind_a_tap(connected: tuple[Faults, Connection]) -> None:
    faults, connection = connected
    split = faults.split(7)
    assert await echoed(connection, bytes(1000)) == bytes(1000)
    assert split.hits


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_can_be_cut(connected: tuple[Faults, Connection], reset: bool) -> None:
    faults, connection = connected
    faults.cut("Queue.DeclareOk", reset=reset)
    with pytest.raises(hopmq.ConnectionLostError):
        await connection.declare_queue("q")


async def test_a_tap_leaves_when_its_last_fault_ends(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    (peer,) = broker.state.peers
    plain = peer.link.transport
    with faults.delay(0.0):
        assert peer.link.transport is not plain
        await echoed(connection, b"tapped")
    assert peer.link.transport is plain
    assert await echoed(connection, b"untapped") == b"untapped"


async def test_a_fault_outlives_a_restart(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    nack = faults.nack()
    cut = faults.cut("Queue.Delete")
    await broker.restart(keep=False)
    async with hopmq.connect(broker.url, recovery=None) as again, again.channel() as channel:
        await again.declare_queue("q")
        with pytest.raises(hopmq.PublishNackedError):
            await channel.publish(b"", routing_key="q")
        with pytest.raises(hopmq.ConnectionLostError):
            await again.delete_queue("q")
    assert (nack.hits, cut.hits) == (1, 1)


async def test_who_was_cut_off_and_does_not_hang_up_is_let_go_when_the_broker_stops(
    broker: Broker, faults: Faults, connection: Connection
) -> None:
    (peer,) = broker.state.peers
    transport = peer.link.transport
    connection._session.link.pause_reading()
    faults.disconnect()
    await peer.link.lost
    await broker.stop()
    assert transport.is_closing()


async def attempt(broker: Broker, direction: Direction, size: int) -> bool:
    """Publish on a connection that is cut after so many bytes, and say whether it was."""
    async with hopmq.connect(broker.url) as connection:
        await connection.declare_queue("q", durable=False)
        channel = await connection.channel()
        queue = broker.state.vhosts["/"].queues["q"]
        queue.purge()
        with Faults(broker).cut_after(size, direction=direction) as cut:
            try:
                await channel.publish(b"one", routing_key="q")
            except hopmq.PublishUnknownError:
                assert queue.ready in {0, 1}
            else:
                assert queue.ready == 1
        return cut.hits == 1


@pytest.mark.parametrize("direction", ["to_broker", "to_client"])
async def test_wherever_a_publish_is_cut_off_its_outcome_is_right(
    broker: Broker, direction: Direction
) -> None:
    size = 0
    while await attempt(broker, direction, size):
        size += 1
    assert size >= (20 if direction == "to_client" else 50)
