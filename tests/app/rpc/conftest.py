"""What tests of calls share: two pools, an endpoint, nothing left behind."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conftest import RunningBroker
from hopmq import Message, Pool, Recovery
from hopmq.app.rpc import RemoteErrors, RpcClient, answer
from hopmq.resilience import Constant
from hopmq.testing import FaultProxy

QUICKLY = Recovery(backoff=Constant(0.01), refusal_delay=0.01)
"""A link that is cut within the handshake looks like a refusal: none is waited for."""

Work = Callable[[Message], Awaitable[bytes | None]]


@pytest.fixture
async def worker(amqp_url: str) -> AsyncIterator[Pool]:
    """Return the pool that endpoints are served by."""
    async with opened(amqp_url) as pool:
        yield pool


@pytest.fixture
async def pool(amqp_url: str) -> AsyncIterator[Pool]:
    """Return the pool that calls are made by."""
    async with opened(amqp_url) as pool:
        yield pool


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Pool]:  # Any: keywords of Pool
    """Open a pool, and close it at once at the end."""
    pool = Pool(url, name="calls", recovery=QUICKLY, **options)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
def errors() -> RemoteErrors:
    """Return what exceptions pass; none at first."""
    return RemoteErrors()


@pytest.fixture
async def client(pool: Pool, errors: RemoteErrors) -> AsyncIterator[RpcClient]:
    """Return a client that has its channel."""
    async with RpcClient(pool, errors=errors, default_timeout=40.0) as client:
        yield client


@pytest.fixture
async def queue(worker: Pool, name: str) -> AsyncIterator[str]:
    """Return the name of an empty queue."""
    await worker.declare_queue(name)
    yield name
    await worker.delete_queue(name)


@pytest.fixture
async def proxy(broker: RunningBroker) -> AsyncIterator[FaultProxy]:
    """Return a proxy to connect through."""
    async with FaultProxy(broker.url) as proxy:
        yield proxy


@asynccontextmanager
async def served(
    pool: Pool, queue: str, work: Work, *, concurrency: int = 100
) -> AsyncIterator[None]:
    """Answer each request with what `work` returns; not at all where that is None."""

    async def handle(message: Message) -> None:
        body = await work(message)
        if body is not None:
            await answer(pool, message, body)
        message.ack()

    async with await pool.consume(queue, handle, prefetch=1000, concurrency=concurrency):
        yield


async def echo(message: Message) -> bytes:
    """Answer with the request."""
    return message.body
