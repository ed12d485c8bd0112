"""Who asks is finished before those stop whom it asks."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.running.seen import Seen
from hopmq import Connection
from hopmq.app import App


@pytest.fixture
async def endpoint(other: Connection, name: str) -> AsyncIterator[str]:
    """Return what the names of endpoints begin with, and delete their queues in the end."""
    endpoint = f"{name}.endpoint"
    yield endpoint
    for number in range(3):
        await other.delete_queue(f"{endpoint}{number}")


async def until_stopped(connection: Connection, queue: str) -> None:
    while (await connection.declare_queue(queue, passive=True)).consumer_count:
        await asyncio.sleep(0)


async def test_a_handler_in_hand_is_answered_by_its_own_application(
    amqp_url: str, cleaned: str, endpoint: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url, drain_timeout=10)
    at_work, may_ask = asyncio.Event(), asyncio.Event()

    @app.endpoint(f"{endpoint}0")
    async def answer() -> int:
        return 7

    @app.consumer(cleaned)
    async def handle() -> None:
        at_work.set()
        await may_ask.wait()
        await seen.add(await app.request(f"{endpoint}0", b"", returns=int))

    await app.start()
    await app.publish(b"", routing_key=cleaned)
    await at_work.wait()
    draining = asyncio.create_task(app.drain())
    await until_stopped(other, cleaned)
    may_ask.set()
    await draining
    assert seen.items == [7]


async def test_an_endpoint_in_hand_is_answered_by_those_that_it_asks_and_they_by_theirs(
    amqp_url: str, endpoint: str, other: Connection
) -> None:
    app = App(amqp_url, drain_timeout=10)
    at_work, may_ask = asyncio.Event(), asyncio.Event()

    @app.endpoint(f"{endpoint}0")
    async def first() -> int:
        at_work.set()
        await may_ask.wait()
        return await app.request(f"{endpoint}1", b"", returns=int) + 1

    @app.endpoint(f"{endpoint}1")
    async def second() -> int:
        return await app.request(f"{endpoint}2", b"", returns=int) + 1

    @app.endpoint(f"{endpoint}2")
    async def third() -> int:
        return 7

    await app.start()
    may_ask.set()
    assert await app.request(f"{endpoint}0", b"", returns=int) == 9
    at_work.clear()
    may_ask.clear()
    asking = asyncio.create_task(app.request(f"{endpoint}0", b"", returns=int))
    await at_work.wait()
    draining = asyncio.create_task(app.drain())
    await until_stopped(other, f"{endpoint}0")
    may_ask.set()
    assert await asking == 9
    await draining


async def test_endpoints_that_ask_each_other_stop_together(amqp_url: str, endpoint: str) -> None:
    app = App(amqp_url)

    @app.endpoint(f"{endpoint}0")
    async def first(depth: int) -> int:
        return await app.request(f"{endpoint}1", depth - 1, returns=int) if depth else 7

    @app.endpoint(f"{endpoint}1")
    async def second(depth: int) -> int:
        return await app.request(f"{endpoint}0", depth - 1, returns=int) if depth else 7

    async with app:
        assert await app.request(f"{endpoint}0", 1, returns=int) == 7
        assert await app.request(f"{endpoint}1", 1, returns=int) == 7
    assert app.state == "stopped"
