"""Consumers that take one message at a time, to see whether they can go on."""

import asyncio

import pytest

from app.running.seen import Seen
from hopmq import Connection, ConsumerCancelledError
from hopmq.app import App
from hopmq.app.running.consumer import RunningConsumer


class Reading:
    """Takes nothing, and ends when it is told to."""

    def __init__(self, probes: bool) -> None:
        self.probes = probes
        self.is_started = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    collected = 0

    async def start(self) -> None:
        self.is_started = True

    async def stop(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    async def wait_stopped(self) -> None:
        await asyncio.shield(self.ended)

    def cut_off(self) -> None:
        """Nothing is at work."""


class Readings:
    """Makes them, and keeps them."""

    def __init__(self) -> None:
        self.made: list[Reading] = []
        self.may_prepare = asyncio.Event()

    def __call__(self, probes: bool) -> Reading:
        self.made.append(Reading(probes))
        return self.made[-1]

    async def prepare(self) -> None:
        await self.may_prepare.wait()


@pytest.fixture
async def readings(anyio_backend: object) -> Readings:
    """Return what a consumer reads by."""
    return Readings()


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
