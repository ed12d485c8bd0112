"""HopMQ by its public API, in every way that its README teaches."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from measuring import CALLS_AT_ONCE, REPLY_TO, Measurement, Options, print_report, unsupported

import hopmq
from hopmq import (
    Channel,
    Consumer,
    Message,
    Properties,
    PublishHandle,
    PublishNotSentError,
    Queue,
)

CHUNK = 10_000
"""Messages of one publish_many: its receipts are kept until its end."""

WAYS = {
    "publish": ("await", "many"),
    "confirm-each": ("await",),
    "confirm-window": ("gather", "handles", "many"),
    "consume": ("coroutine", "callback", "iterate"),
    "consume-ack": ("coroutine", "callback", "iterate"),
    "rpc-each": ("await",),
    "rpc-many": ("await",),
}
"""The variants of each scenario, `SCENARIO:VARIANT` on the command line; the first is the default."""


@asynccontextmanager
async def opened(options: Options, **settings: Any) -> AsyncIterator[Channel]:
    """Connect, open a channel with these settings and declare the queue."""
    async with hopmq.connect(options.url) as connection, connection.channel(**settings) as channel:
        queue: str | Queue = Queue.classic(options.queue, durable=False, auto_delete=False)
        if options.queue_type is not None:
            queue = getattr(Queue, options.queue_type)(options.queue)
        await channel.declare_queue(queue)
        yield channel


async def measured(
    options: Options, measurement: Measurement, work: Callable[[int], Awaitable[None]]
) -> None:
    """Do the work for the warm-up, then for all messages with the clock running."""
    await work(options.warm_up)
    measurement.start()
    await work(options.count)
    measurement.stop(options.count)


# --- publishing ----------------------------------------------------------------------------------


async def publish(options: Options, measurement: Measurement, way: str) -> None:
    """Publish without confirms; the end is when the broker answers something behind it all."""
    body, queue = options.body, options.queue
    properties = Properties(**options.properties)

    async with opened(options, confirms=False) as channel:

        async def by_await(count: int) -> None:
            for _ in range(count):
                await channel.publish(body, routing_key=queue, properties=properties)
            await channel.set_prefetch(100)

        async def by_many(count: int) -> None:
            for size in options.batches(count, CHUNK):
                await channel.publish_many([body] * size, routing_key=queue, properties=properties)
            await channel.set_prefetch(100)

        await measured(options, measurement, by_await if way == "await" else by_many)


async def confirm_each(options: Options, measurement: Measurement, way: str) -> None:
    """Wait for each confirm before the next publish."""
    body, queue = options.body, options.queue
    properties = Properties(**options.properties)

    async with opened(options) as channel:

        async def one_by_one(count: int) -> None:
            for _ in range(count):
                begun = time.perf_counter()
                await channel.publish(body, routing_key=queue, properties=properties)
                measurement.waits.append(time.perf_counter() - begun)

        await measured(options, measurement, one_by_one)


async def confirm_window(options: Options, measurement: Measurement, way: str) -> None:
    """Keep a window of publishes unconfirmed at once."""
    body, queue = options.body, options.queue
    properties = Properties(**options.properties)

    async with opened(options, max_unconfirmed=options.window) as channel:

        async def gather(count: int) -> None:
            for size in options.batches(count, options.window):
                await asyncio.gather(
                    *[
                        channel.publish(body, routing_key=queue, properties=properties)
                        for _ in range(size)
                    ]
                )

        async def handles(count: int) -> None:
            for size in options.batches(count, options.window):
                pending: list[PublishHandle] = []
                for _ in range(size):
                    try:
                        handle = channel.publish_nowait(
                            body, routing_key=queue, properties=properties
                        )
                    except PublishNotSentError:  # no room: large bodies fill the socket
                        for earlier in pending:
                            await earlier
                        pending.clear()
                        handle = channel.publish_nowait(
                            body, routing_key=queue, properties=properties
                        )
                    pending.append(handle)
                for handle in pending:
                    await handle

        async def many(count: int) -> None:
            for size in options.batches(count, CHUNK):
                await channel.publish_many([body] * size, routing_key=queue, properties=properties)

        ways = {"gather": gather, "handles": handles, "many": many}
        await measured(options, measurement, ways[way])


# --- consuming -----------------------------------------------------------------------------------


async def consume(options: Options, measurement: Measurement, way: str) -> None:
    """Take messages, and settle each one for `consume-ack`."""
    acks = options.scenario == "consume-ack"
    if options.queue_type == "stream" and not acks:
        unsupported("a stream is read with acknowledgements")
    left, measured = options.count, options.count - options.warm_up
    done = asyncio.Event()

    def at_mark() -> None:
        if left == measured:
            measurement.start()
        elif left == 0:
            measurement.stop(measured)
            done.set()

    def callback(message: Message) -> None:
        nonlocal left
        if acks:
            message.ack()
        left -= 1
        if left == measured or not left:
            at_mark()

    async def coroutine(message: Message) -> None:
        nonlocal left
        if acks:
            message.ack()
        left -= 1
        if left == measured or not left:
            at_mark()

    async def iterate(consumer: Consumer) -> None:
        nonlocal left
        async for message in consumer:
            if acks:
                message.ack()
            left -= 1
            if left == measured or not left:
                at_mark()
                if not left:
                    return

    handler = {"coroutine": coroutine, "callback": callback, "iterate": None}[way]
    async with (
        opened(options, prefetch=options.prefetch) as channel,
        channel.consume(
            options.queue, handler, no_ack=not acks, arguments=options.consume_arguments
        ) as consumer,
    ):
        if handler is None:
            await iterate(consumer)
        await done.wait()


# --- requests and replies ------------------------------------------------------------------------


async def call(options: Options, measurement: Measurement, way: str) -> None:
    """Send requests that are answered by direct reply-to, one or a hundred at once."""
    callers = CALLS_AT_ONCE if options.scenario == "rpc-many" else 1
    answers: dict[str | None, asyncio.Future[bytes]] = {}
    body, queue = options.body, options.queue

    def on_answer(message: Message) -> None:
        answers.pop(message.correlation_id).set_result(message.body)

    # The answer is the confirm.
    async with (
        opened(options, confirms=False) as channel,
        channel.consume(REPLY_TO, on_answer, no_ack=True),
    ):
        loop = asyncio.get_running_loop()

        async def caller(first: int, count: int) -> None:
            for number in range(first, count, callers):
                begun = time.perf_counter()
                name = str(number)
                answer = answers[name] = loop.create_future()
                await channel.publish(
                    body,
                    routing_key=queue,
                    reply_to=REPLY_TO,
                    correlation_id=name,
                    persistent=False,
                )
                await answer
                measurement.waits.append(time.perf_counter() - begun)

        async def together(count: int) -> None:
            await asyncio.gather(*[caller(first, count) for first in range(callers)])

        await measured(options, measurement, together)


SCENARIOS = {
    "publish": publish,
    "confirm-each": confirm_each,
    "confirm-window": confirm_window,
    "consume": consume,
    "consume-ack": consume,
    "rpc-each": call,
    "rpc-many": call,
}


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """Return an event loop of that kind."""
    if name == "uvloop":
        import uvloop  # an optional package

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def main() -> None:
    """Do the scenario and print its line."""
    options = Options.parse()
    scenario, _, way = options.scenario.partition(":")
    way = way or WAYS[scenario][0]
    if way not in WAYS[scenario]:
        unsupported(f"{scenario} is done by {', '.join(WAYS[scenario])}, not by {way}")
    measurement = Measurement()
    with asyncio.Runner(loop_factory=lambda: new_loop(options.loop)) as runner:
        runner.run(SCENARIOS[scenario](replace(options, scenario=scenario), measurement, way))
    print_report(measurement, "hopmq")


if __name__ == "__main__":
    main()
