"""Endpoints answer, and callers learn of failures, as applications declare them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hopmq import Connection
from hopmq.app import (
    App,
    CallTimeoutError,
    NoEndpointError,
    PayloadError,
    RemoteError,
    Router,
    Serialization,
)
from hopmq.broker import Broker


@dataclass
class Order:
    """A payload."""

    id: int


@dataclass
class Quote:
    """An answer."""

    price: float


class OutOfStockError(Exception):
    """Something that callers are to know."""


@pytest.fixture
def app(amqp_url: str, name: str) -> App:
    """Return an application with an endpoint that does as the order's id says."""
    app = App(amqp_url, request_timeout=20)
    app.errors.register(OutOfStockError)

    @app.endpoint(name, concurrency=10)
    async def quote(order: Order) -> Quote:
        match order.id:
            case 404:
                raise OutOfStockError("none left")
            case 500:
                raise ValueError("a secret")
            case 402:
                raise RemoteError("unpaid", "pay first")
            case 0:
                await asyncio.Event().wait()
        return Quote(price=order.id * 1.5)

    return app


@pytest.fixture(autouse=True)
async def _deleted(other: Connection, name: str) -> None:
    await other.delete_queue(name)


async def test_an_answer_is_what_the_caller_wants_it_to_be(app: App, name: str) -> None:
    async with app:
        assert await app.request(name, Order(id=2), returns=Quote) == Quote(price=3.0)
        assert await app.request(name, {"id": 2}, returns=dict[str, float]) == {"price": 3.0}
        message = await app.request(name, Order(id=2))
        assert message.body == b'{"price":3.0}'
        assert message.content_type == "application/json"


async def test_many_calls_are_under_way_at_once(app: App, name: str) -> None:
    async with app:
        calls = [app.request(name, Order(id=n), returns=Quote) for n in range(1, 301) if n != 402]
        quotes = await asyncio.gather(*calls)
    assert [quote.price for quote in quotes] == [n * 1.5 for n in range(1, 301) if n != 402]


async def test_failures_of_an_endpoint_reach_its_caller(app: App, name: str) -> None:
    async with app:
        with pytest.raises(OutOfStockError, match="none left"):
            await app.request(name, Order(id=404), returns=Quote)
        with pytest.raises(RemoteError, match="unpaid: pay first") as unpaid:
            await app.request(name, Order(id=402), returns=Quote)
        assert (unpaid.value.code, unpaid.value.message) == ("unpaid", "pay first")
        with pytest.raises(RemoteError) as internal:
            await app.request(name, Order(id=500), returns=Quote)
        assert "secret" not in str(internal.value)
        with pytest.raises(RemoteError, match="bad_request"):
            await app.request(name, {"id": "no number"}, returns=Quote)
        with pytest.raises(PayloadError, match=r"answer|body"):
            await app.request(name, Order(id=2), returns=Order)
        assert await app.request(name, Order(id=2), returns=Quote) == Quote(price=3.0)


async def test_a_call_ends_in_time_and_others_go_on(app: App, name: str) -> None:
    async with app:
        with pytest.raises(CallTimeoutError):
            await app.request(name, Order(id=0), timeout=0.2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await app.request(name, Order(id=0))
        assert await app.request(name, Order(id=2), returns=Quote) == Quote(price=3.0)
        await app.drain(timeout=0.1)


async def test_an_endpoint_that_nobody_serves_is_an_error_at_once(app: App) -> None:
    async with app:
        with pytest.raises(NoEndpointError):
            await app.request("nobody-serves-this", Order(id=1))


async def test_endpoints_of_a_router_have_its_prefix(
    amqp_url: str, name: str, other: Connection
) -> None:
    app, router = App(amqp_url), Router(f"{name}.")

    @router.endpoint("double")
    def double(number: int) -> int:
        return 2 * number

    app.include(router)
    async with app:
        assert await app.request(f"{name}.double", 21, returns=int) == 42
    await other.delete_queue(f"{name}.double")


class Unnameable:
    """A format that no property has room for."""

    content_type = "application/" + "x" * 300

    def encode(self, value: object, /) -> bytes:
        return b"1"

    def decoder(self, type_: object, /) -> Callable[[bytes], object]:
        return lambda body: body


async def test_an_answer_that_cannot_be_sent_is_told_to_the_caller(
    amqp_url: str, name: str
) -> None:
    format_ = Unnameable()
    app = App(amqp_url, serialization=Serialization(format_), request_timeout=20)
    calls = 0

    @app.endpoint(name, content_type=format_.content_type)
    async def quote(body: bytes) -> int:
        nonlocal calls
        calls += 1
        return 1

    async with app:
        with pytest.raises(RemoteError, match="internal"):
            await app.request(name, b"")
    assert calls == 1


async def test_an_answer_that_the_broker_does_not_take_is_told_to_the_caller(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(f"memory://{name}", request_timeout=20)
    calls = 0

    @app.endpoint(name)
    async def blob(size: int) -> bytes:
        nonlocal calls
        calls += 1
        return bytes(size)

    async with Broker(host=None, name=name, max_message_size=1000), app:
        with pytest.raises(RemoteError, match="internal"):
            await app.request(name, 1001)
        assert calls == 1
        assert (await app.request(name, 1000)).body == bytes(1000)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "message size 1001 is larger" in str(record.exc_info[1])


async def test_a_consumer_that_is_asked_says_once_that_it_does_not_answer(
    amqp_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(amqp_url)
    asked = asyncio.Semaphore(0)

    @app.consumer(name)
    async def quote(order: Order) -> Quote | None:
        asked.release()
        return Quote(1.5) if order.id else None

    def warnings() -> list[str]:
        return [each for each in caplog.messages if "a request waits for an answer" in each]

    async with app, asyncio.timeout(20):
        for number in (1, 0):
            await app.publish(Order(number), routing_key=name)
            await asked.acquire()
        assert not warnings()  # the second has begun, so that the first has ended
        requests = [
            asyncio.create_task(app.request(name, Order(number), returns=Quote, timeout=20))
            for number in (0, 1, 2)
        ]
        for _ in requests:
            await asked.acquire()
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
    (warning,) = warnings()
    assert "@app.endpoint" in warning
