"""A broker that does not take us back any more: surfaced, tried a few times, and then it is over."""

import ssl

import pytest

import hopmq
from faults.ends import soon, start
from hopmq import Connection, Queue
from hopmq.broker import Broker
from hopmq.broker.access import Permission, new_user
from hopmq.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionLostError,
    HopMQError,
    PublishNotSentError,
    VhostNotFoundError,
)
from hopmq.events import AttemptFailed, Closed, Recovered
from hopmq.testing import Certificates
from hopmq.testing.faults import Faults

from .witness import Witness, recovering

MAX_REFUSALS = 3
BOUNDED = {"max_refusals": MAX_REFUSALS}
UNBOUNDED = {"max_refusals": None}


async def refused(witness: Witness, kind: type[HopMQError], count: int = 1) -> None:
    """See that attempts are refused, each for the reason that is expected."""
    for number in range(1, count + 1):
        attempt = await soon(witness.until(AttemptFailed, number))
        assert attempt.refused
        assert isinstance(attempt.error, kind)


async def ended(connection: Connection, kind: type[HopMQError]) -> None:
    """See that a connection ends, and says for which refusal."""
    error = await soon(connection.wait_closed())
    assert isinstance(error, ConnectionLostError)
    assert isinstance(error.__cause__, kind)
    assert str(error.__cause__) in str(error)


# --- credentials -------------------------------------------------------------------------------


@pytest.fixture
async def connected(embedded: Broker) -> Broker:
    """Return a broker with a user of its own."""
    set_password(embedded, "first")
    return embedded


def set_password(broker: Broker, password: str) -> None:
    broker.state.access.set(new_user("carol", password))


def url_of_carol(broker: Broker) -> str:
    return f"amqp://carol:first@127.0.0.1:{broker.port}"


async def test_a_password_that_is_right_again_ends_the_outage(
    connected: Broker, faults: Faults
) -> None:
    async with recovering(url_of_carol(connected), policy=UNBOUNDED) as witness:
        channel = await witness.connection.channel()
        await channel.declare_queue("q")
        set_password(connected, "second")
        faults.disconnect()
        await refused(witness, AuthenticationError, 3)
        publish = start(channel.publish(b"held", routing_key="q"))
        assert witness.connection.state == "recovering"
        set_password(connected, "first")
        assert (await soon(publish)).confirmed
        await soon(witness.until(Recovered))


async def test_a_password_that_stays_wrong_ends_the_connection(
    connected: Broker, faults: Faults
) -> None:
    async with recovering(url_of_carol(connected), policy=BOUNDED) as witness:
        channel = await witness.connection.channel()
        await channel.declare_queue("q")
        consumer = await channel.consume("q")
        set_password(connected, "second")
        faults.disconnect()
        await refused(witness, AuthenticationError)
        publish = start(channel.publish(b"held", routing_key="q"))
        await ended(witness.connection, AuthenticationError)
        with pytest.raises(PublishNotSentError, match="403"):
            await soon(publish)
        with pytest.raises(ConnectionLostError, match="403"):
            await soon(anext(consumer))
        assert len(witness.of(AttemptFailed)) == MAX_REFUSALS
        assert len(witness.of(Closed)) == 1
        assert "first" not in str(witness.events)


def addresses(witness: Witness, *, refused: bool) -> list[str]:
    """Return where attempts have failed, in order."""
    return [each.address for each in witness.of(AttemptFailed) if each.refused is refused]


async def test_it_takes_the_refusals_of_every_host(connected: Broker) -> None:
    async with Broker(silent_close_delay=0) as second:
        set_password(second, "second")
        urls = [url_of_carol(connected), url_of_carol(second)]
        async with recovering(urls, policy={**BOUNDED, "shuffle": False}) as witness:
            set_password(connected, "second")
            Faults(connected).disconnect()
            await ended(witness.connection, AuthenticationError)
            tried = addresses(witness, refused=True)
            assert {tried.count(address) for address in tried} == {MAX_REFUSALS}
            assert len(set(tried)) == 2


