"""What tests of groups share: a pool, entities that are deleted, nothing left behind."""

from collections.abc import AsyncIterator

import pytest

from hopmq import Exchange, Pool
from hopmq.app.groups import Group
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from pool.conftest import opened


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
