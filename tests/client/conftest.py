"""What the client's tests share: a time limit, connections, queues of their own, a relay."""

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import hopmq
from client.proxy import Proxy
from conftest import RunningBroker
from hopmq import Channel, Connection

TIME_LIMIT = 60.0
"""Seconds for one test; a loaded machine included."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Bound every await of every test."""
    test = getattr(item, "obj", None)
    if inspect.iscoroutinefunction(test):
        item.obj = _bounded(test)  # type: ignore[attr-defined]


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:  # Any: whatever the test asks for
        async with asyncio.timeout(TIME_LIMIT):
            await test(**fixtures)

    return run


@pytest.fixture(autouse=True)
def _client_alone_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what an embedded broker tells apart from what the client tells."""
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture
async def connection(amqp_url: str) -> AsyncIterator[Connection]:
    """Return an open connection."""
    connection = await hopmq.connect(amqp_url, name="tests")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def other(broker: RunningBroker, anyio_backend: object) -> AsyncIterator[Connection]:
    """Return a second connection, to look at what the first one did; leave it open."""
    connection = await hopmq.connect(broker.url, name="tests, second connection")
    yield connection
    await connection.close()


@pytest.fixture
async def channel(connection: Connection) -> Channel:
    """Return an open channel with confirms; it goes with its connection."""
    return await connection.channel()


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


@pytest.fixture
async def proxied(proxy: Proxy) -> AsyncIterator[Connection]:
    """Return a connection through the relay; it ends with its link."""
    connection = await hopmq.connect(proxy.url, name="tests, by way of the relay", recovery=None)
    yield connection
    proxy.answers.release()
    proxy.requests.release()
    await connection.close()


class Tap:
    """Count what a connection sends."""

    def __init__(self, connection: Connection) -> None:
        self.sent = 0
        self._core = connection._core
        self._take = self._core.data_to_send
        self._core.data_to_send = self._counting  # type: ignore[method-assign]

    def _counting(self, now: float) -> list[bytes | memoryview]:
        buffers = self._take(now)
        self.sent += sum(map(len, buffers))
        return buffers

    @property
    def is_silent(self) -> bool:
        """Whether nothing was sent and nothing is about to be."""
        return not self.sent and not self._core.out and not self._core._with_acks


@pytest.fixture
def tap(connection: Connection) -> Tap:
    """Return a count of what `connection` sends from now on."""
    return Tap(connection)
