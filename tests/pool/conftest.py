"""What the pool's tests share: a time limit, a pool, queues of their own, nothing left behind."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import hopmq
from client.proxy import Proxy
from conftest import RunningBroker
from hopmq import Connection, Pool, Recovery
from hopmq.resilience import Constant
from leftovers import nothing_left_behind
from time_limits import limit

TIME_LIMIT = 60.0
"""Seconds for one test; a loaded machine included."""

QUICKLY = Recovery(backoff=Constant(0.01), refusal_delay=0.01)
"""A link that is cut within the handshake looks like a refusal: none is waited for."""

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every asynchronous test of this folder."""
    limit(items, _HERE, TIME_LIMIT)


@pytest.fixture(autouse=True)
def _client_alone_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what an embedded broker tells apart from what the client tells."""
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture(autouse=True)
async def _nothing_left_behind(anyio_backend: object) -> AsyncIterator[None]:
    """Fail a test that leaves a task, or that asyncio had to complain about."""
    async with nothing_left_behind():
        yield


@pytest.fixture
async def pool(amqp_url: str) -> AsyncIterator[Pool]:
    """Return an open pool."""
    async with opened(amqp_url) as pool:
        yield pool


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Pool]:  # Any: keywords of Pool
    """Open a pool, and close it at once at the end."""
    pool = Pool(url, name="pool", **options)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture(scope="module")
async def other(anyio_backend: object, broker: RunningBroker) -> AsyncIterator[Connection]:
    """Return a connection of its own, to look at what the pool did; leave it open."""
    connection = await hopmq.connect(broker.url, name="tests, second connection")
    yield connection
    await connection.close()


@pytest.fixture
async def queue(other: Connection, name: str) -> AsyncIterator[str]:
    """Return the name of an empty durable queue that any connection may use."""
    await other.declare_queue(name)
    yield name
    await other.delete_queue(name)


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    """Return a relay to the broker, to connect through."""
    async with Proxy(amqp_url) as relay:
        yield relay
