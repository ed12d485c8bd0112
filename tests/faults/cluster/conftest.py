"""A cluster of the newest release, or of those that HOPMQ_TEST_CLUSTERS names."""

from collections.abc import AsyncIterator, Iterator

import pytest

from brokers.selection import BrokerChoice, chosen_clusters
from conftest import NO_BROKER, PLAINEST
from faults.outages.witness import Witness, recovering
from faults.traffic import Traffic
from flavours import Flavour
from hopmq.testing import RabbitMQCluster


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
    scope="package", params=chosen_clusters() or [NO_BROKER], ids=lambda choice: str(choice.label)
)
def cluster(request: pytest.FixtureRequest) -> Iterator[RabbitMQCluster]:
    """Return a cluster that all tests of this folder break, and leave whole."""
    choice: BrokerChoice = request.param
    with RabbitMQCluster(choice.installation) as started:
        yield started


@pytest.fixture
async def witness(cluster: RabbitMQCluster) -> AsyncIterator[Witness]:
    """Return a connection that knows all nodes, in their order, and comes back quickly."""
    options = {"heartbeat": 4, "connect_timeout": 3.0, "request_timeout": 10.0}
    policy = {"shuffle": False}
    async with recovering(cluster.urls, policy=policy, **options) as witness:
        yield witness


@pytest.fixture
async def traffic(witness: Witness, name: str) -> AsyncIterator[Traffic]:
    """Return what goes on with it; at the end, all that was promised has to be so."""
    async with Traffic(witness.connection, name, classic=False) as running:
        yield running