async def test_a_host_that_refuses_is_left_alone_while_others_are_tried(
    connected: Broker,
) -> None:
    async with Broker(silent_close_delay=0) as second:
        set_password(second, "first")
        urls = [url_of_carol(connected), url_of_carol(second)]
        policy = {"max_refusals": 1, "refusal_delay": 3600.0, "shuffle": False}
        async with recovering(urls, policy=policy) as witness:
            await second.stop(keep=True)
            set_password(connected, "second")
            Faults(connected).disconnect()
            await soon(witness.until(AttemptFailed, 6))
            assert len(addresses(witness, refused=True)) == 1
            assert len(addresses(witness, refused=False)) >= 3, "that one may take us yet"
            await second.start()
            await soon(witness.until(Recovered))


# --- virtual hosts -----------------------------------------------------------------------------


async def test_a_virtual_host_that_is_removed_ends_the_connection(embedded: Broker) -> None:
    embedded.state.add_vhost("ours")
    embedded.state.allow("guest", "ours", Permission())
    async with recovering(embedded.url, vhost="ours", policy=BOUNDED) as witness:
        embedded.state.delete_vhost("ours")
        await refused(witness, VhostNotFoundError)
        await ended(witness.connection, VhostNotFoundError)


async def test_a_virtual_host_that_is_made_anew_gets_everything_again(embedded: Broker) -> None:
    embedded.state.add_vhost("ours")
    embedded.state.allow("guest", "ours", Permission())
    async with recovering(embedded.url, vhost="ours", policy=UNBOUNDED) as witness:
        connection = witness.connection
        channel = await connection.channel()
        await connection.declare(hopmq.Exchange.fanout("all"), Queue("q"))
        await connection.bind("q", "all")
        consumer = await channel.consume("q")
        embedded.state.delete_vhost("ours")
        await refused(witness, VhostNotFoundError)
        embedded.state.add_vhost("ours")
        await soon(channel.publish(b"there again", exchange="all", mandatory=True))
        message = await soon(anext(consumer))
        assert message.body == b"there again"
        message.ack()


# --- certificates ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def others_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of an authority that nobody here trusts."""
    return Certificates.create(tmp_path_factory.mktemp("others"))


@pytest.fixture
def trusting(certificates: Certificates) -> ssl.SSLContext:
    """Return a client's context that trusts the right authority alone."""
    return ssl.create_default_context(cafile=str(certificates.authority))


def secure(certificates: Certificates, port: int = 0) -> Broker:
    """Return a broker that listens for TLS on a port."""
    context = certificates.server_context()
    return Broker(tls=context, tls_port=port, silent_close_delay=0)


async def test_a_wrong_certificate_is_refused_until_the_right_one_is_back(
    certificates: Certificates, others_certificates: Certificates, trusting: ssl.SSLContext
) -> None:
    async with secure(certificates) as broker:
        port, url = broker.tls_port, broker.tls_url
        opening = recovering(url, ssl_context=trusting, policy=UNBOUNDED)
        witness = await opening.__aenter__()
    try:
        async with secure(others_certificates, port):
            await until_certificate_refused(witness, 2)
        publish = start(publish_to_new_queue(witness.connection))
        async with secure(certificates, port):
            assert (await soon(publish)).confirmed
            await opening.__aexit__(None, None, None)
    finally:
        await witness.connection.close()


async def publish_to_new_queue(connection: Connection) -> hopmq.Receipt:
    """Use a connection in every way."""
    channel = await connection.channel()
    await channel.declare_queue("q")
    return await channel.publish(b"", routing_key="q", mandatory=True)


async def until_certificate_refused(witness: Witness, count: int) -> None:
    """Return when so many attempts have ended for the broker's certificate."""

    def so_many() -> int:
        failed = witness.of(AttemptFailed)
        return sum(each.refused and isinstance(each.error, CertificateError) for each in failed)

    while so_many() < count:
        await soon(witness.until(AttemptFailed, len(witness.of(AttemptFailed)) + 1))


async def test_a_certificate_that_stays_wrong_ends_the_connection(
    certificates: Certificates, others_certificates: Certificates, trusting: ssl.SSLContext
) -> None:
    async with secure(certificates) as broker:
        port, url = broker.tls_port, broker.tls_url
        opening = recovering(url, ssl_context=trusting, policy=BOUNDED)
        witness = await opening.__aenter__()
    async with secure(others_certificates, port):
        await ended(witness.connection, CertificateError)
        refusals = [each for each in witness.of(AttemptFailed) if each.refused]
        assert len(refusals) == MAX_REFUSALS
    await opening.__aexit__(None, None, None)
