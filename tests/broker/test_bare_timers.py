"""Timers that can be cancelled and tell nothing, as uvloop's are when they are due at once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

import hopmq
from hopmq import Queue
from hopmq.broker import Broker, LoopClock
from hopmq.transport.timers import Timer

SECONDS = 10.0


class BareTimer:
    """A timer that tells nothing."""

    def __init__(self, timer: Timer) -> None:
        self.cancel = timer.cancel


class BareClock(LoopClock):
    """A clock with such timers."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` at its time."""
        return BareTimer(super().call_at(when, callback))


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


async def broker_with(**options: float) -> Broker:
    """Return a broker that goes by such a clock."""
    clock = BareClock(asyncio.get_running_loop())
    return Broker(clock=clock, silent_close_delay=0.0, **options)


async def test_a_handshake_ends_in_time() -> None:
    async with await broker_with(handshake_timeout=0.05) as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_messages_expire_one_after_the_other() -> None:
    async with (
        await broker_with() as broker,
        hopmq.connect(broker.url, heartbeat=1) as connection,
        connection.channel() as channel,
    ):
        await channel.declare_queue("dead")
        letters = {"dead_letter_exchange": "", "dead_letter_routing_key": "dead"}
        await channel.declare_queue(Queue.classic("short", **letters))
        async with channel.consume("dead", no_ack=True) as dead:
            for seconds in (0.02, 0.0, 0.04):
                await channel.publish(b"%g" % seconds, routing_key="short", expiration=seconds)
            bodies = [(await anext(aiter(dead))).body for _ in range(3)]
    assert bodies == [b"0.02", b"0", b"0.04"]
