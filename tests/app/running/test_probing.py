"""Consumers that take one message at a time, to see whether they can go on."""

import asyncio

import pytest

from app.running.readings import Readings
from app.running.seen import Seen
from hopmq import Connection, ConsumerCancelledError
from hopmq.app import App
from hopmq.app.running.consumer import RunningConsumer


async def test_a_consumer_probes_while_paused_and_goes_on(readings: Readings) -> None:
    consumer = RunningConsumer("c", "q", readings, readings.prepare)
    await consumer.start()
    await consumer.probe()
    assert [each.probes for each in readings.made] == [False]
    await consumer.pause()
    await consumer.probe()
    assert consumer.state == "probing"
    await consumer.resume()
    assert consumer.state == "running"
    await consumer.pause()
    await consumer.probe()
    await consumer.pause()
    assert consumer.state == "paused"
    await consumer.stop()
    await consumer.probe()
    assert consumer.state == "stopped"
    assert [each.probes for each in readings.made] == [False, True, False, True]


@pytest.mark.parametrize("resumes", [False, True])
async def test_a_consumer_that_ends_while_it_probes_comes_back_as_it_is_wanted(
    readings: Readings, resumes: bool
) -> None:
    consumer = RunningConsumer("c", "q", readings, readings.prepare)
    await consumer.start()
    await consumer.pause()
    await consumer.probe()
    readings.may_prepare.clear()
    readings.made[-1].ended.set_exception(ConsumerCancelledError("deleted", "tag"))
    while consumer.state != "restarting":
        await asyncio.sleep(0)
    if resumes:
        await consumer.resume()
    readings.may_prepare.set()
    while consumer.state == "restarting":
        await asyncio.sleep(0.01)
    assert consumer.state == ("running" if resumes else "probing")
    assert readings.made[-1].probes is not resumes
    await consumer.stop()


async def test_one_message_at_a_time_is_taken(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app, go_on, begun = App(amqp_url), asyncio.Event(), []

    @app.consumer(cleaned, concurrency=5)
    async def handle(number: int) -> None:
        begun.append(number)
        await seen.add(number)
        await go_on.wait()

    async with app:
        consumer = app.consumers[cleaned]
        await consumer.pause()
        for number in range(10):
            await app.publish(number, routing_key=cleaned)
        await consumer.probe()
        await seen.count(1)
        assert (await other.declare_queue(cleaned, passive=True)).message_count == 9
        go_on.set()
        await seen.count(10)
        assert begun == list(range(10))
