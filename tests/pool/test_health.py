"""The health of a pool is that of its connections together, and a signal drains it like them."""

import asyncio
import signal

import pytest

from client.proxy import Proxy
from hopmq import DrainOnSignal, Message, Pool, Recovery
from hopmq.resilience import Constant, HealthLimits

LOADED = 30.0
"""Seconds by which the event loop of a loaded machine may be late."""


async def test_a_pool_that_works_is_ready(amqp_url: str, queue: str) -> None:
    async with Pool(amqp_url) as pool:
        assert pool.health(HealthLimits(lag=LOADED)).ready
        consumer = await pool.consume(queue, lambda message: message.ack())
        health = pool.health(HealthLimits(lag=LOADED))
        assert health.ready, health.reasons
        assert (health.wanted_consumers, health.live_consumers) == (1, 1)
        await pool.publish(b"", routing_key=queue)
        assert pool.health(HealthLimits(unconfirmed=0.0, lag=LOADED)).ready
        await consumer.cancel()


async def test_one_connection_that_recovers_is_enough_not_to_be_ready(
    proxy: Proxy, queue: str
) -> None:
    recovery = Recovery(backoff=Constant(0.0))
    async with Pool(proxy.url, recovery=recovery, max_connections=1) as pool:
        await pool.consume(queue, lambda message: message.ack())
        (connection,) = pool._opened().consuming.connections.values()
        proxy.answers.hold()  # so that nothing is connected again before it was seen
        connection._session.link.abort()
        await connection.wait_for("recovering")
        lost = pool.health(HealthLimits(lag=LOADED))
        assert (lost.ready, lost.live) == (False, True)
        assert lost.reasons == ("the connection is recovering", "1 of 1 consumers are missing")
        proxy.answers.release()
        await connection.wait_for("open")
        assert pool.health().wanted_consumers == 1


async def test_a_pool_that_is_not_open_is_not_ready(amqp_url: str) -> None:
    pool = Pool(amqp_url)
    assert pool.health().reasons == ("the connection is new",)
    assert pool.health().live
    async with pool:
        pass
    assert not pool.health().ready
    assert not pool.health().live


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no such signals here")
async def test_a_signal_drains_a_pool(amqp_url: str, queue: str) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        begun.set()
        await finish.wait()
        message.ack()

    pool = Pool(amqp_url)
    await pool.open()
    async with DrainOnSignal(pool, signals=[signal.SIGUSR1]) as told:
        await pool.consume(queue, handle)
        await pool.publish(b"", routing_key=queue)
        await begun.wait()
        signal.raise_signal(signal.SIGUSR1)
        await told.wait()
        finish.set()
        await asyncio.Event().wait()
    assert pool.state == "closed"
