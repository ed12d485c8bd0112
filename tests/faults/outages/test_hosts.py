"""Which broker a connection goes to next, and where a name leads by then."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

import hopmq
from faults.ends import soon
from hopmq import Connection
from hopmq.broker import Broker
from hopmq.events import AttemptFailed, Recovered, Recovering
from hopmq.testing.ports import free_ports
from hopmq.transport import addresses

from .witness import recovering


@pytest.fixture
async def other() -> AsyncIterator[Broker]:
    """Return a second broker."""
    async with Broker() as broker:
        yield broker


def dead_url() -> str:
    """Return an address where nobody listens."""
    return f"amqp://127.0.0.1:{free_ports(1)[0]}"


async def used(connection: Connection, broker: Broker) -> None:
    """See that a connection is with this broker, and fully there."""
    channel = await soon(connection.channel())
    assert (await soon(channel.publish(b"", routing_key="q", mandatory=True))).confirmed
    assert "q" in broker.state.vhosts["/"].queues
    await soon(channel.close())


async def test_dead_hosts_are_passed_over(embedded: Broker) -> None:
    urls = [dead_url(), embedded.url, dead_url()]
    async with recovering(urls) as witness:
        await witness.connection.declare_queue("q")
        for number in range(1, 4):
            await embedded.restart(abrupt=True)
            await soon(witness.until(Recovered, number))
            await used(witness.connection, embedded)


async def test_another_broker_takes_over_with_everything_on_it(
    embedded: Broker, other: Broker
) -> None:
    async with recovering([embedded.url, other.url], policy={"shuffle": False}) as witness:
        connection = witness.connection
        channel = await connection.channel()
        await connection.declare(hopmq.Exchange.topic("events"), hopmq.Queue("q"))
        await connection.bind("q", "events", "#")
        consumer = await channel.consume("q")
        assert "q" in embedded.state.vhosts["/"].queues
        assert "q" not in other.state.vhosts["/"].queues
        await embedded.stop(abrupt=True)
        await soon(witness.until(Recovering))
        await soon(channel.publish(b"on", exchange="events", routing_key="a", mandatory=True))
        message = await soon(anext(consumer))
        assert message.body == b"on"
        assert message.ack()
        await used(connection, other)
        await embedded.start()
        await other.stop()
        await soon(witness.until(Recovered, 2))
        await used(connection, embedded)


async def test_the_first_host_is_tried_again_when_all_have_failed(
    embedded: Broker, other: Broker
) -> None:
    async with recovering([embedded.url, other.url], policy={"shuffle": False}) as witness:
        await witness.connection.declare_queue("q")
        await other.stop()
        await embedded.stop(abrupt=True)
        for _ in range(4):
            await soon(witness.until(AttemptFailed, len(witness.of(AttemptFailed)) + 1))
        assert {attempt.address for attempt in witness.of(AttemptFailed)} == {
            f"amqp://guest@127.0.0.1:{broker.port}" for broker in (embedded, other)
        }
        await embedded.start()
        await soon(witness.until(Recovered))
        await used(witness.connection, embedded)


class Resolver:
    """Where a name leads, in place of the system's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.leads_to: list[str] = []
        self.asked = 0
        monkeypatch.setattr(addresses, "_addresses", self._addresses)

    async def _addresses(self, host: str, port: int) -> object:
        self.asked += 1
        assert host == "broker.test"
        if not self.leads_to:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        loop = asyncio.get_running_loop()
        return [
            (family, kind, protocol, place)
            for address in self.leads_to
            for family, kind, protocol, _, place in await loop.getaddrinfo(address, port)
            if kind == socket.SOCK_STREAM
        ]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Return what resolves `broker.test`."""
    return Resolver(monkeypatch)


async def test_a_name_is_resolved_anew_for_each_attempt(resolver: Resolver) -> None:
    port = free_ports(1)[0]
    async with (
        Broker(host="127.0.0.1", port=port) as before,
        Broker(host="127.0.0.2", port=port) as after,
    ):
        resolver.leads_to = ["127.0.0.1"]
        async with recovering(f"amqp://broker.test:{port}") as witness:
            await witness.connection.declare_queue("q")
            assert "q" in before.state.vhosts["/"].queues
            resolver.leads_to = ["127.0.0.2"]
            await before.restart(abrupt=True)
            await soon(witness.until(Recovered))
            await used(witness.connection, after)
            assert not before.state.peers


async def test_all_addresses_of_a_name_are_tried(resolver: Resolver) -> None:
    port = free_ports(1)[0]
    async with Broker(host="127.0.0.2", port=port) as broker:
        resolver.leads_to = ["127.0.0.1", "127.0.0.3", "127.0.0.2"]
        async with recovering(f"amqp://broker.test:{port}") as witness:
            await witness.connection.declare_queue("q")
            await broker.restart(abrupt=True)
            await soon(witness.until(Recovered))
            await used(witness.connection, broker)


async def test_a_name_that_is_lost_for_a_while_is_waited_for(resolver: Resolver) -> None:
    port = free_ports(1)[0]
    async with Broker(port=port) as broker:
        resolver.leads_to = ["127.0.0.1"]
        async with recovering(f"amqp://broker.test:{port}") as witness:
            await witness.connection.declare_queue("q")
            resolver.leads_to = []
            await broker.restart(abrupt=True)
            await soon(witness.until(Recovering))
            failed = await soon(witness.until(AttemptFailed, 2))
            assert "cannot resolve" in str(failed.error)
            assert not failed.refused
            resolver.leads_to = ["127.0.0.1"]
            await soon(witness.until(Recovered))
            await used(witness.connection, broker)
