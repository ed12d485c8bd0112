"""Consuming by handlers: coroutines in worker tasks, plain functions in the reader."""

import asyncio
import functools
import logging
from contextvars import ContextVar

import pytest

from client.waiting import bodies, ready, until_ready
from hopmq import Channel, Connection, ConsumerCancelledError, Message, UsageError


class Collector:
    """Remember what handlers saw."""

    def __init__(self, expected: int) -> None:
        self.bodies: list[bytes] = []
        self.complete = asyncio.Event()
        self._expected = expected

    def add(self, message: Message) -> None:
        self.bodies.append(message.body)
        if len(self.bodies) == self._expected:
            self.complete.set()


NUMBERS = [b"%d" % number for number in range(50)]


async def test_a_coroutine_handler_gets_every_message_in_order(
    connection: Connection, channel: Channel, queue: str
) -> None:
    seen = Collector(len(NUMBERS))

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)
        seen.add(message)
        message.ack()

    await channel.publish_many(NUMBERS, routing_key=queue)
    async with channel.consume(queue, handle):
        await seen.complete.wait()
    assert seen.bodies == NUMBERS
    assert await ready(connection, queue) == 0


async def test_a_plain_function_is_called_with_every_message_in_order(
    channel: Channel, queue: str
) -> None:
    seen = Collector(len(NUMBERS))

    def handle(message: Message) -> None:
        seen.add(message)
        message.ack()

    await channel.publish_many(NUMBERS, routing_key=queue)
    async with channel.consume(queue, handle):
        await seen.complete.wait()
    assert seen.bodies == NUMBERS


async def test_objects_and_partials_are_handlers_too(
    connection: Connection, channel: Channel, queue: str
) -> None:
    seen = Collector(3)

    class Handler:
        async def __call__(self, message: Message) -> None:
            seen.add(message)

        async def method(self, message: Message) -> None:
            seen.add(message)

    async def handle(collector: Collector, message: Message) -> None:
        collector.add(message)

    for handler in (Handler(), Handler().method, functools.partial(handle, seen)):
        async with channel.consume(queue, handler, no_ack=True):
            await channel.publish(b"", routing_key=queue)
            await until_ready(connection, queue, 0)
    assert len(seen.bodies) == 3


async def test_a_handler_runs_in_a_task_of_its_own(channel: Channel, queue: str) -> None:
    tasks: list[object] = []
    done = asyncio.Event()

    async def handle(message: Message) -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        tasks.append(asyncio.current_task())
        message.ack()
        if len(tasks) == 10:
            done.set()

    await channel.publish_many([b""] * 10, routing_key=queue)
    async with channel.consume(queue, handle):
        await done.wait()
    assert len(set(tasks)) == 1  # a long-lived one, not one per message
    assert asyncio.current_task() not in tasks


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_as_many_handlers_run_at_once_as_asked_for(
    channel: Channel, queue: str, concurrency: int
) -> None:
    running = highest = 0
    seen, as_many = Collector(20), asyncio.Event()

    async def handle(message: Message) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        if running == concurrency:
            as_many.set()
        await as_many.wait()
        await asyncio.sleep(0.001)
        running -= 1
        message.ack()
        seen.add(message)

    await channel.publish_many([b""] * 20, routing_key=queue)
    async with channel.consume(queue, handle, concurrency=concurrency):
        await seen.complete.wait()
    assert highest == concurrency


async def test_concurrency_is_bounded_by_prefetch(connection: Connection, queue: str) -> None:
    channel = await connection.channel(prefetch=2)
    running = 0
    go_on = asyncio.Event()

    async def handle(message: Message) -> None:
        nonlocal running
        running += 1
        await go_on.wait()
        message.ack()

    await channel.publish_many([b""] * 5, routing_key=queue)
    async with channel.consume(queue, handle, concurrency=5):
        await until_ready(connection, queue, 3)
        while running < 2:
            await asyncio.sleep(0)
        assert running == 2
        go_on.set()
        await until_ready(connection, queue, 0)


# --- failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_failing_handler_returns_its_message_and_is_logged(
    channel: Channel, queue: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    deliveries: list[tuple[bytes, bool]] = []
    done = asyncio.Event()

    def fail_at_first(message: Message) -> None:
        deliveries.append((message.body, message.redelivered))
        if not message.redelivered:
            raise ZeroDivisionError
        message.ack()
        done.set()

    async def fail_at_first_later(message: Message) -> None:
        await asyncio.sleep(0)
        fail_at_first(message)

    await channel.publish(b"1", routing_key=queue)
    handler = fail_at_first if kind == "plain" else fail_at_first_later
    async with channel.consume(queue, handler, consumer_tag="reader"):
        await done.wait()
    assert deliveries == [(b"1", False), (b"1", True)]
    [line] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert line.name == "hopmq.client"
    assert "reader" in line.getMessage()
    assert queue in line.getMessage()
    assert "ZeroDivisionError" in caplog.text


async def test_a_failing_handler_that_has_settled_leaves_it_at_that(
    channel: Channel, queue: str
) -> None:
    done = asyncio.Event()

    async def handle(message: Message) -> None:
        message.ack()
        if message.body == b"last":
            done.set()
        raise ZeroDivisionError

    await channel.publish_many([b"first", b"last"], routing_key=queue)
    async with channel.consume(queue, handle):
        await done.wait()
    assert channel.is_open
    assert await bodies(channel, queue) == []


async def test_a_failing_handler_without_acks_goes_on(channel: Channel, queue: str) -> None:
    seen = Collector(2)

    async def handle(message: Message) -> None:
        seen.add(message)
        raise ZeroDivisionError

    await channel.publish_many([b"1", b"2"], routing_key=queue)
    async with channel.consume(queue, handle, no_ack=True):
        await seen.complete.wait()
    assert channel.is_open


