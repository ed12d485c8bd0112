"""Middleware in applications: on an embedded broker whose time is turned."""

import asyncio
import gc
import threading
import weakref
from pathlib import Path

import pytest

from hopmq import Message, Queue
from hopmq.app import App, Park, Retry
from hopmq.app.clock import sleep
from hopmq.app.middleware import (
    CircuitBreaker,
    Deduplication,
    Logging,
    MemoryStore,
    RateLimit,
    SqliteStore,
    Timeout,
)
from hopmq.app.retry import Constant

WITHOUT_END = Retry(attempts=1000, backoff=Constant(1))


class Dependency:
    """Something that handlers need."""

    def __init__(self) -> None:
        self.is_broken = False
        self.asked: list[int] = []

    def ask(self, number: int) -> None:
        self.asked.append(number)
        if self.is_broken:
            raise ConnectionError("not there")


# --- timeouts ----------------------------------------------------------------------------------


async def test_a_handler_that_hangs_is_cut_off_and_its_message_parked() -> None:
    app = App(middleware=[Timeout(5)])
    begun: list[int] = []

    @app.consumer("orders", retry=None)
    async def hang(number: int) -> None:
        begun.append(number)
        await asyncio.Event().wait()

    async with app.test(patience=0.1) as t:
        await t.publish(1, routing_key="orders")
        assert t.waiting("orders.parked") == 0
        await t.advance(5)
        assert begun == [1]
        assert t.waiting("orders.parked") == 1


@pytest.mark.parametrize("patience", [5.0, 0.3])
async def test_a_handler_at_work_in_a_thread_is_not_cut_off(patience: float) -> None:
    app = App(middleware=[Timeout(5)])
    go_on, done = threading.Event(), []

    @app.consumer("orders", retry=None)
    def work(number: int) -> None:
        go_on.wait(5)
        done.append(number)

    async with app.test(patience=patience) as t:
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        await t.publish(1, routing_key="orders")
        await t.drain()
        assert done == [1]
        assert t.waiting("orders.parked") == 0


# --- rates -------------------------------------------------------------------------------------


async def test_handlers_begin_at_the_rate() -> None:
    app = App()
    begun: list[float] = []

    @app.consumer("orders", middleware=[RateLimit(1, per=10)], concurrency=4)
    async def work(number: int) -> None:
        begun.append(t.clock.time())

    async with app.test() as t:
        for number in range(5):
            await t.publish(number, routing_key="orders")
        await t.drain()
        assert [each - begun[0] for each in begun] == [0, 10, 20, 30, 40]


# --- circuit breaker ---------------------------------------------------------------------------


async def test_a_breaker_pauses_the_consumer_and_burns_no_message() -> None:
    app, dependency = App(), Dependency()
    breaker = CircuitBreaker(failures=3, pause=60)

    @app.consumer(
        "orders",
        middleware=[breaker],
        retry=Retry(attempts=4, backoff=Constant(100)),
        concurrency=5,
    )
    async def work(number: int) -> None:
        dependency.ask(number)

    dependency.is_broken = True
    async with app.test() as t:
        for number in range(20):
            await t.publish(number, routing_key="orders")
        [consumer] = app.consumers.values()
        assert (consumer.state, breaker.state_of(consumer)) == ("paused", "open")
        assert len(dependency.asked) == 3
        await t.advance(59)
        assert len(dependency.asked) == 3
        await t.advance(2)
        assert len(dependency.asked) == 4  # the probe
        assert consumer.state == "paused"
        dependency.is_broken = False
        await t.advance(60)
        assert (consumer.state, breaker.state_of(consumer)) == ("running", "closed")
        await t.drain()
        assert sorted(set(dependency.asked)) == list(range(20))
        assert len(dependency.asked) == 20 + 4
        assert t.waiting("orders") == t.waiting("orders.parked") == 0


@pytest.mark.parametrize("emulate", ["3.10", "4.0", "4.3"])
async def test_a_long_outage_brings_no_message_near_the_delivery_limit(emulate: str) -> None:
    """RabbitMQ drops what came back to a quorum queue 20 times; a breaker may pause far more often."""
    app, dependency, returned = App(), Dependency(), [0]

    @app.consumer(
        Queue.quorum("orders"),
        middleware=[CircuitBreaker(failures=1, pause=30)],
        retry=WITHOUT_END,
        concurrency=3,
    )
    async def work(number: int, message: Message) -> None:
        count = message.headers.get("x-delivery-count", 0)
        assert isinstance(count, int)
        returned.append(count)
        dependency.ask(number)

    dependency.is_broken = True
    async with app.test(emulate=emulate) as t:
        for number in range(100):
            await t.publish(number, routing_key="orders")
        await t.advance(3600)
        assert len(dependency.asked) < 200
        dependency.is_broken = False
        dependency.asked.clear()
        await t.advance(60)
        await t.drain()
        assert sorted(dependency.asked) == list(range(100))
        assert t.waiting("orders.parked") == 0
    assert max(returned) <= 2


