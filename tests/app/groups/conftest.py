"""What tests of groups share: a pool, entities that are deleted, nothing left behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hopmq import Exchange, Pool
from hopmq.app.groups import Group
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from pool.conftest import opened


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


class Declaring:
    """Declares what groups need, and deletes it in the end."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._declared: list[Topology] = []

    async def __call__(self, group: Group, exchange: Exchange, *keys: str) -> None:
        """Declare what a group needs, with these binding keys."""
        bindings = [Binding(exchange.name, "", routing_key=key) for key in keys]
        topology = group.topology(exchange, bindings)
        self._declared.append(topology)
        await topology.declare(self._pool)

    async def undo(self) -> None:
        """Delete it."""
        for topology in self._declared:
            for queue in topology.queues:
                await self._pool.delete_queue(queue)
            for exchange in topology.exchanges:
                await self._pool.delete_exchange(exchange)


@pytest.fixture
async def declare(pool: Pool) -> AsyncIterator[Declaring]:
    """Return what declares the needs of groups until the end of the test."""
    declaring = Declaring(pool)
    yield declaring
    await declaring.undo()
