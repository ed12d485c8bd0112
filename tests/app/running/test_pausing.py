"""Consumers are paused, resumed and stopped in any order, and no message pays for it."""

import asyncio

from app.running.seen import Seen
from hopmq import Connection, Message, Queue
from hopmq.app import App, ConsumeContext, Retry
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
