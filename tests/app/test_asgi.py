"""Applications beside HTTP frameworks: started and drained with them, asked how they are."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi, post
from litestar.params import Body
from litestar.types import Receive, Scope, Send

import hopmq
from hopmq import Pool
from hopmq.app import App
from hopmq.app.asgi import Asgi, Probes, WithApp, lifespan
from hopmq.broker import Broker

PATIENCE = 20.0


@dataclass
class Order:
    """A payload."""

    id: int


class Shop:
    """An application, and what its handler has seen."""

    def __init__(self, url: str) -> None:
        self.app = App(url)
        self.seen: asyncio.Queue[int] = asyncio.Queue()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.app.consumer("orders")(self.handle)

    async def handle(self, order: Order) -> None:
        self.seen.put_nowait(order.id)
        await self.may_end.wait()

    async def order(self, id: int) -> None:
        await self.app.publish(Order(id), routing_key="orders")

    async def next(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.seen.get()


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker of the test's own, to do things to."""
    async with Broker() as broker:
        yield broker


@pytest.fixture
def shop(broker: Broker) -> Shop:
    """Return an application on it."""
    return Shop(broker.url)


@asynccontextmanager
async def served(asgi: Asgi) -> AsyncIterator[httpx.AsyncClient]:
    """Send requests to an ASGI application, without a server; its lifespan is the caller's."""
    transport: Any = httpx.ASGITransport(asgi)  # typed more narrowly than ASGI is
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


class Server:
    """Says when it starts and ends, as a server does (ASGI's lifespan protocol)."""

    def __init__(self, asgi: Asgi) -> None:
        self._asgi = asgi
        self._to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, Any]:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        self._task = asyncio.ensure_future(self._asgi(scope, self._to.get, self._from.put))
        return await self._tell("lifespan.startup")

    async def end(self) -> dict[str, Any]:
        return await self._tell("lifespan.shutdown")

    async def _tell(self, what: str) -> dict[str, Any]:
        self._to.put_nowait({"type": what})
        async with asyncio.timeout(PATIENCE):
            answer: dict[str, Any] = await self._from.get()
        return answer

    async def ended(self) -> None:
        assert self._task is not None
        async with asyncio.timeout(PATIENCE):
            await self._task


# --- frameworks --------------------------------------------------------------------------------


def with_fastapi(shop: Shop) -> tuple[Asgi, AbstractAsyncContextManager[Any]]:
    web = FastAPI(lifespan=lifespan(shop.app))
    web.mount("/health", Probes(shop.app))

    @web.post("/orders")
    async def place(order: Order) -> None:
        await shop.order(order.id)

    return web, web.router.lifespan_context(web)


def with_litestar(shop: Shop) -> tuple[Asgi, AbstractAsyncContextManager[Any]]:
    probes = Probes(shop.app)

    @post("/orders")
    async def place(data: Annotated[Order, Body()]) -> None:
        await shop.order(data.id)

    @asgi("/health", is_mount=True, copy_scope=True)
    async def health(scope: Scope, receive: Receive, send: Send) -> None:
        await probes(scope, receive, send)

    web = Litestar([place, health], lifespan=[lifespan(shop.app)])
    return web, web.lifespan()


