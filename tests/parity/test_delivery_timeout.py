"""A consumer that does not settle in time loses its channel or, since 4.3, its subscription."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pamqp.commands import Basic

from conftest import RunningBroker
from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.conditions import set_delivery_timeout
from parity.driver import Peer
from parity.queues import SHORT, declare_kind, fill, get_soon, has_count
from parity.streams import reader, stream_of_five
from parity.typed import typed_headers
from parity.waiting import in_time, pass_time

TIMEOUT = 200
"""Milliseconds."""

CANCELS = {"4.3"}
"""Releases in which only quorum queues have the timeout, and end the subscription by it."""

HAS_ARGUMENT = {"4.0", "4.3"}
"""Releases in which a queue may have a timeout of its own."""


@pytest.fixture(scope="module", autouse=True)
async def _impatience(broker: RunningBroker) -> AsyncIterator[None]:
    await set_delivery_timeout(broker, TIMEOUT)
    yield
    await set_delivery_timeout(broker, None)


def timed_out(channel: ChannelDriver, milliseconds: int) -> tuple[str, int, str]:
    """Return how the channel is closed."""
    return (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - delivery acknowledgement on channel {channel.number} timed out."
            f" Timeout value used: {milliseconds} ms. This timeout value can be configured, see"
            " consumers doc guide to learn more"
        ),
    )


# The number of a channel that timed out is not used again: RabbitMQ may close it twice, the second
# time when another has it already.


async def hold(peer: Peer, name: str, kind: str, arguments: FieldTable | None = None) -> Any:
    """Return a channel whose consumer holds one of two messages."""
    channel = await peer.channel()
    await declare_kind(channel, name, kind, arguments)
    await fill(channel, name, b"1", b"2")
    await channel.qos(1)
    await channel.consume(name, "tag")
    await channel.next(Delivery)
    return channel


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_the_timeout_of_the_broker(peer: Peer, name: str, release: str, kind: str) -> None:
    other = await peer.channel()
    channel = await hold(peer, name, kind)
    if release not in CANCELS:
        closed = await channel.until_closed()
        assert closed.answer == timed_out(channel, TIMEOUT)
        assert closed.blamed == (0, 0)
        await has_count(other, name, 2)
        return
    if kind == "classic":
        await pass_time(3 * TIMEOUT / 1000)
        await channel.expect_silence(name)
        return
    cancel = await channel.next(Basic.Cancel)
    assert (cancel.consumer_tag, cancel.nowait) == ("tag", True)
    await has_count(channel, name, 2)


async def time_out(channel: ChannelDriver, release: str) -> None:
    """Wait until the broker's patience is over."""
    await (channel.until_cancelled() if release in CANCELS else channel.until_closed())


async def test_other_channels_go_on(peer: Peer, name: str, release: str) -> None:
    other = await peer.channel()
    await time_out(await hold(peer, name, "quorum"), release)
    await other.qos(0)


async def test_settling_in_time_is_enough(peer: Peer, name: str) -> None:
    other, numbers = await peer.channel(), itertools.count(100)

    async def filled() -> ChannelDriver:
        channel = await peer.channel(next(numbers))
        queue = f"{name}-{channel.number}"
        await declare_kind(other, queue, "quorum")
        await fill(other, queue, b"1", b"2")
        return channel

    async def settle_both(channel: ChannelDriver) -> ChannelDriver:
        queue = f"{name}-{channel.number}"
        await channel.qos(1)
        await channel.consume(queue, "tag")
        for _ in range(2):
            channel.ack((await channel.next(Delivery)).delivery_tag)
        await channel.expect_silence(queue)
        return channel

    channel = await in_time(TIMEOUT / 1000, filled, settle_both)
    await pass_time(2 * TIMEOUT / 1000)
    await channel.expect_silence()


async def test_what_timed_out_is_delivered_again(peer: Peer, name: str, release: str) -> None:
    other = await peer.channel()
    await time_out(await hold(peer, name, "quorum"), release)
    await has_count(other, name, 2)
    first, second = await get_soon(other, name), await get_soon(other, name)
    assert (first.body, first.redelivered) == (b"1", True)
    assert (second.body, second.redelivered) == (b"2", False)
    counted = "x-acquired-count" if release in CANCELS else "x-delivery-count"
    assert typed_headers(first) == {counted: ("l", 1)}


