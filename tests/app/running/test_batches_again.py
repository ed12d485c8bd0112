"""Batches that have failed and are tried again where they are, without what is done."""

import asyncio
from typing import Any

import pytest

from app.running.in_place import handling
from app.settling import Settlements
from hopmq import Queue
from hopmq.app import (
    App,
    Batch,
    BatchFailures,
    Constant,
    ConsumeContext,
    Group,
    Park,
    Postpone,
    Retry,
    RetryAfter,
)

PATIENTLY = Retry(attempts=3, backoff=Constant(60))


@pytest.fixture
def app() -> App:
    return App()


Calls = list[tuple[list[int], int]]
"""What a handler was called with: payloads, and which attempt it is."""


async def test_a_members_batch_is_tried_again_without_what_is_done(app: App) -> None:
    calls: Calls = []

    @app.consumer(
        exchange="prices", group=Group.broadcast("caches"), batch=Batch(4), retry=PATIENTLY
    )
    async def handle(prices: list[int], context: ConsumeContext) -> None:
        calls.append((prices, context.attempt))
        errors = {-1: ValueError(), -2: Park("never")}
        raise BatchFailures({i: errors[each] for i, each in enumerate(prices) if each < 0})

    async with app.test() as t:
        for price in (1, -1, 2, -2):
            await t.publish(price, exchange="prices", routing_key="eur")
        await t.drain()
        assert calls == [([1, -1, 2, -2], 1), ([-1], 2), ([-1], 3)]
        parked = await app.parking("prices.caches").list()
        assert [(each.body, each.attempts) for each in parked] == [(b"-2", 1), (b"-1", 3)]


async def test_a_batch_of_a_stream_is_tried_again_before_what_follows_it(app: App) -> None:
    calls: Calls = []

    @app.consumer(Queue.stream("prices"), batch=Batch(2), prefetch=4, retry=PATIENTLY)
    async def handle(prices: list[int], context: ConsumeContext) -> None:
        calls.append((prices, context.attempt))
        if context.attempt < 3:
            raise ConnectionError

    async with app.test() as t:
        for price in (1, 2, 3, 4):
            await t.publish(price, routing_key="prices")
        await t.drain()
    assert calls == [([1, 2], 1), ([1, 2], 2), ([1, 2], 3), ([3, 4], 1), ([3, 4], 2), ([3, 4], 3)]


async def test_attempts_at_once_are_made_of_batches_as_well(app: App) -> None:
    calls: list[tuple[list[int], int]] = []

    @app.consumer("prices", batch=Batch(2), retry=Retry(attempts=3, at_once=2))
    async def handle(prices: list[int], context: ConsumeContext) -> None:
        calls.append((prices, context.retried))
        raise ConnectionError

    async with app.test() as t:
        before = app.clock.time()
        for price in (1, 2):
            await t.publish(price, routing_key="prices")
        assert calls == [([1, 2], 0), ([1, 2], 1), ([1, 2], 2)]
        assert t.waiting("prices.parked") == 2
        assert app.clock.time() == before


async def test_those_that_wait_longest_are_waited_for_and_who_only_waits_has_not_failed(
    app: App,
) -> None:
    calls: list[tuple[float, list[int]]] = []

    @app.consumer(
        exchange="prices",
        group=Group.broadcast("caches"),
        batch=Batch(2),
        retry=Retry(attempts=2, backoff=Constant(1)),
    )
    async def handle(prices: list[int]) -> None:
        calls.append((app.clock.time() - began, prices))
        if len(calls) < 3:
            raise BatchFailures({index: Postpone(30) for index in range(len(prices))})
        raise BatchFailures({0: RetryAfter(5), 1: RetryAfter(50)} if len(calls) == 3 else {})

    async with app.test() as t:
        began = app.clock.time()
        for price in (1, 2):
            await t.publish(price, exchange="prices", routing_key="eur")
        await t.drain()
    assert calls == [(0, [1, 2]), (30, [1, 2]), (60, [1, 2]), (110, [1, 2])]


async def test_what_the_broker_took_back_is_not_tried_again() -> None:
    """Another member may be at work on it."""
    broker, calls = Settlements(), list[Any]()

    async def call(context: ConsumeContext) -> None:
        calls.append(context.payloads)
        broker.lose_link()
        raise LookupError

    again = handling(call, Retry(attempts=5, backoff=Constant(0)))
    await again.many([broker.deliver(b"1"), broker.deliver(b"2")])
    assert calls == [[b"1", b"2"]]


async def test_a_batch_that_is_cut_off_while_it_waits_goes_back() -> None:
    broker, failed = Settlements(), asyncio.Event()

    async def call(context: ConsumeContext) -> None:
        failed.set()
        raise BatchFailures({1: LookupError()})

    again = handling(call, PATIENTLY)
    work = asyncio.create_task(again.many([broker.deliver(b"1"), broker.deliver(b"2")]))
    async with asyncio.timeout(10):
        await failed.wait()
        work.cancel()
        await asyncio.wait([work])
    assert work.cancelled()
    assert broker.settled == {1: "ack", 2: "nack"}
