"""The clock of a broker in real time."""

import asyncio
import time

import pytest

from hopmq.broker.clock import Clock, LoopClock


async def fired(clock: Clock, delay: float) -> float:
    """Return how long after `delay` a call was made."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    when = clock.time() + delay
    clock.call_at(when, lambda: done.set_result(clock.time()))
    async with asyncio.timeout(5):
        return await done - when


def test_a_call_is_made_when_its_time_has_come() -> None:
    async def run() -> float:
        return await fired(LoopClock(asyncio.get_running_loop()), 0.01)

    assert asyncio.run(run()) > -0.002  # the resolution of a loop's clock


def test_a_cancelled_call_is_not_made() -> None:
    async def run() -> list[str]:
        clock = LoopClock(asyncio.get_running_loop())
        calls: list[str] = []
        clock.call_at(clock.time() + 0.01, lambda: calls.append("cancelled")).cancel()
        await fired(clock, 0.02)
        return calls

    assert asyncio.run(run()) == []


def test_wall_time_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.5)
    loop = asyncio.new_event_loop()
    try:
        assert LoopClock(loop).wall() == 1_800_000_000.5
    finally:
        loop.close()
