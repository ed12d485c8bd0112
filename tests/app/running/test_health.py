"""What health says: which consumer is missing, which handler it has, and why; and what became of the connection."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from hopmq import Pool
from hopmq.app import App, Group
from hopmq.broker import Broker
from hopmq.testing import Faults


@pytest.fixture
async def own_broker() -> AsyncIterator[Broker]:
    """Return a broker of the test's own, to do things to."""
    async with Broker() as broker:
        yield broker


async def on_order(body: bytes) -> None:
    """Take an order."""


async def test_a_consumer_that_the_broker_cancels_is_named_with_its_queue_and_handler(
    own_broker: Broker,
) -> None:
    app = App(own_broker.url)
    app.consumer("orders", name="first")(on_order)
    app.consumer("others")(on_order)
    async with app:
        faults = Faults(own_broker)
        faults.lock_queue("orders")
        faults.on(queue="orders").cancel_consumers()
        while app.health().ready:
            await asyncio.sleep(0)
        assert app.health().missing == ("first",)
        assert app.health().reasons == (
            "consumer 'first' (queue 'orders', handler on_order) is lost and being restored",
        )


async def test_a_consumer_that_has_ended_is_named_with_the_reason(own_broker: Broker) -> None:
    async with Pool(own_broker.url) as pool:
        app = App(pool)
        app.consumer("orders")(on_order)
        async with app:
            await pool.close()
            while not app.health().missing:
                await asyncio.sleep(0)
            connection, consumer = app.health().reasons
            assert connection == "the connection to the broker is closed"
            assert re.fullmatch(
                r"consumer 'orders' \(handler on_order\) has ended and is not back yet: 200 .*closed",
                consumer,
            )
            assert not app.health().live


async def test_consumers_without_their_connection_are_named_and_so_is_the_connection(
    own_broker: Broker,
) -> None:
    app = App(own_broker.url)
    app.consumer("orders")(on_order)
    app.consumer(exchange="events", group=Group("ledger", partitions=2))(on_order)
    async with app:
        port = own_broker.port
        await own_broker.stop()
        while len(app.health().missing) < 2:
            await asyncio.sleep(0)
        connection, *consumers = app.health().reasons
        assert re.fullmatch(
            r"the connection to the broker was lost \d+\.\d seconds ago and is not back yet",
            connection,
        )
        waits = "(handler on_order) is lost and being restored"
        assert consumers == [f"consumer 'orders' {waits}", f"consumer 'events.ledger' {waits}"]
        assert app.health().live
        async with Broker(port=port):
            while not app.health().ready:
                await asyncio.sleep(0)
            await app.drain()


async def test_one_that_is_paused_is_named_and_not_missing(own_broker: Broker) -> None:
    app = App(own_broker.url)
    app.consumer("orders")(on_order)
    async with app:
        await app.consumers["orders"].pause()
        health = app.health()
        assert (health.ready, health.paused, health.missing) == (True, ("orders",), ())
