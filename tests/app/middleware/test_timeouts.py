"""Handlers that are given a time."""

import asyncio
import threading

import pytest

from app.middleware.conftest import Contexts, done
from hopmq import UsageError
from hopmq.app.context import ConsumeContext
from hopmq.app.injection.invocation import in_thread
from hopmq.app.middleware import Timeout
from hopmq.testing import TurnedClock


async def test_a_handler_that_takes_too_long_is_cancelled_and_has_failed(
    context: Contexts, clock: TurnedClock
) -> None:
    cancelled: list[float] = []

    async def hang(context: ConsumeContext) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(clock.time())
            raise

    begun = clock.time()
    handling = asyncio.create_task(Timeout(5)(context(), hang))
    await clock.advance(4.9)
    assert not handling.done()
    await clock.advance(0.2)
    with pytest.raises(TimeoutError, match="'orders' took more than 5 seconds"):
        await handling
    assert cancelled == [begun + 5]


async def test_a_handler_in_time_returns_its_result(context: Contexts, clock: TurnedClock) -> None:
    assert await Timeout(5)(context(), done) == "result"
    assert clock.next_deadline() is None


async def test_a_function_in_a_thread_has_failed_when_it_has_ended(
    context: Contexts, clock: TurnedClock
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait(10)
        return "result"

    in_a_thread = in_thread(work, None)
    handling = asyncio.create_task(Timeout(5)(context(), lambda context: in_a_thread()))
    try:
        assert await asyncio.to_thread(begun.wait, 10)
        await clock.advance(6)
        assert not handling.done()
    finally:
        go_on.set()
    with pytest.raises(TimeoutError, match="more than 5 seconds"):
        await asyncio.wait_for(handling, 10)


async def test_a_handlers_own_timeout_is_not_ours(context: Contexts) -> None:
    async def own(context: ConsumeContext) -> None:
        raise TimeoutError("own")

    with pytest.raises(TimeoutError, match=r"^own$"):
        await Timeout(5)(context(), own)


async def test_the_workers_cancellation_passes(context: Contexts, clock: TurnedClock) -> None:
    async def hang(context: ConsumeContext) -> None:
        await asyncio.Event().wait()

    handling = asyncio.create_task(Timeout(5)(context(), hang))
    await clock.settle()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert clock.next_deadline() is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_at_all_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError):
        Timeout(seconds)