async def test_4_3_takes_a_settlement_that_comes_too_late(
    peer: Peer, name: str, release: str
) -> None:
    channel = await hold(peer, name, "quorum")
    await time_out(channel, release)
    if release in CANCELS:
        channel.ack(1)
        await channel.qos(0)


async def test_a_message_that_was_got_costs_the_channel(
    peer: Peer, name: str, release: str
) -> None:
    channel = await peer.channel()
    await declare_kind(channel, name, "quorum")
    await fill(channel, name, b"1")
    await get_soon(channel, name, no_ack=False)
    shown = -1 if release in CANCELS else TIMEOUT
    assert (await channel.until_closed()).answer == timed_out(channel, shown)


async def test_a_stream_times_out_before_4_3(peer: Peer, name: str, release: str) -> None:
    await stream_of_five(await peer.channel(), name)
    channel = await reader(peer, name, prefetch=5)
    await channel.collect(Delivery, 5)
    if release in CANCELS:
        await pass_time(3 * TIMEOUT / 1000)
        await channel.expect_silence()
        return
    assert (await channel.until_closed()).answer == timed_out(channel, TIMEOUT)


# --- the queue's own ---------------------------------------------------------------------------

LONG = 60_000


async def test_a_queue_may_have_a_shorter_one(peer: Peer, name: str, release: str) -> None:
    own = TIMEOUT // 2 if release in HAS_ARGUMENT else TIMEOUT
    channel = await hold(peer, name, "quorum", {"x-consumer-timeout": TIMEOUT // 2})
    if release in CANCELS:
        assert await channel.until_cancelled() == "tag"
        return
    assert (await channel.until_closed()).answer == timed_out(channel, own)


async def test_a_queue_may_have_a_longer_one(peer: Peer, name: str, release: str) -> None:
    channel = await hold(peer, name, "quorum", {"x-consumer-timeout": LONG})
    if release not in HAS_ARGUMENT:
        assert (await channel.until_closed()).answer == timed_out(channel, TIMEOUT)
        return
    await pass_time(3 * TIMEOUT / 1000)
    await channel.expect_silence(name)


async def test_a_consumer_of_4_3_may_have_one_too(peer: Peer, name: str, release: str) -> None:
    channel = await peer.channel()
    await declare_kind(channel, name, "quorum", {"x-consumer-timeout": LONG})
    await fill(channel, name, b"1")
    await channel.consume(name, "tag", arguments={"x-consumer-timeout": TIMEOUT})
    await channel.next(Delivery)
    if release in CANCELS:
        assert await channel.until_cancelled() == "tag"
        return
    await pass_time(SHORT)
    await channel.expect_silence(name)


@pytest.mark.parametrize("kind", ["classic", "stream"])
async def test_4_3_refuses_it_for_other_queues(
    channel: ChannelDriver, name: str, release: str, kind: str
) -> None:
    arguments: FieldTable = {"x-consumer-timeout": 1000}
    if release not in CANCELS:
        await declare_kind(channel, name, kind, arguments)
        return
    assert await refusal(declare_kind(channel, name, kind, arguments)) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue '{name}' in vhost '/'"
            f" of queue type rabbit_{kind}_queue"
        ),
    )


@pytest.mark.parametrize(
    "value, why",
    [("a", '"expected integer, got longstr"'), (-1, "{value_negative,-1}")],
)
async def test_4_3_checks_its_value(
    channel: ChannelDriver, name: str, release: str, value: str | int, why: str
) -> None:
    arguments: FieldTable = {"x-consumer-timeout": value}
    if release not in CANCELS:
        await declare_kind(channel, name, "quorum", arguments)
        return
    assert await refusal(declare_kind(channel, name, "quorum", arguments)) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue '{name}' in vhost '/':"
            f" {why}"
        ),
    )