async def test_a_plain_function_that_makes_a_coroutine_is_refused_clearly(
    channel: Channel, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(message: Message) -> None:
        message.ack()

    await channel.publish(b"1", routing_key=queue)
    async with channel.consume(queue, lambda message: handle(message)):
        while "returned a coroutine" not in caplog.text:
            await asyncio.sleep(0)
    assert await bodies(channel, queue) == [b"1"]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_worker_that_its_handler_ends_is_replaced(
    channel: Channel, queue: str, concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopmq.client.workers._PAUSE", 0.01)
    seen = Collector(4)

    async def handle(message: Message) -> None:
        seen.add(message)
        if message.redelivered:
            message.ack()
        elif message.body == b"cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        else:
            raise GeneratorExit

    await channel.publish_many([b"cancel", b"exit"], routing_key=queue)
    async with channel.consume(queue, handle, concurrency=concurrency):
        async with asyncio.timeout(20):
            await seen.complete.wait()
    assert sorted(seen.bodies) == [b"cancel", b"cancel", b"exit", b"exit"]
    assert await bodies(channel, queue) == []


async def test_a_worker_that_ends_with_its_consumer_is_not_replaced(
    channel: Channel, other: Connection, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    workers: list[asyncio.Task[object] | None] = []
    begun = asyncio.Event()

    async def handle(message: Message) -> None:
        workers.append(asyncio.current_task())
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            message.nack(requeue=True)

    await channel.publish(b"1", routing_key=queue)
    consumer = await channel.consume(queue, handle)
    async with asyncio.timeout(20):
        await begun.wait()
        cancelling = asyncio.create_task(consumer.cancel())
        await consumer.wait_closed()
        [worker] = workers
        assert worker is not None
        worker.cancel()
        await cancelling
    await until_ready(other, queue, 1)
    assert len(workers) == 1
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_what_ended_a_worker_goes_back_when_its_consumer_ends(
    channel: Channel, other: Connection, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopmq.client.workers._PAUSE", 1000.0)
    begun = asyncio.Event()

    async def handle(message: Message) -> None:
        begun.set()
        raise GeneratorExit

    await channel.publish(b"1", routing_key=queue)
    async with channel.consume(queue, handle):
        async with asyncio.timeout(20):
            await begun.wait()
            await asyncio.sleep(0)  # its task has ended now
    await until_ready(other, queue, 1)


# --- the end -----------------------------------------------------------------------------------------


async def test_cancel_waits_for_handlers_and_returns_the_unread(
    channel: Channel, other: Connection, queue: str
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    handled: list[bytes] = []

    async def handle(message: Message) -> None:
        begun.set()
        await go_on.wait()
        message.ack()
        handled.append(message.body)

    await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    consumer = await channel.consume(queue, handle)
    await begun.wait()
    cancelling = asyncio.create_task(consumer.cancel())
    await until_ready(other, queue, 2)
    assert not cancelling.done()
    go_on.set()
    await cancelling
    assert handled == [b"1"]
    await until_ready(other, queue, 2)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_handler_may_cancel_its_own_consumer(
    channel: Channel, queue: str, concurrency: int
) -> None:
    async def handle(message: Message) -> None:
        message.ack()
        await consumer.cancel()

    consumer = await channel.consume(queue, handle, concurrency=concurrency)
    await channel.publish_many([b""] * 3, routing_key=queue)
    await consumer.wait_closed()
    assert channel.is_open


async def test_a_consumer_with_a_handler_is_not_iterated(channel: Channel, queue: str) -> None:
    async with channel.consume(queue, print) as consumer:
        with pytest.raises(UsageError, match="handler"):
            aiter(consumer)


async def test_handlers_hear_of_a_deleted_queue_by_wait_closed(
    channel: Channel, queue: str
) -> None:
    async def handle(message: Message) -> None:
        message.ack()

    consumer = await channel.consume(queue, handle)
    await channel.delete_queue(queue)
    with pytest.raises(ConsumerCancelledError):
        await consumer.wait_closed()


async def test_no_worker_outlives_its_consumer(channel: Channel, queue: str) -> None:
    handled = asyncio.Event()

    async def handle(message: Message) -> None:
        message.ack()
        handled.set()

    before = asyncio.all_tasks()
    consumer = await channel.consume(queue, handle, concurrency=5)
    await channel.publish(b"1", routing_key=queue)
    await handled.wait()
    assert len(asyncio.all_tasks() - before) == 5
    await consumer.cancel()
    assert asyncio.all_tasks() == before


async def test_no_worker_is_there_before_the_first_message(channel: Channel, queue: str) -> None:
    async def handle(message: Message) -> None:
        message.ack()

    before = asyncio.all_tasks()
    consumer = await channel.consume(queue, handle, concurrency=5)
    assert asyncio.all_tasks() == before
    await consumer.cancel()
    assert asyncio.all_tasks() == before
    assert channel.consumers() == []


async def test_handlers_run_in_the_context_of_their_consume(channel: Channel, queue: str) -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []
    both = asyncio.Event()

    async def handle(message: Message) -> None:
        seen.append(name.get())
        name.set(message.body.decode())  # which the other worker does not see
        message.ack()
        if len(seen) == 2:
            both.set()
        await both.wait()

    name.set("caller")
    async with await channel.consume(queue, handle, concurrency=2):
        name.set("later")
        await channel.publish_many([b"1", b"2"], routing_key=queue)
        await both.wait()
    assert seen == ["caller", "caller"]