async def test_a_breaker_brings_back_a_consumer_whose_queue_went_with_it() -> None:
    app, dependency = App(), Dependency()
    breaker = CircuitBreaker(failures=1, pause=60)

    @app.consumer(Queue.classic("orders", auto_delete=True), middleware=[breaker], retry=None)
    async def work(number: int) -> None:
        dependency.ask(number)

    dependency.is_broken = True
    async with app.test() as t:
        await t.publish(1, routing_key="orders")
        [consumer] = app.consumers.values()
        assert consumer.state == "paused"
        dependency.is_broken = False
        await t.advance(61)
        assert consumer.state == "probing"
        await t.publish(2, routing_key="orders")
        assert (consumer.state, breaker.state_of(consumer)) == ("running", "closed")
        assert dependency.asked == [1, 2]


async def test_a_breaker_does_not_end_the_pause_of_an_operator() -> None:
    app, dependency = App(), Dependency()
    breaker = CircuitBreaker(failures=1, pause=60)

    @app.consumer("orders", middleware=[breaker], retry=None)
    async def work(number: int) -> None:
        dependency.ask(number)

    dependency.is_broken = True
    async with app.test() as t:
        await t.publish(1, routing_key="orders")
        [consumer] = app.consumers.values()
        await consumer.pause()
        dependency.is_broken = False
        await t.publish(2, routing_key="orders")
        await t.advance(61)
        assert consumer.is_paused
        assert dependency.asked == [1]
        await consumer.resume()
        await t.drain()
        assert (consumer.state, breaker.state_of(consumer)) == ("running", "closed")
        assert dependency.asked == [1, 2]


async def test_a_breaker_keeps_no_consumer_of_a_run_that_has_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", "hopmq.app")  # what is logged with a traceback keeps its frames
    app, dependency, consumers = App(), Dependency(), []

    @app.consumer("orders", middleware=[CircuitBreaker(failures=1, pause=60)], retry=None)
    async def work(number: int) -> None:
        dependency.ask(number)

    for _ in range(2):
        async with app.test() as t:
            consumers.append(weakref.ref(app.consumers["orders"]))
            dependency.is_broken = True
            await t.publish(1, routing_key="orders")
            dependency.is_broken = False
            await t.publish(2, routing_key="orders")
            await t.advance(61)
            assert app.consumers["orders"].state == "running"
    del t
    gc.collect()
    assert consumers[0]() is None


# --- deduplication -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_comes_twice_is_handled_once(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "seen.db")
    app, handled = App(middleware=[Timeout(10), Deduplication(store)]), []

    @app.consumer("orders", concurrency=5)
    async def work(number: int) -> None:
        handled.append(number)

    @app.on_shutdown
    async def close() -> None:
        if isinstance(store, SqliteStore):
            await store.close()

    async with app.test() as t:
        for _ in range(3):
            await t.publish(1, routing_key="orders", message_id="a")
            await t.publish(2, routing_key="orders", message_id="b")
        await t.drain()
        assert sorted(handled) == [1, 2]
        assert t.waiting("orders.parked") == 0


async def test_what_comes_twice_at_once_is_handled_once() -> None:
    app, handled = App(middleware=[Deduplication(MemoryStore(), lease=60)]), []

    @app.consumer("orders", concurrency=5, retry=None)
    async def work(number: int) -> None:
        await sleep(app.clock, 100)
        handled.append(number)

    async with app.test() as t:
        for _ in range(3):
            await t.publish(1, routing_key="orders", message_id="a")
        await t.drain()
        assert handled == [1]
        assert t.waiting("orders") == t.waiting("orders.parked") == 0


async def test_a_parked_message_may_be_handled_when_it_is_sent_again() -> None:
    app, handled = App(middleware=[Deduplication(MemoryStore())]), []
    is_broken = True

    @app.consumer("orders")
    async def work(number: int) -> None:
        if is_broken:
            raise Park("broken")
        handled.append(number)

    async with app.test() as t:
        await t.publish(1, routing_key="orders", message_id="a")
        assert t.waiting("orders.parked") == 1
        is_broken = False
        await t.publish(1, routing_key="orders", message_id="a")
        assert handled == [1]


# --- logs --------------------------------------------------------------------------------------


async def test_each_attempt_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    app = App(middleware=[Logging()])
    caplog.set_level("INFO", "hopmq.app.messages")

    @app.consumer("orders", retry=Retry(attempts=2, backoff=Constant(10)))
    async def work(number: int) -> None:
        if number:
            raise ValueError("secret")

    async with app.test() as t:
        await t.publish(0, routing_key="orders")
        await t.publish(1, routing_key="orders")
        await t.drain()
    lines = [each for each in caplog.records if each.name == "hopmq.app.messages"]
    assert [(each.__dict__["outcome"], each.__dict__["attempt"]) for each in lines] == [
        ("done", 1),
        ("failed", 1),
        ("failed", 2),
    ]
