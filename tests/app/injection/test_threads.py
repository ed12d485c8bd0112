"""Plain handlers run in threads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Annotated, Any

import pytest

from app.delivered import context_of, delivered
from app.injection.conftest import Compile
from hopmq.app.injection import Depends, Handler

MESSAGE = delivered(b"5")
TIMEOUT = 20


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, thread_name_prefix="plain") as threads:
        yield threads


async def test_a_plain_handler_runs_in_the_executor(
    compiled: Compile, threads: ThreadPoolExecutor
) -> None:
    def handler(payload: int) -> tuple[int, str]:
        return payload, threading.current_thread().name

    payload, name = await compiled(handler, threads=threads)(context_of(MESSAGE))
    assert payload == 5
    assert name.startswith("plain")


async def test_a_plain_handler_needs_no_executor_of_its_own(compiled: Compile) -> None:
    def handler() -> threading.Thread:
        return threading.current_thread()

    assert await compiled(handler)(context_of(MESSAGE)) is not threading.current_thread()


async def test_dependencies_of_a_plain_handler_run_in_the_event_loop(
    compiled: Compile, threads: ThreadPoolExecutor
) -> None:
    def plain() -> threading.Thread:
        return threading.current_thread()

    async def generating() -> AsyncIterator[threading.Thread]:
        asyncio.get_running_loop()
        yield threading.current_thread()

    def handler(
        one: Annotated[Any, Depends(plain)], two: Annotated[Any, Depends(generating)]
    ) -> Any:
        return one, two

    here = threading.current_thread()
    assert await compiled(handler, threads=threads)(context_of(MESSAGE)) == (here, here)


async def test_context_variables_reach_the_thread(
    compiled: Compile, threads: ThreadPoolExecutor
) -> None:
    variable: ContextVar[str] = ContextVar("variable")

    def handler() -> str:
        return variable.get()

    variable.set("seen")
    assert await compiled(handler, threads=threads)(context_of(MESSAGE)) == "seen"


async def test_what_a_plain_handler_raises_is_raised(compiled: Compile) -> None:
    def handler() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await compiled(handler)(context_of(MESSAGE))


async def test_a_stop_iteration_out_of_a_thread_is_a_failure(compiled: Compile) -> None:
    def handler() -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await compiled(handler)(context_of(MESSAGE))


async def test_a_coroutine_that_a_plain_handler_returns_is_awaited(compiled: Compile) -> None:
    async def inner() -> int:
        return 5

    def handler() -> Any:
        return inner()

    assert await compiled(handler)(context_of(MESSAGE)) == 5


class Blocked:
    """A plain handler that runs until it is let go, with something that must not be closed."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.let_go = threading.Event()
        self.closed_while_running = False
        self.running = False

    def resource(self) -> Iterator[None]:
        yield
        self.closed_while_running = self.running

    async def start(self, handle: Handler) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(handle(context_of(MESSAGE)))
        assert await asyncio.to_thread(self.started.wait, TIMEOUT)
        return task

    def compile(self, compiled: Compile) -> Handler:
        def handler(nothing: Annotated[None, Depends(self.resource)]) -> None:
            self.running = True
            self.started.set()
            self.let_go.wait(TIMEOUT)
            self.running = False

        return compiled(handler)


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    blocked = Blocked()
    yield blocked
    blocked.let_go.set()


async def test_a_cancellation_waits_for_the_thread(compiled: Compile, blocked: Blocked) -> None:
    task = await blocked.start(blocked.compile(compiled))
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.02)
    assert not done
    blocked.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not blocked.closed_while_running


async def test_a_second_cancellation_does_not_wait(compiled: Compile, blocked: Blocked) -> None:
    task = await blocked.start(blocked.compile(compiled))
    task.cancel()
    await asyncio.wait([task], timeout=0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, TIMEOUT)
    assert blocked.running
