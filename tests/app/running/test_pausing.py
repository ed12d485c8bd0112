"""Consumers are paused, resumed and stopped in any order, and no message pays for it."""

import asyncio

import pytest

from app.running.readings import Readings
from app.running.seen import Seen
from hopmq import Connection, Message, Pool, Queue, UsageError
from hopmq.app import App, ConsumeContext, Retry
from hopmq.app.running.consumer import RunningConsumer
from hopmq.resilience import Constant


async def test_a_pause_is_no_failed_attempt_of_what_goes_back(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)
    at_work, may_end = asyncio.Event(), asyncio.Event()

    @app.consumer(Queue.quorum(cleaned), retry=Retry(attempts=3, backoff=Constant(0.1)))
    async def handle(context: ConsumeContext, message: Message) -> None:
        at_work.set()
        await may_end.wait()
        await seen.add((message.body, context.attempt))

    async with app:
        for number in range(5):
            await app.publish(b"%d" % number, routing_key=cleaned)
        consumer = app.consumers[cleaned]
        await at_work.wait()
        for number in range(4):
            await consumer.pause()
            may_end.set()
            await seen.count(number + 1)
            at_work.clear()
            may_end.clear()
            await consumer.resume()
            await at_work.wait()
        may_end.set()
        assert sorted(await seen.count(5)) == [(b"%d" % number, 1) for number in range(5)]  # type: ignore[type-var]


async def test_a_handler_does_not_wait_for_itself_to_resume(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned)
    async def handle(context: ConsumeContext, body: bytes) -> None:
        if body == b"first":
            await context.consumer.pause()
            with pytest.raises(UsageError):
                await context.consumer.resume()
        await seen.add(body)

    async with app:
        await app.publish(b"first", routing_key=cleaned)
        await seen.count(1)
        await app.consumers[cleaned].resume()
        await app.publish(b"second", routing_key=cleaned)
        assert await seen.count(2) == [b"first", b"second"]


async def test_a_task_that_a_handler_began_may_resume(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)
    resuming: set[asyncio.Task[None]] = set()

    @app.consumer(cleaned)
    async def handle(context: ConsumeContext, body: bytes) -> None:
        if body == b"first":
            await context.consumer.pause()
            resuming.add(asyncio.create_task(context.consumer.resume()))  # type: ignore[arg-type]
        await seen.add(body)

    async with app:
        for body in (b"first", b"second"):
            await app.publish(body, routing_key=cleaned)
        assert await seen.count(2) == [b"first", b"second"]


async def test_a_handler_that_pauses_does_not_wait_for_who_resumes_meanwhile(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)
    resuming: set[asyncio.Task[None]] = set()

    @app.consumer(cleaned)
    async def handle(context: ConsumeContext, body: bytes) -> None:
        if body == b"first":
            resuming.add(asyncio.create_task(app.consumers[cleaned].resume()))
            await context.consumer.pause()  # in which the resume has its turn
        await seen.add(body)

    async with app:
        for body in (b"first", b"second"):
            await app.publish(body, routing_key=cleaned)
        assert await seen.count(2) == [b"first", b"second"]


async def test_a_consumer_that_was_cut_off_is_not_resumed(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    async with Pool(amqp_url) as pool:
        app = App(pool)
        at_work, calls = asyncio.Event(), []

        @app.consumer(cleaned, prefetch=1)
        async def handle(body: bytes) -> None:
            calls.append(body)
            at_work.set()
            await asyncio.get_running_loop().create_future()

        await app.start()
        consumer = app.consumers[cleaned]
        for body in (b"1", b"2"):
            await app.publish(body, routing_key=cleaned)
        await at_work.wait()
        await consumer.pause()
        resuming = asyncio.create_task(consumer.resume())  # waits for the handler
        await asyncio.sleep(0)
        await app.drain(0.05)
        await resuming
        assert consumer.state == "stopped"
        assert (await other.declare_queue(cleaned, passive=True)).consumer_count == 0
    assert calls == [b"1"]


async def test_a_handler_may_pause_what_is_about_to_be_resumed(amqp_url: str, cleaned: str) -> None:
    app = App(amqp_url)
    at_work, may_pause = asyncio.Event(), asyncio.Event()

    @app.consumer(cleaned)
    async def handle(context: ConsumeContext) -> None:
        at_work.set()
        await may_pause.wait()
        await context.consumer.pause()

    async with app:
        consumer = app.consumers[cleaned]
        await app.publish(b"", routing_key=cleaned)
        await at_work.wait()
        await consumer.pause()
        resuming = asyncio.create_task(consumer.resume())  # waits for the handler
        await asyncio.sleep(0)
        may_pause.set()
        async with asyncio.timeout(20):
            await resuming
        assert consumer.is_paused


@pytest.mark.parametrize("first", [None, "breaker"])
async def test_a_consumer_goes_on_when_all_have_resumed_it_who_paused_it(
    first: str | None, readings: Readings
) -> None:
    last = None if first else "breaker"
    consumer = RunningConsumer("c", "q", readings, readings.prepare)
    await consumer.start()
    await consumer.pause()
    await consumer.pause("breaker")
    await consumer.resume(first)
    assert consumer.is_paused
    await consumer.resume(last)
    assert consumer.state == "running"
    await consumer.stop()


async def test_a_consumer_probes_when_nobody_else_wants_it_paused(readings: Readings) -> None:
    consumer = RunningConsumer("c", "q", readings, readings.prepare)
    await consumer.start()
    await consumer.pause("breaker")
    await consumer.pause()
    await consumer.probe("breaker")
    assert consumer.is_paused
    await consumer.resume()
    assert consumer.state == "probing"
    await consumer.resume("breaker")
    assert consumer.state == "running"
    await consumer.stop()


async def test_a_consumer_that_was_paused_before_its_start_is_paused(readings: Readings) -> None:
    consumer = RunningConsumer("c", "q", readings, readings.prepare)
    await consumer.pause()
    await consumer.start()
    assert consumer.is_paused
    assert not readings.made
    await consumer.resume()
    assert consumer.state == "running"
    await consumer.stop()
