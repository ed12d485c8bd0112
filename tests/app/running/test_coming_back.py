"""Consumers come back, whatever has ended them and whatever goes wrong on their way."""

import asyncio

import pytest

from app.running.readings import Readings
from app.running.seen import Seen
from hopmq import Connection, ConsumerCancelledError, Queue
from hopmq.app import App
from hopmq.app.running.consumer import RunningConsumer
from hopmq.resilience import Constant

AT_ONCE = Constant(0.0)


@pytest.mark.parametrize("goes", ["with its last consumer", "by an operator"])
async def test_a_queue_that_went_during_a_pause_is_there_again_when_it_ends(
    goes: str, amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(Queue.classic(cleaned, auto_delete=goes == "with its last consumer"))
    async def handle(body: bytes) -> None:
        await seen.add(body)

    async with app:
        consumer = app.consumers[cleaned]
        await consumer.pause()
        await other.delete_queue(cleaned)
        await consumer.resume()
        await app.publish(b"after", routing_key=cleaned)
        assert await seen.count(1) == [b"after"]


async def test_a_consumer_that_ends_for_an_unknown_reason_comes_back_and_that_is_told(
    readings: Readings, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = RunningConsumer("c", "q", readings, readings.prepare, backoff=AT_ONCE)
    await consumer.start()
    readings.made[-1].ended.set_exception(LookupError("as nobody thought of"))
    while len(readings.made) < 2 or consumer.state != "running":
        await asyncio.sleep(0)
    assert [each.exc_info is not None for each in caplog.records] == [True]
    await consumer.stop()


async def test_whatever_keeps_a_consumer_from_coming_back_is_told_and_it_tries_again(
    readings: Readings, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = RunningConsumer("c", "q", readings, readings.prepare, backoff=AT_ONCE)
    await consumer.start()
    readings.refusals = [LookupError("as nobody thought of")]
    readings.made[-1].ended.set_exception(ConsumerCancelledError("deleted", "tag"))
    while len(readings.made) < 2 or consumer.state != "running":
        await asyncio.sleep(0)
    assert "as nobody thought of" in caplog.text
    await consumer.stop()
