"""Quorum queues count deliveries: what counts, where it shows, and what happens at the limit."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.queues import declare_kind, fill, get_soon, has_count, quiet
from parity.typed import Typed, typed_headers
from parity.waiting import eventually

RETURNS = ["reject", "nack", "nack-multiple", "recover", "close", "cancel-close"]
"""Ways of a message back into its queue."""

FAILURES = {"reject", "close", "cancel-close"}
"""Those that 4.3 takes for a failed delivery; for earlier releases, all are."""


async def give_back(channel: ChannelDriver, name: str, message: Any, how: str) -> ChannelDriver:
    """Return a message to its queue; return the channel to go on with."""
    tag = message.delivery_tag
    if how == "reject":
        channel.reject(tag)
    elif how == "recover":
        await channel.recover()
    elif how.startswith("nack"):
        channel.nack(tag, multiple=how == "nack-multiple")
    else:
        if how == "cancel-close":
            await channel.cancel("tag")
        await channel.close()
        channel = await channel.peer.channel()
        await channel.consume(name, "tag")
    return channel


def counts(release: str, how: str, returned: int) -> dict[str, Typed]:
    """Return the headers of a message that was returned so many times."""
    if not returned:
        return {}
    deliveries: dict[str, Typed] = {"x-delivery-count": ("l", returned)}
    if release != "4.3":
        return deliveries
    acquired: dict[str, Typed] = {"x-acquired-count": ("l", returned)}
    return acquired | deliveries if how in FAILURES else acquired


@pytest.mark.parametrize("how", RETURNS)
async def test_each_redelivery_is_counted_in_headers(
    channel: ChannelDriver, name: str, release: str, how: str
) -> None:
    await declare_kind(channel, name, "quorum")
    await fill(channel, name, b"1")
    await channel.consume(name, "tag")
    for returned in range(4):
        delivery = await channel.next(Delivery)
        assert typed_headers(delivery) == counts(release, how, returned)
        assert list(typed_headers(delivery)) == list(counts(release, how, returned))
        assert delivery.redelivered == bool(returned)
        channel = await give_back(channel, name, delivery, how)


@pytest.mark.parametrize("how", ["reject", "nack"])
async def test_gets_are_counted_alike_and_3_10_shows_a_zero(
    channel: ChannelDriver, name: str, release: str, how: str
) -> None:
    await declare_kind(channel, name, "quorum")
    await fill(channel, name, b"1")
    for returned in range(3):
        message = await get_soon(channel, name, no_ack=False)
        expected = counts(release, how, returned)
        if release == "3.10" and not returned:
            expected = {"x-delivery-count": ("l", 0)}
        assert typed_headers(message) == expected
        await give_back(channel, name, message, how)


async def test_counts_are_added_to_the_messages_own_headers(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await declare_kind(channel, name, "quorum")
    await fill(channel, name, b"1", headers={"mine": 1})
    await channel.consume(name)
    channel.reject((await channel.next(Delivery)).delivery_tag)
    headers = (await channel.next(Delivery)).properties.headers
    assert headers is not None
    assert headers["mine"] == 1
    assert headers["x-delivery-count"] == 1


async def test_a_classic_queue_counts_nothing(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "classic")
    await fill(channel, name, b"1")
    await channel.consume(name)
    for _ in range(3):
        delivery = await channel.next(Delivery)
        assert typed_headers(delivery) == {}
        channel.reject(delivery.delivery_tag)


# --- the limit ---------------------------------------------------------------------------------


async def deliveries_until_gone(
    channel: ChannelDriver, name: str, how: str, most: int
) -> tuple[int, ChannelDriver]:
    """Return each delivery until none comes any more; return how many there were."""
    await channel.consume(name, "tag")
    for count in range(most):
        if count and await gone(channel, name):
            return count, channel
        delivery = await channel.next(Delivery)
        channel = await give_back(channel, name, delivery, how)
    return most, channel


async def gone(channel: ChannelDriver, name: str) -> bool:
    """Tell whether a message was dead-lettered instead of being delivered again."""

    async def look() -> str:
        if channel.inbox:
            return "delivered"
        return "dead" if await channel.count(f"{name}-dead") else ""

    return str(await eventually(look)) == "dead"


@pytest.mark.parametrize("limit", [0, 1, 3])
@pytest.mark.parametrize("how", RETURNS)
async def test_above_the_limit_a_message_is_dead_lettered(
    channel: ChannelDriver, name: str, release: str, limit: int, how: str
) -> None:
    await channel.declare(f"{name}-dead")
    arguments: FieldTable = {
        "x-delivery-limit": limit,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
    }
    await declare_kind(channel, name, "quorum", arguments)
    await fill(channel, name, b"1")
    expected = limit + 1
    if release == "4.3" and how not in FAILURES:
        expected = 6  # as often as is tried
    count, channel = await deliveries_until_gone(channel, name, how, 6)
    assert count == expected
    if expected == 6:
        return
    letter = await get_soon(channel, f"{name}-dead")
    assert letter.properties.headers["x-first-death-reason"] == "delivery_limit"


async def test_without_dead_letters_it_is_dropped(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "quorum", {"x-delivery-limit": 1})
    await fill(channel, name, b"1", b"2")
    await channel.qos(1)
    await channel.consume(name)
    bodies = []
    for _ in range(4):
        delivery = await channel.next(Delivery)
        bodies.append(delivery.body)
        channel.reject(delivery.delivery_tag)
    assert bodies == [b"1", b"1", b"2", b"2"]
    await quiet(channel)
    await has_count(channel, name, 0)


async def test_the_default_limit(channel: ChannelDriver, name: str, release: str) -> None:
    await channel.declare(f"{name}-dead")
    arguments: FieldTable = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
    }
    await declare_kind(channel, name, "quorum", arguments)
    await fill(channel, name, b"1")
    most = 30
    expected = {"3.10": most, "4.0": 21, "4.3": 21}[release]
    count, _ = await deliveries_until_gone(channel, name, "reject", most)
    assert count == expected


@pytest.mark.parametrize("limit", [-1, "many", 1.5])
async def test_a_limit_is_not_checked_when_declared(
    channel: ChannelDriver, name: str, limit: Any
) -> None:
    await declare_kind(channel, name, "quorum", {"x-delivery-limit": limit})


async def test_minus_one_means_no_limit_or_none_at_all(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await declare_kind(channel, name, "quorum", {"x-delivery-limit": -1})
    await fill(channel, name, b"1")
    await channel.consume(name)
    if release == "3.10":
        channel.reject((await channel.next(Delivery)).delivery_tag)
        await quiet(channel)
        return
    for _ in range(25):
        delivery = await channel.next(Delivery)
        channel.reject(delivery.delivery_tag)
    assert (await channel.next(Delivery)).redelivered
