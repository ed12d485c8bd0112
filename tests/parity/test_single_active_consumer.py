"""One consumer at a time gets everything; the next one takes over when it leaves."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.driver import Peer
from parity.queues import both_kinds, declare_kind, fill, quiet

SINGLE: FieldTable = {"x-single-active-consumer": True}


async def tags(channel: ChannelDriver, count: int) -> list[str]:
    """Return the consumers of the next deliveries."""
    return [each.consumer_tag for each in await channel.collect(Delivery, count)]


@both_kinds
async def test_the_first_consumer_gets_everything(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    for tag in "abc":
        await channel.consume(name, tag, no_ack=True)
    await fill(channel, name, b"1", b"2", b"3")
    assert await tags(channel, 3) == ["a"] * 3


@both_kinds
async def test_a_full_one_keeps_the_others_waiting(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    await channel.qos(1)
    await channel.consume(name, "a")
    await channel.consume(name, "b")
    await fill(channel, name, b"1", b"2")
    assert await tags(channel, 1) == ["a"]
    await quiet(channel)


@both_kinds
async def test_the_next_takes_over_in_the_order_of_arrival(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    for tag in "abc":
        await channel.consume(name, tag, no_ack=True)
    for tag in "abc":
        await fill(channel, name, b"1")
        assert await tags(channel, 1) == [tag]
        await channel.cancel(tag)


@both_kinds
@pytest.mark.parametrize("how", ["channel", "connection", "cut"])
async def test_it_takes_over_when_the_first_one_is_gone(
    peer: Peer, second_peer: Peer, name: str, kind: str, how: str
) -> None:
    first, second = await peer.channel(), await second_peer.channel()
    await declare_kind(first, name, kind, SINGLE)
    await first.consume(name)
    await second.consume(name, "next")
    await fill(second, name, b"1")
    await first.next(Delivery)
    if how == "channel":
        await first.close()
    elif how == "connection":
        await peer.close()
    else:
        peer.abort()
    delivery = await second.next(Delivery)
    assert (delivery.body, delivery.redelivered) == (b"1", True)


@both_kinds
async def test_a_cancelled_one_settles_before_the_next_gets_what_it_holds(
    channel: ChannelDriver, name: str, release: str, kind: str
) -> None:
    if (release, kind) == ("3.10", "classic"):
        pytest.skip("RabbitMQ 3.10.8 loses the queue here: its process crashes")
    other = await channel.peer.channel()
    await declare_kind(channel, name, kind, SINGLE)
    await channel.qos(1)
    await channel.consume(name, "a")
    await other.consume(name, "b")
    await fill(channel, name, b"1", b"2")
    held = await channel.next(Delivery)
    await channel.cancel("a")
    following = await other.next(Delivery)
    assert (held.body, following.body) == (b"1", b"2")
    channel.nack(held.delivery_tag)
    assert (await other.next(Delivery)).body == b"1"


@pytest.mark.parametrize(
    "kind, winners",
    [
        ("classic", {"3.10": "low", "4.0": "low", "4.3": "low"}),
        ("quorum", {"3.10": "low", "4.0": "high", "4.3": "high"}),
    ],
)
async def test_a_higher_priority_takes_over_or_not(
    channel: ChannelDriver, name: str, release: str, kind: str, winners: dict[str, str]
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    await channel.consume(name, "low", no_ack=True)
    await channel.consume(name, "high", no_ack=True, arguments={"x-priority": 5})
    await fill(channel, name, b"1")
    assert await tags(channel, 1) == [winners[release]]


@pytest.mark.parametrize(
    "kind, winners",
    [
        ("classic", {"3.10": "high", "4.0": "high", "4.3": "high"}),
        ("quorum", {"3.10": "low", "4.0": "high", "4.3": "high"}),
    ],
)
async def test_the_highest_of_those_waiting_takes_over(
    channel: ChannelDriver, name: str, release: str, kind: str, winners: dict[str, str]
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    await channel.consume(name, "first", no_ack=True, arguments={"x-priority": 9})
    await channel.consume(name, "low", no_ack=True)
    await channel.consume(name, "high", no_ack=True, arguments={"x-priority": 5})
    await channel.cancel("first")
    await fill(channel, name, b"1")
    assert await tags(channel, 1) == [winners[release]]


@both_kinds
async def test_messages_can_be_got_all_the_same(
    channel: ChannelDriver, name: str, kind: str, release: str
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    await fill(channel, name, b"1")
    if kind == "quorum":
        assert await refusal(channel.get(name)) == (
            "channel",
            405,
            "RESOURCE_LOCKED - cannot obtain access to locked queue '{}' in vhost '/'."
            " basic.get operations are not supported by {} queues with single active"
            " consumer".format(name, '<<"quorum">>' if release == "4.3" else "quorum"),
        )
        return
    message = await channel.get(name)
    assert message is not None


@both_kinds
async def test_an_exclusive_consumer_is_refused(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, SINGLE)
    if kind == "quorum":
        await channel.consume(name, exclusive=True)
        return
    assert await refusal(channel.consume(name, exclusive=True)) == (
        "channel",
        403,
        f"ACCESS_REFUSED - queue '{name}' in vhost '/' in exclusive use",
    )


@both_kinds
@pytest.mark.parametrize("value, why", [("yes", "longstr"), (1, "byte")])
async def test_the_argument_is_a_boolean(
    channel: ChannelDriver, name: str, kind: str, value: Any, why: str
) -> None:
    arguments: FieldTable = {"x-single-active-consumer": value}
    assert await refusal(declare_kind(channel, name, kind, arguments)) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-single-active-consumer' for queue '{name}'"
            f" in vhost '/': {{unacceptable_type,{why}}}"
        ),
    )


@both_kinds
async def test_false_is_as_if_it_were_not_there(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, {"x-single-active-consumer": False})
    await channel.consume(name, "a", no_ack=True)
    await channel.consume(name, "b", no_ack=True)
    await fill(channel, name, b"1", b"2")
    assert sorted(await tags(channel, 2)) == ["a", "b"]
