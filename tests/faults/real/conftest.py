"""One broker of each release for all tests here, and one event loop: most time is the broker's."""

from collections.abc import AsyncIterator, Iterator

import pytest

from brokers.selection import BrokerChoice
from conftest import INSTALLED, NO_BROKER, PLAINEST
from faults.outages.witness import Witness, recovering
from faults.traffic import Traffic
from flavours import Flavour
from hopmq.testing import RabbitMQ


@pytest.fixture(scope="session", params=[PLAINEST], ids=str)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return the one event loop and codec."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour."""
    return flavour.backend


@pytest.fixture(
    scope="package", params=INSTALLED or [NO_BROKER], ids=lambda choice: str(choice.label)
)
def victim_of_all(request: pytest.FixtureRequest) -> Iterator[RabbitMQ]:
    """Return the broker that all tests of this folder break."""
    choice: BrokerChoice = request.param
    with RabbitMQ(choice.installation, start_timeout=120.0) as started:
        yield started


@pytest.fixture
def victim(victim_of_all: RabbitMQ) -> RabbitMQ:
    """Return a broker that runs, to be broken."""
    victim_of_all.start()
    victim_of_all.resume()
    return victim_of_all


@pytest.fixture
async def witness(victim: RabbitMQ) -> AsyncIterator[Witness]:
    """Return a connection to it that comes back quickly."""
    async with recovering(victim.url, heartbeat=2, connect_timeout=2.0) as witness:
        yield witness


@pytest.fixture
async def traffic(witness: Witness, name: str) -> AsyncIterator[Traffic]:
    """Return what goes on with it; at the end, all that was promised has to be so."""
    async with Traffic(witness.connection, name) as running:
        yield running
