"""Nothing grows with use: the same objects after thousands of channels and messages."""

import asyncio
import gc
import logging
import sys
from collections import Counter

import pytest

import hopmq
from brokers.selection import BrokerChoice, chosen_brokers
from hopmq.errors import NotFoundError, PublishReturnedError
from hopmq.testing import RabbitMQ
from scripted.server import ScriptedServer

from .ends import Ends, cancel, connected, soon, start

NEWEST = [each for each in chosen_brokers() if each.installation][-1:]
NO_BROKER = BrokerChoice(label="no-broker")
one_broker = pytest.mark.parametrize(
    "rabbitmq", NEWEST or [NO_BROKER], indirect=True, ids=lambda choice: choice.label
)

LOADED = 60.0
"""Seconds for what takes about two on an idle machine."""


class Scales:
    """Weighs what the process holds now against what it held when this was made."""

    def __init__(self) -> None:
        self._objects, self._blocks = _weigh()

    def check(self, *, objects: int = 100, blocks: int = 2_000) -> None:
        """Find at most so many more than before."""
        now, allocated = _weigh()
        grown = Counter(now)
        grown.subtract(self._objects)
        assert sum(grown.values()) <= objects, grown.most_common(5)
        assert allocated - self._blocks <= blocks


def _weigh() -> tuple[Counter[str], int]:
    gc.collect()
    kinds = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects())
    return kinds, sys.getallocatedblocks()


async def cycle(connection: hopmq.Connection, times: int) -> None:
    """Open and close channels, some at a time."""

    async def once() -> None:
        async with connection.channel():
            pass

    for _ in range(times // 20):
        await asyncio.gather(*(once() for _ in range(20)))


@one_broker
async def test_two_thousand_channels_leave_nothing(rabbitmq: RabbitMQ) -> None:
    async with hopmq.connect(rabbitmq.url) as connection:
        await cycle(connection, 200)
        scales = Scales()
        async with asyncio.timeout(LOADED):
            await cycle(connection, 2_000)
        scales.check()
        assert connection._core.channels == {}
        assert connection._session.listeners() == []


@one_broker
async def test_fifty_thousand_messages_leave_nothing(rabbitmq: RabbitMQ, name: str) -> None:
    received = 0
    all_there = asyncio.Event()

    async def handle(message: hopmq.Message) -> None:
        nonlocal received
        message.ack()
        received += 1
        if received % 5_000 == 0:
            all_there.set()

    async with hopmq.connect(rabbitmq.url) as connection, connection.channel() as channel:
        await channel.declare_queue(name, exclusive=True)
        consumer = await channel.consume(name, handle)

        async def send(times: int) -> None:
            for _ in range(times):
                all_there.clear()
                await channel.publish_many([b"x" * 100] * 5_000, routing_key=name)
                await all_there.wait()

        async with asyncio.timeout(LOADED):
            await send(2)
            scales = Scales()
            await send(10)
        scales.check()
        await consumer.cancel()


@one_broker
async def test_refusals_and_returns_leave_nothing(rabbitmq: RabbitMQ) -> None:
    async with hopmq.connect(rabbitmq.url) as connection, connection.channel() as channel:

        async def trouble(times: int) -> None:
            for number in range(times):
                with pytest.raises(NotFoundError):
                    await connection.declare_queue(f"missing-{number}", passive=True)
                with pytest.raises(PublishReturnedError):
                    await channel.publish(b"x", routing_key="nowhere", mandatory=True)

        async with asyncio.timeout(LOADED):
            await trouble(50)
            scales = Scales()
            await trouble(300)
        scales.check()


async def test_cancelled_requests_leave_nothing(ends: Ends) -> None:
    async def cancelled(times: int) -> None:
        for _ in range(times):
            held = ends.gate.hold("Basic.ConsumeOk")
            task = start(ends.channel.consume("q"))
            await soon(held.reached())
            await cancel(task)
            held.release()
            stuck = ends.gate.hold("Channel.OpenOk")
            opening = start(ends.connection.channel())
            await soon(stuck.reached())
            await cancel(opening)
            stuck.release()
            await soon(ends.connection.declare_queue("a round trip"))
            ends.peer.forget()

    await cancelled(20)
    scales = Scales()
    await cancelled(150)
    scales.check()
    await ends.check_in_step()


async def test_connections_leave_nothing(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "hopmq")  # records are kept until the test ends

    async def lives(times: int) -> None:
        for number in range(times):
            async with connected(server) as ends:
                if number % 3 == 0:
                    ends.peer.reset()
                    await soon(ends.connection.wait_closed())
                elif number % 3 == 1:
                    await soon(ends.connection.close())
            await soon(ends.peer.lost)
            server.peers.clear()

    await lives(15)
    scales = Scales()
    await lives(90)
    scales.check(objects=150)
    assert not [each for each in gc.get_objects() if isinstance(each, hopmq.Connection)]
