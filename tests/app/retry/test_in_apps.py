"""Retries and delays as applications declare them, on each release, at a time that is turned."""

from datetime import UTC, datetime, timedelta

import pytest

from hopmq import Queue
from hopmq.app import App, Clock, ConsumeContext, Exponential, Linear, Parking, Retry, RetryAfter
from hopmq.broker.emulation import Release
from hopmq.errors import UsageError

Seen = list[tuple[int, float]]


def failing(
    app: App, seen: Seen, error: Exception, retry: Retry, *, in_order: bool = False
) -> None:
    """Have the application fail, and note which attempt that was, and when."""

    @app.consumer(Queue.quorum("orders"), retry=retry, order_by="routing_key" if in_order else None)
    async def handle(body: bytes, context: ConsumeContext) -> None:
        clock: Clock = app.clock
        seen.append((context.attempt, clock.time()))
        raise error


def when(seen: Seen) -> Seen:
    """Return attempts with the seconds since the first."""
    return [(attempt, round(at - seen[0][1], 6)) for attempt, at in seen]


@pytest.mark.parametrize(
    "error, retry, expected",
    [
        (
            ValueError(),
            Retry(attempts=5, backoff=Exponential(1, 60), at_once=2),
            [(1, 0), (2, 0), (3, 0), (4, 1), (5, 3)],
        ),
        (ValueError(), Retry(attempts=2, at_once=1), [(1, 0), (2, 0)]),
        (ValueError(), Retry(attempts=3, backoff=Linear(2, 9)), [(1, 0), (2, 2), (3, 6)]),
        (RetryAfter(4), Retry(attempts=3, at_once=2), [(1, 0), (2, 4), (3, 8)]),
        (ValueError(), Retry(attempts=3, give_up_on=(ValueError,), at_once=2), [(1, 0)]),
    ],
    ids=["at once, then waits", "at once alone", "linear", "as the handler says", "given up"],
)
@pytest.mark.parametrize("in_order", [False, True], ids=["by the broker", "in place"])
async def test_attempts_of_an_application(
    release: Release, error: Exception, retry: Retry, expected: Seen, in_order: bool
) -> None:
    app, seen = App(), Seen()
    failing(app, seen, error, retry, in_order=in_order)
    async with app.test(emulate=release) as t:
        await t.publish(b"1", routing_key="orders")
        await t.drain()
        await t.advance(100)
        assert when(seen) == expected
        assert t.waiting("orders.parked") == 1
        (parked,) = await app.parking("orders").list()
        assert parked.attempts == len(expected)


async def test_publishing_later(release: Release) -> None:
    app = App()
    arrived: list[tuple[bytes, float]] = []

    @app.consumer("due")
    async def handle(body: bytes) -> None:
        arrived.append((body, app.clock.time()))

    async with app.test(emulate=release) as t:
        begin, now = app.clock.time(), datetime.fromtimestamp(app.clock.wall(), UTC)
        await app.publish(b"delay", routing_key="due", delay=7.5)
        await app.publish(b"timedelta", routing_key="due", delay=timedelta(hours=1))
        await app.publish(b"at", routing_key="due", at=now + timedelta(minutes=2))
        await app.publish(b"past", routing_key="due", at=now - timedelta(minutes=2))
        await t.drain()
        assert [(body, at - begin) for body, at in arrived] == [
            (b"past", 0),
            (b"delay", 7.5),
            (b"at", 120),
            (b"timedelta", 3600),
        ]


@pytest.mark.parametrize("delay", [-5, float("nan"), timedelta(seconds=-1)])
async def test_what_is_no_delay_is_not_published(delay: float | timedelta) -> None:
    app = App()
    async with app.test() as t:
        with pytest.raises(UsageError, match="a delay is between 0 and"):
            await app.publish(b"1", routing_key="due", delay=delay)
        assert t.published() == []


async def test_what_is_routed_later_cannot_be_mandatory() -> None:
    app = App()
    publisher = app.publisher(bytes, routing_key="due", mandatory=True)
    async with app.test():
        with pytest.raises(UsageError, match="mandatory"):
            await publisher.publish(b"1", delay=5)


async def test_a_moment_is_meant_by_the_clock_of_the_test() -> None:
    app = App()
    arrived: list[tuple[bytes, datetime]] = []

    @app.consumer("due")
    async def handle(body: bytes) -> None:
        arrived.append((body, t.now()))

    async with app.test() as t:
        in_an_hour = t.now() + timedelta(hours=1)
        await app.publish(b"1", routing_key="due", at=in_an_hour)
        await t.drain()
        assert arrived == [(b"1", in_an_hour)]
        with pytest.raises(UsageError, match=r"it is 2026-01-01 01:00:00\+00:00 by"):
            await app.publish(b"1", routing_key="due", at=t.now() + timedelta(days=98))


async def test_what_was_parked_is_given_back() -> None:
    app, seen = App(), Seen()
    failing(app, seen, ValueError(), Retry(attempts=2))
    async with app.test() as t:
        topology = app.topology
        assert {"orders", "orders.parked", "hopmq.delay.03"} <= {q.name for q in topology.queues}
        await t.publish(b"1", routing_key="orders")
        await t.drain()
        parking: Parking = app.parking("orders")
        assert await parking.count() == 1
        assert await parking.requeue_all() == 1
        await t.drain()
        assert [attempt for attempt, _ in seen] == [1, 2, 1, 2]
