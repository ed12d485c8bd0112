"""`app.test()`: an application on a broker of its own, at a time that is turned."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

import hopmq
from hopmq import Exchange
from hopmq.app import (
    App,
    CallTimeoutError,
    Constant,
    DeclarationError,
    Depends,
    NoEndpointError,
    RemoteError,
    Retry,
    Router,
    sleep,
)

SHOP = Exchange.topic("shop")


@dataclass
class Order:
    """A payload."""

    id: int


@dataclass
class Confirmed:
    """What is published for each."""

    id: int


@pytest.fixture
def app() -> App:
    """Return an application without anything; nobody listens at its address."""
    return App("amqp://nowhere.invalid", name="under test")


def tasks() -> set[asyncio.Task[Any]]:
    """Return what runs in this loop."""
    return asyncio.all_tasks()


# --- publishing --------------------------------------------------------------------------------


async def test_a_handler_has_run_when_publish_returns(app: App) -> None:
    seen = []

    @app.consumer("orders")
    async def handle(order: Order) -> None:
        seen.append(order)

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        assert seen == [Order(1)]
        assert t.waiting("orders") == 0


async def test_a_plain_function_in_a_thread_has_run_too(app: App) -> None:
    seen = []

    @app.consumer("orders")
    def handle(order: Order) -> None:
        seen.append(order)

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        assert seen == [Order(1)]


async def test_a_handler_that_waits_for_the_world_is_waited_for(app: App) -> None:
    seen = []

    @app.consumer("orders")
    async def handle(order: Order) -> None:
        await asyncio.to_thread(seen.append, order)

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        assert seen == [Order(1)]


async def test_what_handlers_publish_is_known_and_what_the_test_publishes_is_not_among_it(
    app: App,
) -> None:
    confirmed = app.publisher(Confirmed, exchange=SHOP, routing_key="order.confirmed")

    @app.consumer("orders")
    async def handle(order: Order) -> None:
        await confirmed.publish(Confirmed(order.id), headers={"x-tenant": 7})
        await app.publish(b"raw", exchange=SHOP, routing_key="raw", delay=60)

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        await t.publish(Order(2), routing_key="orders")
        assert t.published(Confirmed) == [Confirmed(1), Confirmed(2)]
        assert t.published(Order) == []
        assert t.published(exchange="orders") == []
        assert len(t.published(exchange="shop")) == 4
        first, second = t.published(routing_key="order.confirmed")
        assert (first.payload, first.body) == (Confirmed(1), b'{"id":1}')
        assert first.properties.headers == {"x-tenant": 7}
        assert first.properties.message_id != second.properties.message_id
        assert first.delay is None
        assert t.published(routing_key="raw")[0].delay == 60


async def test_everything_about_a_message_may_be_said(app: App) -> None:
    seen: list[hopmq.Message] = []

    @app.consumer("orders")
    async def handle(order: Order, message: hopmq.Message) -> None:
        seen.append(message)

    @app.endpoint("tenant")
    async def tenant(body: bytes, message: hopmq.Message) -> str:
        return f"{message.headers['x-tenant']} {message.properties.content_type}"

    async with app.test() as t:
        await t.publish(
            Order(1),
            routing_key="orders",
            headers={"x-tenant": 7},
            content_encoding="gzip",
            expiration=60,
            priority=3,
            correlation_id="c",
            reply_to="r",
            message_id="m",
        )
        asked = t.request(
            "tenant", b"GIF8", returns=str, headers={"x-tenant": 8}, content_type="image/gif"
        )
        assert await asked == "8 image/gif"
    (message,) = seen
    properties = message.properties
    assert (properties.priority, properties.correlation_id, properties.reply_to) == (3, "c", "r")
    assert (properties.message_id, properties.expiration) == ("m", "60000")
    assert properties.headers == {"x-tenant": 7}


async def test_payloads_are_found_by_the_forms_of_types_as_well(app: App) -> None:
    @app.on_startup
    async def begin() -> None:
        await app.publish([Order(1)], exchange="amq.topic")
        await app.publish({"a": Order(2)}, exchange="amq.topic")

    async with app.test() as t:
        assert t.published(list[Order]) == [[Order(1)]]
        assert t.published(dict[str, Order]) == [{"a": Order(2)}]


async def test_what_is_parked_is_looked_at_as_in_production(app: App) -> None:
    sold: list[int] = []

    @app.consumer("orders", retry=None)
    async def handle(order: Order) -> None:
        if not sold:
            sold.append(0)
            raise LookupError("not for sale")
        sold.append(order.id)

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        parking = app.parking("orders")
        (parked,) = await parking.list()
        assert (parked.reason, parked.error, parked.attempts) == ("not for sale", "LookupError", 1)
        await parking.requeue_all()
        await t.drain()
        assert sold == [0, 1]
        assert await parking.count() == 0


async def test_a_misspelt_routing_key_is_an_error(app: App) -> None:
    async with app.test() as t:
        with pytest.raises(hopmq.PublishReturnedError):
            await t.publish(Order(1), routing_key="invoices")


async def test_queues_hold_what_nobody_consumes(app: App) -> None:
    app.consumer("orders")(_ignore)
    async with app.test() as t:
        await app.consumers["orders"].pause()
        await t.publish(Order(1), routing_key="orders")
        await t.drain()
        assert t.waiting("orders") == 1
        await app.consumers["orders"].resume()
        await t.drain()
        assert t.waiting("orders") == 0
        with pytest.raises(hopmq.UsageError, match="'invoices'"):
            t.waiting("invoices")


async def test_all_is_declared_though_others_declare_it_in_production() -> None:
    app = App("amqp://nowhere.invalid", declare=False)
    app.consumer("orders", exchange=SHOP, bindings="order.*")(_ignore)
    async with app.test() as t:
        await t.publish(Order(1), exchange=SHOP, routing_key="order.placed")


async def _ignore(order: Order) -> None:
    """Take an order."""


# --- asking ------------------------------------------------------------------------------------


async def test_endpoints_answer_and_fail_as_in_production(app: App) -> None:
    app.errors.register(KeyError)

    @app.endpoint("confirm")
    async def confirm(order: Order) -> Confirmed:
        if order.id == 2:
            raise KeyError("two")
        if order.id == 3:
            raise ValueError("a secret")
        return Confirmed(order.id)

    async with app.test() as t:
        assert await t.request("confirm", Order(1), returns=Confirmed) == Confirmed(1)
        assert (await t.request("confirm", Order(1))).body == b'{"id":1}'
        with pytest.raises(KeyError, match="two"):
            await t.request("confirm", Order(2), returns=Confirmed)
        with pytest.raises(RemoteError, match="internal"):
            await t.request("confirm", Order(3), returns=Confirmed)
        with pytest.raises(NoEndpointError):
            await t.request("refuse", Order(1))


async def test_a_request_that_takes_hours_takes_none(app: App) -> None:
    @app.endpoint("confirm")
    async def confirm(order: Order) -> Confirmed:
        await sleep(app.clock, order.id * 3600)
        return Confirmed(order.id)

    async with app.test() as t:
        asked = t.request("confirm", Order(1), returns=Confirmed, timeout=4000)
        assert await asked == Confirmed(1)
        with pytest.raises(CallTimeoutError):
            await t.request("confirm", Order(2), timeout=7000)


async def test_a_handler_that_asks_waits_for_the_one_that_answers(app: App) -> None:
    seen = []

    @app.endpoint("confirm")
    async def confirm(order: Order) -> Confirmed:
        await sleep(app.clock, order.id * 10)
        return Confirmed(order.id)

    @app.consumer("orders", retry=Retry(attempts=2, backoff=Constant(60)))
    async def handle(order: Order) -> None:
        seen.append(order.id)
        asked = app.request("confirm", order, returns=Confirmed, timeout=15)
        seen.append(await asked)

    async with app.test(patience=60) as t:
        await t.publish(Order(1), routing_key="orders")
        assert seen == [1]
        await t.drain()
        assert seen == [1, Confirmed(1)]
        await t.publish(Order(2), routing_key="orders")
        await t.drain()
        assert seen[2:] == [2, 2]
        assert t.waiting("orders.parked") == 1


# --- dependencies ------------------------------------------------------------------------------


async def test_dependencies_are_replaced_for_the_test_alone(app: App) -> None:
    names: list[str] = []

    def get_name() -> str:
        return "real"

    def get_shop() -> Iterator[str]:
        yield "real shop"

    @app.consumer("orders")
    async def handle(
        order: Order,
        name: Annotated[str, Depends(get_name)],
        shop: Annotated[str, Depends(get_shop, scope="app")],
    ) -> None:
        names.append(f"{name}, {shop}")

    async def other_shop() -> AsyncIterator[str]:
        yield "other shop"
        names.append("closed")

    async with app.test(overrides={get_name: lambda: "other", get_shop: other_shop}) as t:
        await t.publish(Order(1), routing_key="orders")
    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
    assert names == ["other, other shop", "closed", "real, real shop"]
    assert app.overrides == {}


# --- beginning and ending ----------------------------------------------------------------------


async def test_an_application_is_tested_twice_and_nothing_is_left_over(app: App) -> None:
    hooks = []
    router = Router("shop.")
    placed = router.publisher(Order, routing_key="shop.orders")
    router.consumer("orders")(_ignore)
    app.include(router)

    @app.on_startup
    async def begin() -> None:
        hooks.append("begun")
        await placed.publish(Order(0))

    @app.on_shutdown
    def end() -> None:
        hooks.append("ended")

    before = tasks()
    for _ in range(2):
        async with app.test() as t:
            await app.consumers["shop.orders"].pause()
            await t.publish(Order(1), routing_key="shop.orders")
            assert t.published(Order) == [Order(0)]
            assert t.waiting("shop.orders") == 1
            assert app.state == "running"
        assert app.state == "stopped"
    assert hooks == ["begun", "ended"] * 2
    assert tasks() == before


@pytest.mark.parametrize("part", ["handler", "hook", "lifespan"])
async def test_an_application_that_cannot_start_leaves_nothing_behind(part: str) -> None:
    broken = True

    @asynccontextmanager
    async def lifespan(_: App) -> AsyncIterator[None]:
        if broken and part == "lifespan":
            raise ConnectionError("broken")
        yield

    app = App("amqp://nowhere.invalid", lifespan=lifespan)
    app.consumer("orders")(_ignore)

    @app.on_startup
    async def begin() -> None:
        if broken and part == "hook":
            raise ConnectionError("broken")

    def name_of_nothing() -> str:
        return ""

    def with_parameter(nothing: asyncio.Event) -> str:
        return str(nothing)

    @app.consumer("others")
    async def handle(name: Annotated[str, Depends(name_of_nothing)]) -> None:
        """Have a dependency that cannot be found in the first test."""

    before = tasks()
    overrides = {name_of_nothing: with_parameter} if part == "handler" else {}
    with pytest.raises((ConnectionError, DeclarationError)):
        async with app.test(overrides=overrides):
            raise AssertionError("it has started")
    assert app.state == "stopped"
    assert tasks() == before
    broken = False
    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")


async def test_one_that_runs_is_not_tested_and_runs_on() -> None:
    app = App("memory://under-test")
    async with app:
        with pytest.raises(hopmq.UsageError, match="runs"):
            async with app.test():
                raise AssertionError("it has started")
        assert app.state == "running"
        await app.publish(b"", routing_key="anywhere")


async def test_a_failing_test_fails_of_its_own_error(app: App) -> None:
    before = tasks()
    with pytest.raises(ZeroDivisionError):
        async with app.test():
            raise ZeroDivisionError
    assert tasks() == before


async def test_before_it_begins_there_is_nothing_to_publish_to(app: App) -> None:
    t = app.test()
    with pytest.raises(hopmq.UsageError, match="async with"):
        await t.publish(Order(1), routing_key="orders")
