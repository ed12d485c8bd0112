"""An application ends within its time, and all that belongs to it is ended, whatever users' code does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest

from app.running.seen import Seen
from hopmq import UsageError
from hopmq.app import App, Depends
from hopmq.app.running.consumer import RunningConsumer


async def hang() -> None:
    await asyncio.get_running_loop().create_future()


class Resource:
    """A dependency of scope `app`."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __call__(self) -> AsyncIterator["Resource"]:
        try:
            yield self
        finally:
            self.is_closed = True


async def test_a_drain_ends_although_a_hook_does_not(amqp_url: str, seen: Seen) -> None:
    app = App(amqp_url)
    app.on_shutdown(hang)

    @app.on_shutdown
    async def other() -> None:
        await seen.add("called")

    await app.start()
    await app.drain(0.05)
    assert app.state == "stopped"
    assert seen.items == ["called"]


async def test_a_drain_ends_although_the_lifespan_and_a_hook_do_not(amqp_url: str) -> None:
    @asynccontextmanager
    async def lifespan(_app: App) -> AsyncIterator[None]:
        yield
        await hang()

    app = App(amqp_url, lifespan=lifespan)
    app.on_shutdown(hang)
    await app.start()
    await app.drain(0.05)
    assert app.state == "stopped"


async def test_dependencies_are_closed_although_the_lifespan_fails(
    amqp_url: str, cleaned: str
) -> None:
    @asynccontextmanager
    async def lifespan(_app: App) -> AsyncIterator[None]:
        yield
        raise LookupError

    app = App(amqp_url, lifespan=lifespan)
    resource = Resource()

    @app.consumer(cleaned)
    async def handle(given: Annotated[Resource, Depends(resource, scope="app")]) -> None: ...

    await app.start()
    with pytest.raises(LookupError):
        await app.drain()
    assert resource.is_closed


async def test_a_drain_that_is_cancelled_cuts_off_and_ends_the_rest(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)
    resource, at_work, was_cancelled = Resource(), asyncio.Event(), asyncio.Event()

    @app.consumer(cleaned)
    async def handle(given: Annotated[Resource, Depends(resource, scope="app")]) -> None:
        at_work.set()
        try:
            await hang()
        finally:
            was_cancelled.set()

    @app.on_shutdown
    async def last() -> None:
        await seen.add("called")

    await app.start()
    await app.publish(b"", routing_key=cleaned)
    await at_work.wait()
    draining = asyncio.create_task(app.drain())
    while app.state != "draining":
        await asyncio.sleep(0)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert was_cancelled.is_set()
    assert seen.items == ["called"]
    assert resource.is_closed
    assert app.state == "stopped"


async def test_why_it_did_not_start_is_what_is_raised(amqp_url: str) -> None:
    @asynccontextmanager
    async def lifespan(_app: App) -> AsyncIterator[None]:
        try:
            yield
        finally:
            raise LookupError("at the end")

    app = App(amqp_url, lifespan=lifespan)

    @app.on_startup
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await app.start()
    assert app.state == "stopped"


async def test_handlers_have_the_time_of_a_drain_when_the_start_is_interrupted(
    amqp_url: str,
    cleaned: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App(amqp_url, drain_timeout=0.05)
    start, at_work = RunningConsumer.start, asyncio.Event()

    async def start_and_hang(consumer: RunningConsumer) -> None:
        await start(consumer)
        await hang()

    monkeypatch.setattr(RunningConsumer, "start", start_and_hang)

    @app.consumer(cleaned)
    async def handle() -> None:
        at_work.set()
        await hang()

    @app.on_startup
    async def begin() -> None:
        await app.publish(b"", routing_key=cleaned)

    starting = asyncio.create_task(app.start())
    await at_work.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert "not finished within 0.05 seconds: cut off" in caplog.text


async def test_a_handler_does_not_wait_for_itself_to_drain(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle() -> None:
        with pytest.raises(UsageError):
            await app.drain()
        await seen.add("went on")

    async with app:
        await app.publish(b"", routing_key=cleaned)
        await seen.count(1)


async def test_serving_ends_when_the_application_has_been_drained(
    amqp_url: str, cleaned: str
) -> None:
    app = App(amqp_url)
    draining: set[asyncio.Task[None]] = set()

    @app.consumer(cleaned)
    async def handle() -> None:
        draining.add(asyncio.create_task(app.drain()))

    @app.on_startup
    async def begin() -> None:
        await app.publish(b"", routing_key=cleaned)

    await app.serve()
    assert app.state == "stopped"


def test_one_application_runs_in_one_event_loop_after_the_other(amqp_url: str) -> None:
    app = App(amqp_url)

    async def start_and_end_twice() -> None:
        await asyncio.gather(app.start(), app.start())
        assert app.state == "running"
        await asyncio.gather(app.drain(), app.drain())

    for _ in range(2):
        asyncio.run(start_and_end_twice())
    assert app.state == "stopped"
