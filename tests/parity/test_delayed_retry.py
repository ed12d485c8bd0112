"""Quorum queues of 4.3 hold returned messages back for a while; earlier ones know nothing of it."""

import asyncio
import itertools
import math
from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.peers import Peers
from parity.queues import declare_kind, drain_soon, fill, get_soon, has_count
from parity.waiting import in_time

MIN, MAX = 120, 300
"""Milliseconds of delay: for a first failure, and at most."""

TOLERANCE = 0.11
"""Seconds by which a delivery may be late on a loaded machine and still be told apart."""

TRIES = 12
"""How often a delivery may be later than that."""

HAS_DELAYS = {"4.3"}

ALL = [MIN / 1000, 2 * MIN / 1000, MAX / 1000]
CONSTANT = [MIN / 1000] * 3
NONE = [0.0] * 3

DELAYS = {
    ("all", "reject"): ALL,
    ("all", "nack"): CONSTANT,
    ("failed", "reject"): ALL,
    ("failed", "nack"): NONE,
    ("returned", "reject"): NONE,
    ("returned", "nack"): CONSTANT,
    ("disabled", "reject"): NONE,
    ("bogus", "reject"): NONE,
}
"""Seconds before each redelivery. They grow with x-delivery-count, which a nack does not raise."""


def delayed(retry: str | None, **limits: Any) -> FieldTable:
    """Return the arguments of a queue that delays."""
    arguments: FieldTable = {"x-delayed-retry-min": MIN, "x-delayed-retry-max": MAX, **limits}
    return arguments if retry is None else {"x-delayed-retry-type": retry, **arguments}


async def measure(channel: ChannelDriver, name: str, how: str, times: int) -> list[float]:
    """Return a message each time it comes; return the seconds that it was away."""
    clock = asyncio.get_running_loop().time
    await fill(channel, name, b"1")
    delivery = await channel.next(Delivery)
    away = []
    for _ in range(times):
        begin = clock()
        getattr(channel, how)(delivery.delivery_tag)
        delivery = await channel.next(Delivery)
        away.append(clock() - begin)
    channel.ack(delivery.delivery_tag)
    return away


async def check(channel: ChannelDriver, name: str, how: str, expected: list[float]) -> None:
    """Hold that nothing ever comes early, and each comes in time when the machine lets it."""
    await channel.consume(name)
    best = [math.inf] * len(expected)
    for _ in range(TRIES):
        away = await measure(channel, name, how, len(expected))
        late = [seconds - least for seconds, least in zip(away, expected, strict=True)]
        assert min(late) > -0.002, (away, expected)
        best = list(map(min, best, late))
        if max(best) < TOLERANCE:
            return
    raise AssertionError(f"late by {best} at best, of {expected}")


@pytest.mark.parametrize("retry, how", list(DELAYS))
async def test_a_returned_message_is_away_for_a_while(
    channel: ChannelDriver, name: str, release: str, retry: str, how: str
) -> None:
    await declare_kind(channel, name, "quorum", delayed(retry))
    expected = DELAYS[retry, how] if release in HAS_DELAYS else NONE
    await check(channel, name, how, expected)


async def away(peers: Peers, name: str, how: str) -> float:
    """Leave with a message unsettled; return the seconds until the next consumer gets it."""
    peer, other = await peers.open(), await (await peers.open()).channel()
    channel = await peer.channel()
    await fill(other, name, b"1")
    await channel.consume(name)
    await channel.next(Delivery)
    clock = asyncio.get_running_loop().time
    begin = clock()
    if how == "close":
        await channel.close()
    else:
        peer.abort()
    await other.consume(name)
    delivery = await other.next(Delivery)
    seconds = clock() - begin
    other.ack(delivery.delivery_tag)
    await other.close()
    return seconds


@pytest.mark.parametrize("how", ["close", "cut"])
async def test_a_consumer_that_goes_away_delays_too(
    channel: ChannelDriver, peers: Peers, name: str, release: str, how: str
) -> None:
    await declare_kind(channel, name, "quorum", delayed("all"))
    least = MIN / 1000 - 0.01
    seconds = await away(peers, name, how)
    while release not in HAS_DELAYS and seconds > least:  # the machine's delay
        seconds = await away(peers, name, how)
    assert (seconds > least) == (release in HAS_DELAYS)


