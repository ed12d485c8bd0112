"""Hooks and the lifespan: what was begun at the start is undone at the end, in reverse order, and nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from hopmq import ConnectError, Connection, NotFoundError
from hopmq.app import App, Router

NOWHERE = "amqp://127.0.0.1:1"


class Noting:
    """An application with routers, all of whose hooks note down that they were called."""

    def __init__(self, url: str, fails: str = "") -> None:
        self.calls: list[str] = []
        self._fails = fails
        self.app = App(url, lifespan=self.lifespan)
        inner, middle, last = Router(), Router(), Router()
        middle.include(inner)
        self.app.include(middle)
        self.app.include(last)
        for name, router in [
            ("app", self.app),
            ("middle", middle),
            ("inner", inner),
            ("last", last),
        ]:
            router.on_startup(self.noting(f"{name} begins"))
            router.on_startup(self.noting(f"{name} has begun"))
            router.on_shutdown(self.noting(f"{name} has ended"))
            router.on_shutdown(self.noting(f"{name} ends"))

    def noting(self, what: str) -> Callable[[], None]:
        def hook() -> None:
            self.calls.append(what)
            if what == self._fails:
                raise LookupError(what)

        return hook

    @asynccontextmanager
    async def lifespan(self, _app: App) -> AsyncIterator[None]:
        self.noting("lifespan begins")()
        try:
            yield
        finally:
            self.noting("lifespan ends")()


async def calls_of_failed_start(url: str, fails: str) -> list[str]:
    noting = Noting(url, fails)
    with pytest.raises(LookupError):
        await noting.app.start()
    return noting.calls


async def test_hooks_are_called_in_order_and_at_the_end_in_reverse_order(amqp_url: str) -> None:
    noting = Noting(amqp_url)
    async with noting.app:
        assert noting.calls == [
            "lifespan begins",
            *("app begins", "app has begun"),
            *("middle begins", "middle has begun"),
            *("inner begins", "inner has begun"),
            *("last begins", "last has begun"),
        ]
        noting.calls.clear()
    assert noting.calls == [
        *("last ends", "last has ended"),
        *("inner ends", "inner has ended"),
        *("middle ends", "middle has ended"),
        *("app ends", "app has ended"),
        "lifespan ends",
    ]


async def test_no_hook_is_called_where_it_does_not_connect() -> None:
    noting = Noting(NOWHERE)
    with pytest.raises(ConnectError):
        await noting.app.start()
    assert noting.calls == []


async def test_no_hook_is_called_where_the_lifespan_is_not_entered(amqp_url: str) -> None:
    assert await calls_of_failed_start(amqp_url, "lifespan begins") == ["lifespan begins"]


@pytest.mark.parametrize("fails", ["middle begins", "middle has begun"])
async def test_a_router_whose_turn_had_come_is_undone_and_those_behind_are_not(
    fails: str, amqp_url: str
) -> None:
    calls = await calls_of_failed_start(amqp_url, fails)
    assert calls[calls.index(fails) + 1 :] == [
        *("middle ends", "middle has ended"),
        *("app ends", "app has ended"),
        "lifespan ends",
    ]


async def test_all_is_undone_where_it_cannot_consume(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    noting = Noting(amqp_url)

    @noting.app.consumer(cleaned)
    async def handle(body: bytes) -> None: ...

    @noting.app.on_startup
    async def forestall() -> None:
        await other.delete_queue(cleaned)

    with pytest.raises(NotFoundError):
        await noting.app.start()
    assert noting.calls[-2:] == ["app has ended", "lifespan ends"]
    assert "last ends" in noting.calls


async def test_a_second_start_begins_anew(amqp_url: str) -> None:
    noting = Noting(amqp_url, "app begins")
    for _ in range(2):
        noting.calls.clear()
        with pytest.raises(LookupError):
            await noting.app.start()
        assert noting.calls == [
            "lifespan begins",
            "app begins",
            "app ends",
            "app has ended",
            "lifespan ends",
        ]
