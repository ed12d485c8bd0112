"""Plain functions publish and ask: by the event loop of their application."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hopmq.app import App, NoEndpointError, loop_calls
from hopmq.app.loop_calls import LoopCalls
from hopmq.errors import UsageError

TIMEOUT = 20


@pytest.fixture
def app(name: str) -> App:
    return App(f"memory://{name}", drain_timeout=TIMEOUT)


async def in_thread(work: Callable[[], Any]) -> Any:
    async with asyncio.timeout(TIMEOUT):
        return await asyncio.to_thread(work)


# --- what it is for ----------------------------------------------------------------------------


async def test_a_plain_handler_publishes_and_asks(app: App) -> None:
    results = app.publisher(int, routing_key="results")

    @app.endpoint("double")
    def double(number: int) -> int:
        return 2 * number

    @app.consumer("numbers")
    def work(number: int) -> None:
        doubled = app.from_thread(app.request("double", number, returns=int))
        app.from_thread(results.publish(doubled))

    async with app.test() as t:
        await t.publish(4, routing_key="numbers")
        assert t.published(int) == [8]


async def test_what_it_raises_is_raised_in_the_thread(app: App) -> None:
    async with app:
        with pytest.raises(NoEndpointError):
            await in_thread(lambda: app.from_thread(app.request("nobody")))


# --- where it is not for -----------------------------------------------------------------------


async def test_in_the_thread_of_the_event_loop_it_is_refused(app: App) -> None:
    async with app:
        with pytest.raises(UsageError, match="await it here"):
            app.from_thread(app.publish(1, routing_key="numbers"))


async def test_an_application_that_does_not_run_runs_nothing(app: App) -> None:
    with pytest.raises(UsageError, match="does not run"):
        await in_thread(lambda: app.from_thread(app.publish(1, routing_key="numbers")))


@pytest.mark.parametrize(
    "use",
    [
        lambda app: app.publish(1, routing_key="numbers"),
        lambda app: app.request("numbers", 1),
        lambda app: app.publisher(int, routing_key="numbers").publish(1),
    ],
)
async def test_another_event_loop_is_told_how(
    app: App, use: Callable[[App], Awaitable[object]]
) -> None:
    async def elsewhere() -> None:
        await use(app)

    async with app:
        with pytest.raises(UsageError, match="from_thread"):
            await in_thread(lambda: asyncio.run(elsewhere()))


# --- nothing hangs -----------------------------------------------------------------------------


async def test_who_waits_at_the_end_of_the_application_is_told(app: App) -> None:
    is_waiting = threading.Event()

    async def wait_for_ever() -> None:
        is_waiting.set()
        await asyncio.Event().wait()

    async with app:
        waiting = asyncio.ensure_future(in_thread(lambda: app.from_thread(wait_for_ever())))
        assert await in_thread(lambda: is_waiting.wait(TIMEOUT))
    with pytest.raises(UsageError, match="has ended"):
        await waiting


def test_who_waits_for_a_loop_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was drained, so nobody else tells."""
    monkeypatch.setattr(loop_calls, "_LOOK", 0.01)
    told: list[str] = []

    async def calls() -> LoopCalls:
        return LoopCalls()

    async def wait_for_ever() -> None:
        has_begun.set()
        await asyncio.Event().wait()

    def ask() -> None:
        try:
            within.run(wait_for_ever())
        except UsageError as error:
            told.append(str(error))

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(
        lambda *_: None
    )  # a task is left, as it is where loops end like this
    within = loop.run_until_complete(calls())
    has_begun = asyncio.Event()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    loop.run_until_complete(asyncio.wait_for(has_begun.wait(), TIMEOUT))
    loop.close()
    thread.join(TIMEOUT)
    assert told == ["the application has ended before this was done"]
