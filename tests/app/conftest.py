"""What tests of applications share: one event loop, a time limit, and applications that end."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import hopmq
from conftest import PLAINEST, RunningBroker
from flavours import Flavour
from hopmq import Connection
from leftovers import nothing_left_behind
from time_limits import limit

TIME_LIMIT = 120.0
"""Seconds for one test; a loaded machine included."""

_HERE = Path(__file__).parent


@pytest.fixture(scope="session", params=[PLAINEST], ids=str)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return one combination of event loop and codec: what differs is the client's, and tested there."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run asynchronous tests on its event loop."""
    return flavour.backend


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every asynchronous test of this folder."""
    limit(items, _HERE, TIME_LIMIT)


@pytest.fixture(autouse=True)
async def _nothing_left_behind(anyio_backend: object) -> AsyncIterator[None]:
    """Fail a test that leaves a task, or that asyncio had to complain about."""
    async with nothing_left_behind():
        yield


@pytest.fixture(autouse=True)
def _broker_does_not_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what an embedded broker tells apart from what the application tells."""
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture
async def other(anyio_backend: object, broker: RunningBroker) -> AsyncIterator[Connection]:
    """Return a connection of its own, to look at what an application did."""
    connection = await hopmq.connect(broker.url, name="tests, second connection")
    yield connection
    await connection.close()
