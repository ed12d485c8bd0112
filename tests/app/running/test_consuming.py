"""Applications consume, acknowledge and end as they say, on every broker."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import hopmq
from app.running.seen import Seen
from hopmq import Connection, Message, Pool, Queue
from hopmq.app import App, Batch, DeclarationError, Retry, Router


@dataclass
class Order:
    """A payload."""

    id: int


@asynccontextmanager
async def published(connection: Connection, queue: str, *orders: int) -> AsyncIterator[None]:
    async with connection.channel() as channel:
        for order in orders:
            await channel.publish(b'{"id": %d}' % order, routing_key=queue)
        yield


async def left_in(connection: Connection, queue: str) -> int:
    return (await connection.declare_queue(queue, passive=True)).message_count


async def test_a_handler_gets_what_was_published_and_acknowledges_it(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle(order: Order) -> None:
        await seen.add(order)

    async with app:
        await app.publish(Order(id=1), routing_key=cleaned)
        assert await seen.count(1) == [Order(id=1)]
    assert await left_in(other, cleaned) == 0


async def test_plain_functions_run_in_threads(amqp_url: str, cleaned: str, seen: Seen) -> None:
    app = App(amqp_url)
    loop = asyncio.get_running_loop()

    @app.consumer(cleaned)
    def handle(order: Order) -> None:
        name = threading.current_thread().name
        asyncio.run_coroutine_threadsafe(seen.add(name), loop).result(10)

    async with app:
        await app.publish(Order(id=1), routing_key=cleaned)
        (thread,) = await seen.count(1)
    assert str(thread).startswith("hopmq handler")


async def test_an_application_that_drains_finishes_what_is_in_hand(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    app = App(amqp_url)
    begun, may_end = asyncio.Event(), asyncio.Event()
    ended = []

    @app.consumer(cleaned, prefetch=1)
    async def handle(order: Order) -> None:
        begun.set()
        await may_end.wait()
        ended.append(order.id)

    await app.start()
    async with published(other, cleaned, 1, 2):
        await begun.wait()
    draining = asyncio.create_task(app.drain())
    while (await other.declare_queue(cleaned, passive=True)).consumer_count:
        await asyncio.sleep(0)
    assert app.state == "draining"
    may_end.set()
    await draining
    assert ended == [1]
    assert await left_in(other, cleaned) == 1


async def test_what_does_not_finish_in_time_goes_back(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    app = App(amqp_url)
    begun = asyncio.Event()

    @app.consumer(cleaned)
    async def handle(order: Order) -> None:
        begun.set()
        await asyncio.Event().wait()

    await app.start()
    async with published(other, cleaned, 1):
        await begun.wait()
    await app.drain(timeout=0.1)
    assert app.state == "stopped"
    while await left_in(other, cleaned) == 0:
        await asyncio.sleep(0)


async def test_first_acknowledges_before_the_handler(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, ack="first", retry=Retry(at_once=2))
    async def handle(message: Message) -> None:
        await seen.add(message.settled)
        raise ValueError("too late to matter")

    async with app:
        await app.publish(Order(id=1), routing_key=cleaned)
        assert await seen.count(1) == [True]
    assert await left_in(other, cleaned) == 0
    assert await left_in(other, f"{cleaned}.parked") == 0


@pytest.mark.parametrize("batch", [None, Batch(1)], ids=["one", "batch"])
async def test_what_cannot_be_read_is_parked_although_it_is_acknowledged(
    amqp_url: str, cleaned: str, other: Connection, batch: Batch | None
) -> None:
    app = App(amqp_url)

    async def one(number: int) -> None: ...

    async def several(numbers: list[int]) -> None: ...

    app.consumer(cleaned, ack="first", batch=batch)(several if batch else one)
    async with app, asyncio.timeout(20):
        await app.publish("no number", routing_key=cleaned)
        while await left_in(other, f"{cleaned}.parked") == 0:
            await asyncio.sleep(0)
    assert await left_in(other, cleaned) == 0


async def test_manual_leaves_it_to_the_handler(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, ack="manual")
    async def handle(order: Order, message: Message) -> None:
        if order.id == 1:
            message.ack()
        await seen.add(order.id)

    await app.start()
    async with published(other, cleaned, 1, 2):
        await seen.count(2)
    await app.drain(timeout=0.1)
    while await left_in(other, cleaned) == 0:
        await asyncio.sleep(0)
    assert await left_in(other, cleaned) == 1


async def test_what_cannot_be_read_is_parked(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle(order: Order) -> None:
        raise AssertionError

    async with app, other.channel() as channel:
        await channel.publish(b"no json", routing_key=cleaned)
        while await left_in(other, f"{cleaned}.parked") == 0:
            await asyncio.sleep(0)
        parked = await channel.get(f"{cleaned}.parked")
        assert parked is not None
        assert parked.body == b"no json"
        assert "Order" in str(parked.headers["x-hopmq-reason"])
        parked.ack()


async def test_a_consumer_is_paused_and_resumed(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle(order: Order) -> None:
        await seen.add(order.id)

    async with app:
        consumer = app.consumers[cleaned]
        await consumer.pause()
        assert consumer.is_paused
        async with published(other, cleaned, 1):
            assert await left_in(other, cleaned) == 1
        assert app.health().paused == (cleaned,)
        assert app.health().ready
        await consumer.resume()
        assert await seen.count(1) == [1]


async def test_a_handler_may_pause_its_own_consumer(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, concurrency=2)
    async def handle(order: Order) -> None:
        await app.consumers[cleaned].pause()
        await seen.add(order.id)

    async with app:
        async with published(other, cleaned, 1, 2):
            await seen.count(1)
        await app.consumers[cleaned].resume()
        assert sorted(map(str, await seen.count(2))) == ["1", "2"]


async def test_a_consumer_comes_back_when_its_queue_was_deleted(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle(order: Order) -> None:
        await seen.add(order.id)

    async with app:
        await other.delete_queue(cleaned)
        async with asyncio.timeout(20), other.channel() as channel:
            while True:
                try:
                    await channel.publish(b'{"id": 1}', routing_key=cleaned, mandatory=True)
                except hopmq.PublishReturnedError:
                    await asyncio.sleep(0)
                else:
                    break
        assert await seen.count(1) == [1]


async def test_it_uses_a_pool_and_leaves_an_open_one_open(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    async with Pool(amqp_url) as pool:
        app = App(pool)

        @app.consumer(cleaned)
        async def handle(order: Order) -> None:
            await seen.add(order.id)

        async with app:
            await app.publish(Order(id=1), routing_key=cleaned)
            await seen.count(1)
        assert pool.state == "open"


async def test_it_uses_a_connection_and_leaves_it_open(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    async with hopmq.connect(amqp_url) as connection:
        app = App(connection)

        @app.consumer(cleaned)
        async def handle(order: Order) -> None:
            await seen.add(order.id)

        async with app:
            await app.publish(Order(id=1), routing_key=cleaned)
            await seen.count(1)
            await app.consumers[cleaned].pause()
            await app.consumers[cleaned].resume()
        assert connection.is_open
        assert not connection.channels()


async def test_an_application_runs_more_than_once(amqp_url: str, cleaned: str, seen: Seen) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle(order: Order) -> None:
        await seen.add(order.id)

    for number in (1, 2):
        async with app:
            await app.publish(Order(id=number), routing_key=cleaned)
            await seen.count(number)
    assert seen.items == [1, 2]


async def test_routers_put_their_prefix_before_names(
    amqp_url: str, name: str, seen: Seen, other: Connection
) -> None:
    app, shop, cellar = App(amqp_url), Router("shop."), Router("cellar.")
    out = cellar.publisher(Order, routing_key=f"shop.cellar.{name}")

    @cellar.consumer(name)
    async def handle(order: Order) -> None:
        await seen.add(order.id)

    shop.include(cellar)
    app.include(shop)
    async with app:
        await out.publish(Order(id=1))
        assert await seen.count(1) == [1]
        assert list(app.consumers) == [f"shop.cellar.{name}"]
    for queue in (f"shop.cellar.{name}", f"shop.cellar.{name}.parked"):
        await other.delete_queue(queue)


async def test_words_of_the_routing_key_are_parameters(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, exchange=f"{cleaned}-events", bindings="order.{region}.{year}")
    async def handle(region: str, year: int) -> None:
        await seen.add((region, year))

    async with app:
        await app.publish(Order(id=1), exchange=f"{cleaned}-events", routing_key="order.eu.2026")
        assert await seen.count(1) == [("eu", 2026)]
    await other.delete_exchange(f"{cleaned}-events")


async def test_without_declaring_what_is_missing_is_an_error(amqp_url: str, name: str) -> None:
    app = App(amqp_url, declare=False)

    @app.consumer(name)
    async def handle(order: Order) -> None: ...

    with pytest.raises(hopmq.NotFoundError, match=name):
        await app.start()
    assert app.state == "stopped"


async def test_without_declaring_nothing_is_declared_after_a_failure_either(
    amqp_url: str, cleaned: str, other: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await other.declare_queue(cleaned)
    app = App(amqp_url, declare=False)

    @app.consumer(cleaned, retry=None)
    async def handle(order: Order) -> None:
        raise ValueError("nowhere to park it")

    await app.start()
    async with published(other, cleaned, 1):
        while caplog.text.count("is not stored yet") < 2:
            await asyncio.sleep(0.01)  # the log is all there is to see of it
    with pytest.raises(hopmq.NotFoundError):
        await other.declare_queue(f"{cleaned}.parked", passive=True)
    await app.drain(timeout=0.1)
    while await left_in(other, cleaned) == 0:
        await asyncio.sleep(0)


async def test_hooks_and_lifespan_stand_around_what_is_consumed(
    amqp_url: str, cleaned: str
) -> None:
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        order.append("lifespan begins")
        yield
        order.append("lifespan ends")

    app = App(amqp_url, lifespan=lifespan)

    @app.on_startup
    async def begin() -> None:
        await app.publish(Order(id=1), routing_key=cleaned)
        order.append("startup")

    @app.on_shutdown
    def end() -> None:
        order.append("shutdown")

    @app.consumer(cleaned)
    async def handle(message: Order) -> None:
        order.append("handler")
        handled.set()

    handled = asyncio.Event()
    async with app:
        await handled.wait()
    assert order == ["lifespan begins", "startup", "handler", "shutdown", "lifespan ends"]


# --- what cannot be meant ------------------------------------------------------------------------


def test_topology_is_known_before_connecting() -> None:
    app = App("amqp://nowhere.invalid")

    @app.consumer(Queue.quorum("orders"), exchange="shop", bindings=["order.*", "#.urgent"])
    async def handle(order: Order) -> None: ...

    topology = app.topology
    assert topology.exchanges[0].name == "shop"
    assert {"orders", "orders.parked"} <= {each.name for each in topology.queues}
    keys = [each.routing_key for each in topology.bindings if each.source == "shop"]
    assert keys == ["order.*", "#.urgent"]


def test_two_handlers_of_one_queue_are_refused() -> None:
    app = App()
    app.consumer("orders")(lambda: None)
    app.consumer("orders")(lambda: None)
    with pytest.raises(DeclarationError, match="'orders' has 2 handlers"):
        _ = app.topology


def test_one_queue_with_different_properties_is_refused() -> None:
    app = App()
    app.consumer(Queue.quorum("orders"))(lambda: None)
    app.consumer(Queue.classic("orders"), name="another")(lambda: None)
    with pytest.raises(DeclarationError, match="declared twice"):
        _ = app.topology


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"ack": "never"}, "ack is one of"),
        ({"concurrency": 0}, "concurrency"),
        ({"bindings": "a.b"}, "needs an exchange"),
        ({"exchange": "x", "bindings": ["{a}.b", "{a}.c"]}, "one binding alone"),
        ({"exchange": "x", "bindings": "a{b}.c"}, "whole word"),
        ({"exchange": hopmq.Exchange.headers("x")}, "headers exchange needs bindings"),
    ],
)
def test_options_that_contradict_each_other_are_refused_at_once(
    options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        App().consumer("orders", **options)(lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("decorator", [App().consumer, App().endpoint])
def test_a_decorator_without_its_parentheses_is_refused(decorator: Any) -> None:
    async def handle(order: Order) -> None: ...

    with pytest.raises(DeclarationError, match="'handle' needs a queue"):
        decorator(handle)
    with pytest.raises(DeclarationError, match="a queue or its name is due"):
        decorator(5)


async def test_a_handler_that_cannot_work_is_refused_before_connecting() -> None:
    app = App("amqp://nowhere.invalid")

    @app.consumer("orders")
    async def handle(first: Order, second: Order) -> None: ...

    with pytest.raises(DeclarationError, match=r"orders.*first.*second"):
        await app.start()


async def test_nothing_is_published_while_it_does_not_run() -> None:
    app, router = App(), Router()
    with pytest.raises(hopmq.UsageError, match="does not run"):
        await app.publish(b"x", routing_key="q")
    with pytest.raises(hopmq.UsageError, match="part of no application"):
        await router.publisher(Order, routing_key="q").publish(Order(id=1))
    with pytest.raises(hopmq.UsageError, match="included once"):
        app.include(app)


async def test_what_was_parked_is_listed_and_requeued(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)
    is_broken = True

    @app.consumer(cleaned, retry=None)
    async def handle(order: Order) -> None:
        await seen.add(order.id)
        if is_broken:
            raise ValueError("not today")

    async with app:
        await app.publish(Order(id=1), routing_key=cleaned)
        await seen.count(1)
        parking = app.parking(cleaned)
        while not (parked := await parking.list()):
            await asyncio.sleep(0)
        assert (parked[0].reason, parked[0].attempts) == ("not today", 1)
        is_broken = False
        await parking.requeue(parked[0].id)
        assert await seen.count(2) == [1, 1]
        assert await parking.list() == []
