"""Handlers that do not end in time are cancelled, and their messages are there for others."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from hopmq import Connection, Exchange, Pool, Queue
from hopmq.app import App, Batch, Group

KINDS: dict[str, dict[str, Any]] = {
    "one by one": {},
    "several": {"concurrency": 3},
    "in lanes": {"order_by": "routing_key"},
    "in batches": {"batch": Batch(1, 0)},
}


class Hanging:
    """A handler without an end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.was_cancelled = False

    async def one(self, body: bytes) -> None:
        await self._hang()

    async def many(self, bodies: list[bytes]) -> None:
        await self._hang()

    async def _hang(self) -> None:
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


@pytest.fixture
async def queue(other: Connection, name: str) -> AsyncIterator[str]:
    yield name
    for each in (name, f"{name}.parked"):
        await other.delete_queue(each)


async def until_ready(connection: Connection, queue: str, count: int) -> None:
    """Wait until a queue has so many messages for others."""
    async with asyncio.timeout(20):
        while (await connection.declare_queue(queue, passive=True)).message_count < count:
            await asyncio.sleep(0)


async def count_of(pool: Pool, queues: Iterable[str]) -> int:
    """Return how many messages these have for others."""
    counts = [(await pool.declare_queue(each, passive=True)).message_count for each in queues]
    return sum(counts)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_that_does_not_end_in_time_is_cut_off(
    kind: str, amqp_url: str, queue: str, other: Connection
) -> None:
    hanging = Hanging()
    async with Pool(amqp_url) as pool:  # which stays open, and so its channels might
        app = App(pool)
        handler = hanging.many if "batch" in KINDS[kind] else hanging.one
        app.consumer(Queue.classic(queue), retry=None, **KINDS[kind])(handler)
        before = asyncio.all_tasks()
        await app.start()
        await app.publish(b"", routing_key=queue)
        await hanging.begun.wait()
        await app.drain(0.05)
        assert app.state == "stopped"
        assert hanging.was_cancelled
        await until_ready(other, queue, 1)
        assert not [task for task in asyncio.all_tasks() - before if "worker" in task.get_name()]


async def test_an_endpoint_that_does_not_end_in_time_is_cut_off(
    amqp_url: str, queue: str, other: Connection
) -> None:
    hanging = Hanging()
    async with Pool(amqp_url) as pool, App(amqp_url) as caller:
        app = App(pool)
        app.endpoint(queue)(hanging.one)
        await app.start()
        asking = asyncio.create_task(caller.request(queue, b"", timeout=60))
        await hanging.begun.wait()
        await app.drain(0.05)
        assert hanging.was_cancelled
        await until_ready(other, queue, 1)
        asking.cancel()
        await asyncio.wait([asking])


async def test_a_member_of_a_partitioned_group_is_cut_off(amqp_url: str, name: str) -> None:
    hanging = Hanging()
    group = Group("billing", partitions=2, hashed_by="publisher")
    async with Pool(amqp_url) as pool:
        app = App(pool)
        app.consumer(exchange=Exchange.topic(name), group=group)(hanging.one)
        await app.start()
        try:
            place = {"exchange": group.exchange_name(name), "routing_key": group.routing_key("a")}
            await app.publish(b"", mandatory=True, **place)
            await hanging.begun.wait()
            await app.drain(0.05)
            assert hanging.was_cancelled
            async with asyncio.timeout(20):
                while not (count := await count_of(pool, group.partition_names(name))):
                    await asyncio.sleep(0)
            assert count == 1
        finally:
            for each in group.partition_names(name):
                await pool.delete_queue(each)
