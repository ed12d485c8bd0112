"""What the pool's tests share: a time limit, a pool, queues of their own, nothing left behind."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

import hopmq
from client.proxy import Proxy
from conftest import RunningBroker
from hopmq import Connection, Pool, Recovery
from hopmq.resilience import Constant

TIME_LIMIT = 30.0
"""Seconds for one test; a loaded machine included."""

QUICKLY = Recovery(backoff=Constant(0.01), refusal_delay=0.01)
"""A link that is cut within the handshake looks like a refusal: none is waited for."""

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every asynchronous test of this folder."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and _HERE in item.path.parents
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _bounded(item.obj)


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def bounded(**arguments: Any) -> None:  # Any: whatever the test asks for
        async with asyncio.timeout(TIME_LIMIT):
            await test(**arguments)

    return bounded


@pytest.fixture(autouse=True)
def _client_alone_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what an embedded broker tells apart from what the client tells."""
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture(autouse=True)
async def _nothing_left_behind(anyio_backend: object) -> AsyncIterator[None]:
    """Fail a test that leaves a task, or that asyncio had to complain about."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before_test = set(asyncio.all_tasks())
    yield
    for _ in range(200):
        if not _tasks(before_test):
            break
        await asyncio.sleep(0.005)  # a closing socket has something left to do
    loop.set_exception_handler(before)
    assert not _tasks(before_test)
    assert not complaints


def _tasks(known: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """List the tasks of this loop that are not those of the test runner."""
    new = asyncio.all_tasks() - known
    return [task for task in new if "TestRunner" not in repr(task.get_coro())]


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