def with_bare_asgi(shop: Shop) -> tuple[Asgi, AbstractAsyncContextManager[Any]]:
    probes = Probes(shop.app)

    async def web(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/health"):
            await probes(scope, receive, send)
            return
        await shop.order(json.loads((await receive())["body"])["id"])
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    whole = WithApp(web, shop.app)

    @asynccontextmanager
    async def around() -> AsyncIterator[None]:
        server = Server(whole)
        assert (await server.start())["type"] == "lifespan.startup.complete"
        yield
        assert (await server.end())["type"] == "lifespan.shutdown.complete"
        await server.ended()

    return whole, around()


FITS = [with_fastapi, with_litestar, with_bare_asgi]
Fit = Callable[[Shop], tuple[Asgi, AbstractAsyncContextManager[Any]]]


@pytest.mark.parametrize("fit", FITS)
async def test_an_application_starts_and_ends_with_its_framework(fit: Fit, shop: Shop) -> None:
    web, around = fit(shop)
    async with served(web) as client:
        assert (await client.get("/health/readyz")).status_code == 503
        async with around:
            assert shop.app.state == "running"
            assert (await client.post("/orders", json={"id": 7})).is_success
            assert await shop.next() == 7
            assert (await client.get("/health/readyz")).status_code == 200
        assert shop.app.state == "stopped"
        assert (await client.get("/health/readyz")).status_code == 503


@pytest.mark.parametrize("fit", FITS)
async def test_what_handlers_have_in_hand_is_finished_at_the_end(fit: Fit, shop: Shop) -> None:
    _, around = fit(shop)
    async with around:
        shop.may_end.clear()
        await shop.order(1)
        assert await shop.next() == 1
        asyncio.get_running_loop().call_soon(shop.may_end.set)
    async with hopmq.Pool(shop_url(shop)) as pool:
        assert (await pool.declare_queue("orders", passive=True)).message_count == 0


def shop_url(shop: Shop) -> str:
    """Return the address of the shop's broker."""
    url: Any = shop.app._source._urls  # type: ignore[attr-defined]
    return str(url)


@pytest.mark.parametrize("fit", FITS[:2])
async def test_a_framework_without_its_broker_does_not_start(fit: Fit) -> None:
    shop = Shop("amqp://127.0.0.1:1")
    _, around = fit(shop)
    with pytest.raises((hopmq.ConnectError, ExceptionGroup)) as raised:
        async with around:
            raise AssertionError("it has started")
    error = raised.value
    if isinstance(error, ExceptionGroup):  # Litestar's
        error = error.exceptions[0]
    assert isinstance(error, hopmq.ConnectError)
    assert shop.app.state == "stopped"


async def test_a_server_is_told_why_the_application_does_not_start() -> None:
    shop = Shop("amqp://127.0.0.1:1")
    server = Server(WithApp(_not_found, shop.app))
    answer = await server.start()
    assert answer["type"] == "lifespan.startup.failed"
    assert "127.0.0.1" in answer["message"]
    await server.ended()


async def test_a_process_that_only_publishes_consumes_nothing(broker: Broker) -> None:
    shop = Shop(broker.url)
    web = FastAPI(lifespan=lifespan(shop.app, consume=False))
    async with web.router.lifespan_context(web), Pool(broker.url) as pool:
        assert not shop.app.consumers
        await pool.declare_queue("orders")
        await shop.order(1)
        assert (await pool.declare_queue("orders", passive=True)).message_count == 1


async def _not_found(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


# --- probes ------------------------------------------------------------------------------------


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Give the loop turns until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0)


async def answer(client: httpx.AsyncClient, path: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of a probe."""
    got = await client.get(path)
    body: dict[str, Any] = got.json()
    return got.status_code, body


async def test_probes_follow_the_application(shop: Shop) -> None:
    async with served(Probes(shop.app)) as client:
        status, body = await answer(client, "/readyz")
        assert (status, body["state"]) == (503, "new")
        assert (await answer(client, "/livez"))[0] == 200
        async with shop.app:
            assert await answer(client, "/readyz") == (
                200,
                {"ready": True, "state": "running", "reasons": [], "paused": []},
            )
        status, body = await answer(client, "/readyz")
        assert (status, body["reasons"]) == (503, ["the application is stopped"])


async def test_one_that_drains_is_not_ready_and_live(shop: Shop) -> None:
    shop.may_end.clear()
    await shop.app.start()
    await shop.order(1)
    await shop.next()
    draining = asyncio.create_task(shop.app.drain())
    async with served(Probes(shop.app)) as client:

        async def is_draining() -> bool:
            return (await answer(client, "/readyz"))[1]["state"] == "draining"

        await until(is_draining)
        status, body = await answer(client, "/readyz")
        assert (status, body["reasons"][0]) == (503, "the application is draining")
        assert (await answer(client, "/livez"))[0] == 200
        shop.may_end.set()
        await draining
        assert (await answer(client, "/readyz"))[1]["state"] == "stopped"


async def test_a_broker_that_is_away_makes_it_unready_and_not_dead(
    shop: Shop, broker: Broker
) -> None:
    async with shop.app, served(Probes(shop.app)) as client:
        port = broker.port
        await broker.stop()

        async def is_unready() -> bool:
            return (await client.get("/readyz")).status_code == 503

        await until(is_unready)
        assert (await answer(client, "/livez"))[0] == 200
        async with Broker(port=port):

            async def is_ready() -> bool:
                return (await client.get("/readyz")).status_code == 200

            await until(is_ready)


async def test_a_broker_that_takes_no_publishes_makes_it_unready(
    shop: Shop, broker: Broker
) -> None:
    async with shop.app, served(Probes(shop.app)) as client:
        await shop.order(1)
        fault = hopmq.testing.Faults(broker).block()

        async def reasons() -> list[str]:
            found: list[str] = (await answer(client, "/readyz"))[1]["reasons"]
            return found

        async def is_told() -> bool:
            return any("takes no publishes" in each for each in await reasons())

        async def is_over() -> bool:
            return not await reasons()

        await until(is_told)
        assert (await answer(client, "/livez"))[0] == 200
        fault.cancel()
        await until(is_over)


async def test_a_consumer_that_has_gone_makes_it_unready_until_it_is_back(
    shop: Shop, broker: Broker
) -> None:
    async with shop.app, served(Probes(shop.app)) as client:
        faults = hopmq.testing.Faults(broker)
        lock = faults.lock_queue("orders")
        faults.cancel_consumers()

        async def is_missed() -> bool:
            status, body = await answer(client, "/readyz")
            return status == 503 and any("consumer" in each for each in body["reasons"])

        async def is_back() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await until(is_missed)
        assert (await answer(client, "/livez"))[0] == 200
        lock.cancel()
        await until(is_back)
        await shop.order(2)
        assert await shop.next() == 2


async def test_one_that_is_paused_is_ready_and_says_so(shop: Shop) -> None:
    async with shop.app, served(Probes(shop.app)) as client:
        await shop.app.consumers["orders"].pause()
        status, body = await answer(client, "/readyz")
        assert (status, body["paused"]) == (200, ["orders"])


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/livez", 200),
        ("HEAD", "/livez", 200),
        ("GET", "/anywhere/livez/", 200),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
        ("POST", "/livez", 405),
    ],
)
async def test_probes_answer_what_they_know(
    method: str, path: str, status: int, shop: Shop
) -> None:
    async with served(Probes(shop.app)) as client:
        got = await client.request(method, path)
    assert got.status_code == status
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "no-store"
    assert bool(got.content) == (method != "HEAD")


async def test_probes_may_be_served_by_themselves(shop: Shop) -> None:
    server = Server(Probes(shop.app))
    assert (await server.start())["type"] == "lifespan.startup.complete"
    assert (await server.end())["type"] == "lifespan.shutdown.complete"
    await server.ended()
