"""What a handler sets in context variables is gone with its message."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from app.running.seen import Seen
from hopmq.app import App, Batch, ConsumeContext
from hopmq.app.running.isolation import isolated

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


def look_and_set() -> str:
    before = tenant.get()
    tenant.set("acme")
    return before


@pytest.mark.parametrize(
    "options", [{}, {"order_by": "routing_key"}, {"batch": Batch(1)}], ids=["one", "lanes", "batch"]
)
async def test_each_message_begins_with_the_context_of_the_start(
    options: dict[str, Any], amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)

    async def one(body: bytes) -> None:
        await seen.add(look_and_set())

    async def several(bodies: list[bytes]) -> None:
        await seen.add(look_and_set())

    app.consumer(cleaned, **options)(several if "batch" in options else one)
    tenant.set("of the start")
    async with app:
        for _ in range(3):
            await app.publish(b"", routing_key=cleaned)
        assert await seen.count(3) == ["of the start"] * 3


async def test_so_do_requests(amqp_url: str, cleaned: str) -> None:
    app = App(amqp_url, request_timeout=20)

    @app.endpoint(cleaned)
    async def ask(body: bytes) -> str:
        return look_and_set()

    async with app:
        answers = [await app.request(cleaned, b"", returns=str) for _ in range(2)]
    assert answers == ["nobody", "nobody"]


async def test_what_middleware_sets_its_handler_finds(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    async def around(
        context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]]
    ) -> Any:
        tenant.set(context.message.body.decode())
        result = await call_next(context)
        await seen.add(f"after {tenant.get()}")
        return result

    app = App(amqp_url, middleware=[around])

    @app.consumer(cleaned)
    async def handle(body: bytes) -> None:
        await asyncio.sleep(0)
        await seen.add(look_and_set())

    async with app:
        await app.publish(b"shop", routing_key=cleaned)
        assert await seen.count(2) == ["shop", "after acme"]


# --- as it is awaited ----------------------------------------------------------------------------


CONTEXT: Any = None  # what is called here looks at none


async def test_results_and_errors_come_through() -> None:
    async def divide(_: ConsumeContext) -> float:
        await asyncio.sleep(0)
        return 1 / CONTEXT.value

    async def answer(_: ConsumeContext) -> str:
        await asyncio.sleep(0)
        return "answer"

    assert await isolated(answer)(CONTEXT) == "answer"
    with pytest.raises(AttributeError):
        await isolated(divide)(CONTEXT)


async def test_a_cancellation_arrives_where_it_waits_and_may_be_handled() -> None:
    steps: list[str] = []
    waiting = asyncio.Event()

    async def wait(_: ConsumeContext) -> str:
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            steps.append(look_and_set())
            await asyncio.sleep(0)
            steps.append(tenant.get())
            raise
        raise AssertionError

    async def run() -> None:
        await isolated(wait)(CONTEXT)

    task = asyncio.create_task(run())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["nobody", "acme"]


async def test_the_worker_stays_the_current_task_and_time_limits_work() -> None:
    async def wait(_: ConsumeContext) -> object:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        return asyncio.current_task()

    assert await isolated(wait)(CONTEXT) is asyncio.current_task()


class Pause:
    """Something to wait for, outside any event loop."""

    def __await__(self) -> Iterator[None]:
        yield


def test_one_that_is_never_finished_is_closed() -> None:
    steps: list[str] = []

    async def wait(_: ConsumeContext) -> None:
        tenant.set("acme")
        try:
            await Pause()
        finally:
            steps.append(tenant.get())

    async def run() -> None:
        await isolated(wait)(CONTEXT)

    coroutine = run()
    coroutine.send(None)
    coroutine.close()
    assert steps == ["acme"]
