"""What is declared at the start: where publishers publish to, and without consumers what waits for them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import pytest

from app.running.seen import Seen
from hopmq import Connection, Exchange, Message, NotFoundError, PreconditionFailedError, Queue
from hopmq.app import App, DeclarationError, Depends, Group, Linear, Retry, Topology


@pytest.fixture
async def exchange(name: str, other: Connection) -> AsyncIterator[str]:
    """Return an exchange's name, and delete that exchange in the end."""
    yield f"{name}.exchange"
    await other.delete_exchange(f"{name}.exchange")


# --- publishers ----------------------------------------------------------------------------------


async def test_an_exchange_that_a_publisher_names_is_there_as_a_consumer_declares_it(
    amqp_url: str, cleaned: str, exchange: str, seen: Seen
) -> None:
    shop, worker = App(amqp_url), App(amqp_url)
    placed = shop.publisher(bytes, exchange=exchange, routing_key="placed")

    @worker.consumer(cleaned, exchange=exchange)
    async def handle(body: bytes) -> None:
        await seen.add(body)

    assert shop.topology.exchanges == (Exchange.topic(exchange),)
    async with shop:
        await placed.publish(b"too early")
        async with worker:
            await placed.publish(b"in time")
            assert await seen.count(1) == [b"in time"]


async def test_a_publisher_takes_an_exchange_as_it_is(
    amqp_url: str, cleaned: str, exchange: str, other: Connection
) -> None:
    await other.declare(Exchange.direct(exchange), Queue(cleaned))
    await other.bind(cleaned, exchange, "placed")
    app = App(amqp_url)
    placed = app.publisher(bytes, exchange=exchange, routing_key="placed", mandatory=True)
    async with app:
        await placed.publish(b"")
    assert (await other.declare_queue(cleaned, passive=True)).message_count == 1


async def test_an_exchange_that_a_publisher_describes_is_no_other(
    amqp_url: str, exchange: str, other: Connection
) -> None:
    await other.declare_exchange(Exchange.direct(exchange))
    app = App(amqp_url)
    app.publisher(bytes, exchange=Exchange.topic(exchange))
    with pytest.raises(PreconditionFailedError):
        await app.start()


async def test_a_publisher_that_is_not_to_declare_does_not(amqp_url: str, exchange: str) -> None:
    app = App(amqp_url)
    app.publisher(bytes, exchange=exchange, declare=False)
    app.publisher(bytes, exchange=Exchange.topic(exchange), declare=False)
    app.publisher(bytes, routing_key="of the default exchange")
    assert app.topology == Topology()


def test_who_describes_an_exchange_goes_before_who_names_it() -> None:
    app = App()
    fanout = Exchange.fanout("news")
    app.publisher(bytes, exchange="news")
    app.publisher(str, exchange=fanout)
    app.publisher(int, exchange="news")

    @app.consumer("readers", exchange=fanout)
    async def handle(body: bytes) -> None: ...

    assert app.topology.exchanges[0] == fanout
    assert [each.name for each in app.topology.exchanges].count("news") == 1
    assert not app.topology.as_found


def test_two_that_describe_an_exchange_have_to_agree() -> None:
    app = App()
    app.publisher(bytes, exchange=Exchange.fanout("news"))

    @app.consumer("readers", exchange="news")
    async def handle(body: bytes) -> None: ...

    with pytest.raises(DeclarationError, match="news"):
        _ = app.topology


# --- without consumers ---------------------------------------------------------------------------


async def test_what_is_published_before_there_is_a_consumer_waits_for_it(
    amqp_url: str, cleaned: str, exchange: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)
    retry = Retry(attempts=3, backoff=Linear(1, 2))

    @app.consumer(Queue.quorum(cleaned), exchange=exchange, bindings="placed", retry=retry)
    async def handle(body: bytes) -> None:
        await seen.add(body)

    await app.start(consume=False)
    await app.publish(b"early", exchange=exchange, routing_key="placed", mandatory=True)
    assert not app.consumers
    await app.drain()
    await other.declare_queue(f"{cleaned}.parked", passive=True)
    assert seen.items == []
    async with app:
        assert await seen.count(1) == [b"early"]


async def test_a_request_waits_for_the_first_that_serves(
    amqp_url: str, name: str, other: Connection
) -> None:
    app, server = App(amqp_url), App(amqp_url)

    @app.endpoint(name)
    @server.endpoint(name)
    async def answer() -> int:
        return 42

    await app.start(consume=False)
    asking = asyncio.create_task(app.request(name, returns=int, timeout=20))
    async with server:
        assert await asking == 42
    await app.drain()
    await other.delete_queue(name)


async def test_queues_that_go_with_their_consumers_are_left_to_these(
    amqp_url: str, cleaned: str, exchange: str, other: Connection
) -> None:
    app = App(amqp_url)
    own = [Queue.temporary(f"{cleaned}.own"), Queue.classic(f"{cleaned}.kept", auto_delete=True)]

    async def handle(message: Message) -> None: ...

    app.consumer(cleaned, exchange=exchange)(handle)
    for queue in own:
        app.consumer(queue, exchange=exchange)(handle)
    group = Group.broadcast(cleaned, member="me")
    app.consumer(exchange=exchange, group=group)(handle)
    await app.start(consume=False)
    try:
        await other.declare_queue(cleaned, passive=True)
        for name in (*(each.name for each in own), f"{group.queue_name(exchange)}.me"):
            with pytest.raises(NotFoundError):
                await other.declare_queue(name, passive=True)
    finally:
        await app.drain()
        for name in (*(each.name for each in own), group.queue_name(exchange)):
            await other.delete_queue(f"{name}.parked")


async def test_nothing_of_handlers_is_opened_where_none_is_called(
    amqp_url: str, cleaned: str
) -> None:
    opened: list[str] = []
    app = App(amqp_url)

    def connect() -> int:
        opened.append("a database")
        return 1

    @app.consumer(cleaned)
    async def handle(given: Annotated[int, Depends(connect, scope="app")]) -> None: ...

    await app.start(consume=False)
    await app.drain()
    assert opened == []


async def test_nothing_is_declared_where_others_do(
    amqp_url: str, cleaned: str, exchange: str, other: Connection
) -> None:
    app = App(amqp_url, declare=False)
    app.publisher(bytes, exchange=exchange)

    @app.consumer(cleaned)
    async def handle(body: bytes) -> None: ...

    await app.start(consume=False)
    with pytest.raises(NotFoundError):
        await other.declare_queue(cleaned, passive=True)
    with pytest.raises(NotFoundError):
        await other.declare_exchange(exchange, passive=True)
    await app.drain()
