"""The health of a connection follows what happens to it, and its loop is watched."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import hopmq
from hopmq.broker import Broker
from hopmq.errors import UsageError
from hopmq.resilience import HealthLimits
from hopmq.resilience.watchdog import watchdog
from hopmq.testing import Faults

LOADED = 30.0
"""Seconds by which the event loop of a loaded machine may be late."""


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker on the test's own loop."""
    async with Broker() as running:
        yield running


@pytest.fixture
async def connection(broker: Broker) -> AsyncIterator[hopmq.Connection]:
    """Return an open connection that comes back at once."""
    recovery = hopmq.Recovery(backoff=hopmq.resilience.Constant(0.0))
    async with hopmq.connect(broker.url, recovery=recovery) as connection:
        yield connection


async def test_a_connection_that_works_is_ready(connection: hopmq.Connection) -> None:
    channel = await connection.channel()
    await channel.declare_queue("q")
    async with channel.consume("q"):
        health = connection.health(HealthLimits(lag=LOADED))
        assert health.ready, health.reasons
        assert health.live
        assert (health.wanted_consumers, health.live_consumers) == (1, 1)
    assert connection.health().wanted_consumers == 0


async def test_while_a_connection_recovers_it_is_live_and_not_ready(
    broker: Broker, connection: hopmq.Connection
) -> None:
    channel = await connection.channel()
    await channel.declare_queue("q")
    await channel.consume("q")
    Faults(broker).disconnect(reset=True)
    await connection.wait_for("recovering")
    lost = connection.health(HealthLimits(lag=LOADED))
    assert (lost.ready, lost.live) == (False, True)
    assert lost.reasons == ("the connection is recovering", "1 of 1 consumers are missing")
    assert lost.disconnected_for >= 0.0
    await connection.wait_for("open")
    back = connection.health(HealthLimits(lag=LOADED))
    assert back.ready, back.reasons
    assert back.disconnected_for == 0.0


async def test_a_connection_that_is_blocked_says_why(
    broker: Broker, connection: hopmq.Connection
) -> None:
    with Faults(broker).block("low on disk"):
        await connection.wait_for("blocked")
        blocked = connection.health()
        assert blocked.blocked == "low on disk"
        assert not blocked.ready
        assert connection.health(HealthLimits(blocked=False, lag=LOADED)).ready
    await connection.wait_for("open")
    assert connection.health(HealthLimits(lag=LOADED)).ready


async def test_the_oldest_publish_without_an_outcome_ages(
    broker: Broker, connection: hopmq.Connection
) -> None:
    channel = await connection.channel()
    await channel.declare_queue("q")
    assert connection.health().oldest_unconfirmed == 0.0
    with Faults(broker).withhold_confirms():
        first = channel.publish_nowait(b"", routing_key="q")
        await asyncio.sleep(0.01)
        second = channel.publish_nowait(b"", routing_key="q")
        age = connection.health().oldest_unconfirmed
        assert age >= second.begun - first.begun > 0
        assert not connection.health(HealthLimits(unconfirmed=0.0)).ready
    for handle in (first, second):
        handle.timed_out()  # decided, and still in the ledger of the channel
    assert connection.health().oldest_unconfirmed == 0.0


async def test_a_connection_that_has_ended_is_not_live(connection: hopmq.Connection) -> None:
    await connection.close()
    ended = connection.health()
    assert (ended.ready, ended.live) == (False, False)


async def test_the_loop_is_watched_while_there_is_a_connection(broker: Broker) -> None:
    loop = asyncio.get_running_loop()
    assert loop not in watchdog._loops
    async with hopmq.connect(broker.url, heartbeat=8) as connection:
        assert watchdog._loops[loop].threshold == 2.0
        async with hopmq.connect(broker.url, stall_warning=1.5):
            assert watchdog._loops[loop].threshold == 1.5
        await asyncio.sleep(0)
        assert watchdog._loops[loop].threshold == 2.0
        connection._session.loop_lag = lambda: 2.5
        assert connection.health().reasons == ("the event loop is 2.5 seconds late, more than 1",)
    await asyncio.sleep(0)
    assert loop not in watchdog._loops


async def test_the_watchdog_can_be_turned_off(broker: Broker) -> None:
    async with hopmq.connect(broker.url, stall_warning=0) as connection:
        assert asyncio.get_running_loop() not in watchdog._loops
        assert connection.health().loop_lag == 0.0


@pytest.mark.parametrize("wrong", [-1, "1", True])
def test_a_time_to_be_blocked_that_cannot_be_meant_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        hopmq.connect(stall_warning=wrong)
