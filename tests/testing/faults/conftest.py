"""A broker of each test's own, its faults, and a connection to it."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

import hopmq
from hopmq import Channel, Connection
from hopmq.broker import Broker
from hopmq.testing import Faults

SECONDS = 20.0


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a broker that stops wait for a client longer than a test may take."""
    monkeypatch.setattr("hopmq.broker.restart._CLOSE_TIMEOUT", 2 * SECONDS)


@pytest.fixture(params=["tcp", "memory"])
def place(request: pytest.FixtureRequest) -> str:
    """Return how the broker is reached."""
    where: str = request.param
    return where


@pytest.fixture
async def broker(place: str, name: str) -> AsyncIterator[Broker]:
    """Return a broker of the test's own."""
    broker = Broker() if place == "tcp" else Broker(host=None, name=name)
    async with broker:
        yield broker


@pytest.fixture
async def faults(broker: Broker) -> Faults:
    """Return the broker's faults."""
    return Faults(broker)


@pytest.fixture
async def connection(broker: Broker) -> AsyncIterator[Connection]:
    """Return an open connection named `subject`."""
    connection = await hopmq.connect(broker.url, name="subject", recovery=None)
    yield connection
    await connection.close()


@pytest.fixture
async def channel(connection: Connection) -> Channel:
    """Return an open channel with confirms."""
    return await connection.channel()