async def test_others_pass_it_meanwhile(channel: ChannelDriver, name: str, release: str) -> None:
    queues = (f"{name}-{number}" for number in itertools.count())
    arguments = delayed("all", **{"x-delivery-limit": 10})

    async def take() -> tuple[str, int]:
        queue = next(queues)
        await declare_kind(channel, queue, "quorum", arguments)
        await fill(channel, queue, b"1", b"2")
        return queue, (await get_soon(channel, queue, no_ack=False)).delivery_tag

    async def reject(taken: tuple[str, int]) -> tuple[str, bytes]:
        queue, tag = taken
        channel.reject(tag)
        return queue, (await get_soon(channel, queue)).body

    queue, first = await in_time(MIN / 1000, take, reject)
    order = [b"2", b"1"] if release in HAS_DELAYS else [b"1", b"2"]
    assert [first, *await drain_soon(channel, queue, 1)] == order


async def test_it_is_not_counted_as_ready_meanwhile(
    channel: ChannelDriver, name: str, release: str
) -> None:
    queues = (f"{name}-{number}" for number in itertools.count())

    async def take() -> tuple[str, int]:
        queue = next(queues)
        await declare_kind(channel, queue, "quorum", delayed("all"))
        await fill(channel, queue, b"1")
        return queue, (await get_soon(channel, queue, no_ack=False)).delivery_tag

    async def reject(taken: tuple[str, int]) -> str:
        queue, tag = taken
        channel.reject(tag)
        if release in HAS_DELAYS:
            assert await channel.count(queue) == 0
            assert await channel.get(queue) is None
        return queue

    queue = await in_time(MIN / 1000, take, reject)
    await has_count(channel, queue, 1)
    assert await drain_soon(channel, queue, 1) == [b"1"]


async def test_without_a_type_nothing_is_delayed(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "quorum", delayed(None))
    await check(channel, name, "reject", NONE)


async def test_without_a_minimum_nothing_is_delayed(channel: ChannelDriver, name: str) -> None:
    arguments: FieldTable = {"x-delayed-retry-type": "all", "x-delayed-retry-max": MAX}
    await declare_kind(channel, name, "quorum", arguments)
    await check(channel, name, "reject", NONE)


async def test_without_a_maximum_the_delay_does_not_grow(
    channel: ChannelDriver, name: str, release: str
) -> None:
    arguments: FieldTable = {"x-delayed-retry-type": "all", "x-delayed-retry-min": MIN}
    await declare_kind(channel, name, "quorum", arguments)
    await check(channel, name, "reject", CONSTANT if release in HAS_DELAYS else NONE)


async def test_at_the_limit_it_is_dead_lettered_without_delay(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(f"{name}-dead")
    limits: FieldTable = {
        "x-delivery-limit": 0,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
    }
    await declare_kind(channel, name, "quorum", delayed("all", **limits))
    await fill(channel, name, b"1")
    message = await get_soon(channel, name, no_ack=False)
    channel.reject(message.delivery_tag)
    assert (await get_soon(channel, f"{name}-dead")).body == b"1"


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-delayed-retry-type": "all"},
        {"x-delayed-retry-type": "bogus"},
        {"x-delayed-retry-type": 1},
        {"x-delayed-retry-min": -1},
        {"x-delayed-retry-min": "a"},
        {"x-delayed-retry-max": -1},
        {"x-delayed-retry-min": 50, "x-delayed-retry-max": 20},
    ],
    ids=str,
)
async def test_nothing_of_it_is_checked_when_declared(
    channel: ChannelDriver, name: str, arguments: FieldTable
) -> None:
    await declare_kind(channel, name, "quorum", arguments)


@pytest.mark.parametrize(
    "argument", ["x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max"]
)
async def test_4_3_refuses_it_for_classic_queues(
    channel: ChannelDriver, name: str, release: str, argument: str
) -> None:
    if release not in HAS_DELAYS:
        await declare_kind(channel, name, "classic", {argument: 1})
        return
    assert await refusal(declare_kind(channel, name, "classic", {argument: 1})) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/'"
            " of queue type rabbit_classic_queue"
        ),
    )
