"""`app.test()` turns the time: for retries, delays, sleeping handlers, batches and middleware."""

import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hopmq import Queue
from hopmq.app import (
    App,
    Batch,
    Constant,
    ConsumeContext,
    Exponential,
    Retry,
    sleep,
)
from hopmq.app.middleware import RateLimit, Timeout


@dataclass
class Order:
    """A payload."""

    id: int


@pytest.fixture
def app() -> App:
    """Return an application without anything; nobody listens at its address."""
    return App("amqp://nowhere.invalid", name="under test")


def tasks() -> set[asyncio.Task[Any]]:
    """Return what runs in this loop."""
    return asyncio.all_tasks()


@pytest.mark.parametrize("emulate", ["3.10", "4.0", "4.3"])
@pytest.mark.parametrize("backoff", [Exponential(10, 60), Constant(10)], ids=["ladder", "native"])
async def test_retries_come_at_their_time(app: App, emulate: str, backoff: Any) -> None:
    attempts = []

    @app.consumer(Queue.quorum("orders"), retry=Retry(attempts=3, backoff=backoff))
    async def handle(order: Order, context: ConsumeContext) -> None:
        attempts.append(context.attempt)
        raise ConnectionError("away")

    async with app.test(emulate=emulate) as t:
        assert t.broker.emulates == emulate
        await t.publish(Order(1), routing_key="orders")
        assert attempts == [1]
        await t.advance(9.9)
        assert attempts == [1]
        await t.advance(0.3)
        assert attempts == [1, 2]
        await t.drain()
        assert attempts == [1, 2, 3]
        assert t.waiting("orders.parked") == 1


async def test_a_message_is_handled_again_after_in_all_a_day(app: App) -> None:
    when = []

    @app.consumer("orders", retry=Retry(attempts=4, backoff=Constant(8 * 3600)))
    async def handle(order: Order) -> None:
        when.append(app.clock.wall())
        if len(when) < 4:
            raise ConnectionError("away")

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        await t.drain()
        assert [round((each - when[0]) / 3600) for each in when] == [0, 8, 16, 24]
        assert t.waiting("orders.parked") == 0


async def test_what_is_published_later_is_delivered_when_it_is_due(app: App) -> None:
    seen = []

    @app.consumer("orders")
    async def handle(order: Order) -> None:
        seen.append(order.id)

    async with app.test() as t:
        await app.publish(Order(1), routing_key="orders", delay=timedelta(days=1))
        await t.publish(Order(2), routing_key="orders", delay=60)
        at = datetime.fromtimestamp(app.clock.wall() + 3600, UTC)
        await t.publish(Order(3), routing_key="orders", at=at)
        await t.advance(59.9)
        assert seen == []
        await t.advance(0.3)
        assert seen == [2]
        await t.advance(3600)
        assert seen == [2, 3]
        await t.drain()
        assert seen == [2, 3, 1]


async def test_drain_hands_over_a_batch_that_is_not_full(app: App) -> None:
    batches = []

    @app.consumer("orders", batch=Batch(10, 5))
    async def handle(orders: list[Order]) -> None:
        batches.append([order.id for order in orders])

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        await t.publish(Order(2), routing_key="orders")
        assert batches == []
        await t.drain()
        assert batches == [[1, 2]]


async def test_a_handler_sleeps_by_the_clock_that_is_turned(app: App) -> None:
    seen = []

    @app.consumer("orders", concurrency=2)
    async def handle(order: Order) -> None:
        await sleep(app.clock, 3600)
        seen.append(order.id)

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        await t.publish(Order(2), routing_key="orders")
        await t.advance(3599)
        assert seen == []
        await t.drain()
        assert seen == [1, 2]


async def test_middleware_go_by_the_clock_of_the_test_they_are_in(app: App) -> None:
    seen = []

    @app.consumer("orders", retry=None, middleware=[RateLimit(1, per=10), Timeout(60)])
    async def handle(order: Order) -> None:
        await sleep(app.clock, order.id)
        seen.append(order.id)

    for _ in range(2):
        seen.clear()
        async with app.test() as t:
            for seconds in (1, 2, 100):
                await t.publish(Order(seconds), routing_key="orders")
            await t.advance(5)
            assert seen == [1]
            await t.drain()
            assert seen == [1, 2]
            assert t.waiting("orders.parked") == 1


async def test_a_time_limit_leaves_a_handler_its_time_and_ends_one_that_hangs(app: App) -> None:
    never, seen = asyncio.Event(), []

    @app.consumer("orders", retry=None, middleware=[Timeout(60)])
    async def handle(order: Order) -> None:
        if order.id == 1:
            await asyncio.to_thread(seen.append, order.id)
        else:
            await never.wait()

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        assert seen == [1]
        assert t.waiting("orders.parked") == 0
    async with app.test(patience=0.05) as t:
        await t.publish(Order(2), routing_key="orders")
        await t.drain()
        assert t.waiting("orders.parked") == 1


async def test_a_process_that_stands_still_has_not_lost_its_patience(app: App) -> None:
    loop, goes_on, done = asyncio.get_running_loop(), threading.Event(), []

    def stand_still() -> None:
        time.sleep(0.3)
        goes_on.set()

    @app.consumer("orders", retry=None)
    def handle(order: Order) -> None:
        loop.call_soon_threadsafe(loop.call_later, 0.05, stand_still)
        assert goes_on.wait(20)
        time.sleep(0.02)
        done.append(order.id)

    async with app.test(patience=0.2) as t:
        await t.publish(Order(1), routing_key="orders")
        assert done == [1]


async def test_retries_in_place_are_waited_for(app: App) -> None:
    seen = []

    @app.consumer("orders", order_by="routing_key", retry=Retry(backoff=Constant(60)))
    async def handle(order: Order) -> None:
        seen.append(order.id)
        if len(seen) < 3:
            raise ConnectionError("away")

    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
        assert seen == [1]
        await t.publish(Order(2), routing_key="orders")
        await t.drain()
        assert seen == [1, 1, 1, 2]


async def test_an_end_amid_work_comes_soon_and_leaves_nothing_behind(app: App) -> None:
    @app.consumer("orders")
    async def handle(order: Order) -> None:
        await sleep(app.clock, 3600)

    before = tasks()
    async with app.test() as t:
        await t.publish(Order(1), routing_key="orders")
    assert tasks() == before


async def test_what_never_ends_is_told(app: App) -> None:
    never = asyncio.Event()

    @app.consumer("orders")
    async def handle(order: Order) -> None:
        await never.wait()

    async with app.test(patience=0.05) as t:
        with pytest.raises(TimeoutError):
            await t.publish(Order(1), routing_key="orders")
        with pytest.raises(TimeoutError):
            await t.drain()
