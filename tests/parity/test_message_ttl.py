"""Messages expire: by the queue's limit, by their own, and only where they stand."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery, Properties
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer
from parity.queues import SHORT, both_kinds, declare_kind, drain_soon, fill, get_soon, has_count
from parity.waiting import pass_time

TTL = 100
"""Milliseconds until a message of these tests expires."""


@both_kinds
async def test_the_queues_limit_expires_messages(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, {"x-message-ttl": TTL})
    await fill(channel, name, b"1", b"2", b"3")
    await has_count(channel, name, 0)


@both_kinds
async def test_a_messages_own_limit_expires_it(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1", expiration=str(TTL))
    await has_count(channel, name, 0)


@both_kinds
@pytest.mark.parametrize("queue_ttl, expiration", [(TTL, "60000"), (60_000, str(TTL))])
async def test_the_lower_of_both_limits_holds(
    channel: ChannelDriver, name: str, kind: str, queue_ttl: int, expiration: str
) -> None:
    await declare_kind(channel, name, kind, {"x-message-ttl": queue_ttl})
    await fill(channel, name, b"1", expiration=expiration)
    await has_count(channel, name, 0)


@both_kinds
async def test_a_limit_far_away_expires_nothing(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, {"x-message-ttl": 60_000})
    await fill(channel, name, b"1", expiration="50000")
    await pass_time(SHORT)
    assert await channel.drain(name) == [b"1"]


@both_kinds
async def test_the_head_is_what_expires(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"forever")
    await fill(channel, name, b"short", expiration=str(TTL))
    await pass_time(TTL / 1000 + SHORT)
    assert await channel.count(name) == 2
    message = await channel.get(name)
    assert message is not None
    assert message.body == b"forever"
    await has_count(channel, name, 0)


HAS_HEADS = {"4.3"}
"""Releases whose quorum queues have a head for each priority, and one for what came back."""


@pytest.mark.parametrize("first, second", [(9, 0), (9, 5), (0, 9), (5, 6)])
async def test_a_quorum_queue_may_have_a_head_for_each_priority(
    channel: ChannelDriver, name: str, release: str, first: int, second: int
) -> None:
    await declare_kind(channel, name, "quorum")
    await fill(channel, name, b"forever", priority=first)
    await fill(channel, name, b"short", priority=second, expiration=str(TTL))
    await pass_time(TTL / 1000 + SHORT)
    goes_before = release == "4.0" and first <= 4 < second
    await has_count(channel, name, 1 if release in HAS_HEADS or goes_before else 2)


async def test_a_quorum_queue_may_have_a_head_for_what_came_back(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await declare_kind(channel, name, "quorum", {"x-delivery-limit": 10})
    await fill(channel, name, b"forever")
    message = await get_soon(channel, name, no_ack=False)
    channel.reject(message.delivery_tag)
    await has_count(channel, name, 1)
    await fill(channel, name, b"short", expiration=str(TTL))
    await pass_time(TTL / 1000 + SHORT)
    await has_count(channel, name, 1 if release in HAS_HEADS else 2)


@both_kinds
async def test_what_expired_behind_the_head_is_never_delivered(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1")
    await fill(channel, name, b"expired", expiration="1")
    await fill(channel, name, b"3")
    await pass_time(SHORT)
    assert await channel.drain(name) == [b"1", b"3"]


@both_kinds
async def test_an_unsettled_message_does_not_expire(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, {"x-message-ttl": TTL})
    await channel.consume(name)
    await fill(channel, name, b"1")
    delivery = await channel.next(Delivery)
    await pass_time(TTL / 1000 + SHORT)
    channel.ack(delivery.delivery_tag)
    await channel.expect_silence(name)


@both_kinds
async def test_a_requeued_message_has_the_age_it_had(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    tag = await channel.consume(name)  # so that it is taken before it can expire
    await fill(channel, name, b"1", expiration=str(TTL))
    delivery = await channel.next(Delivery)
    assert delivery.properties.expiration == str(TTL)
    await channel.cancel(tag)
    await pass_time(TTL / 1000 + 0.01)
    channel.nack(delivery.delivery_tag)
    await has_count(channel, name, 0)
    await pass_time(0.02)
    assert await channel.drain(name) == []


@both_kinds
async def test_a_consumer_sees_the_expiration(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1", expiration="60000")
    await channel.consume(name, no_ack=True)
    assert (await channel.next(Delivery)).properties.expiration == "60000"


# --- zero --------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True])
async def test_zero_delivers_only_to_whoever_waits(
    channel: ChannelDriver, name: str, own: bool
) -> None:
    arguments: FieldTable = {} if own else {"x-message-ttl": 0}
    expiration = "0" if own else None
    await declare_kind(channel, name, "classic", arguments)
    await fill(channel, name, b"lost", expiration=expiration)
    assert await channel.count(name) == 0
    await channel.consume(name, no_ack=True)
    await fill(channel, name, b"taken", expiration=expiration)
    assert (await channel.next(Delivery)).body == b"taken"


async def test_zero_is_lost_when_the_consumer_is_full(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "classic", {"x-message-ttl": 0})
    await channel.qos(1)
    await channel.consume(name)
    await fill(channel, name, b"taken", b"lost")
    delivery = await channel.next(Delivery)
    channel.ack(delivery.delivery_tag)
    await channel.expect_silence(name)


async def test_zero_is_lost_when_requeued_to_nobody(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "classic", {"x-message-ttl": 0})
    tag = await channel.consume(name)
    await fill(channel, name, b"1")
    delivery = await channel.next(Delivery)
    await channel.cancel(tag)
    channel.nack(delivery.delivery_tag)
    await has_count(channel, name, 0)


async def test_in_a_quorum_queue_zero_is_lost_too(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "quorum", {"x-message-ttl": 0})
    await fill(channel, name, b"1", b"2")
    await has_count(channel, name, 0)
    assert await drain_soon(channel, name, 0) == []


# --- what is no limit --------------------------------------------------------------------------

NO_EXPIRATION = "PRECONDITION_FAILED - invalid expiration '{}': {}"


@pytest.mark.parametrize(
    "expiration, why",
    [
        ("a", "no_integer"),
        ("", "no_integer"),
        (" 1", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("1.5", '{leftover_string,".5"}'),
        ("1 ", '{leftover_string," "}'),
        ("10a", '{leftover_string,"a"}'),
        ("99999999999999", "{value_too_large,99999999999999}"),
    ],
)
async def test_an_expiration_is_a_decimal_number(
    channel: ChannelDriver, name: str, expiration: str, why: str
) -> None:
    await channel.declare(name)
    channel.publish(routing_key=name, properties=Properties(expiration=expiration))
    closed = await channel.until_closed()
    assert closed.answer == ("channel", 406, NO_EXPIRATION.format(expiration, why))
    assert closed.blamed == (60, 40)


@pytest.mark.parametrize("expiration", ["0", "1", "+5", "007", "315360000000"])
async def test_expirations_that_are_taken(
    channel: ChannelDriver, name: str, expiration: str
) -> None:
    await channel.declare(name)
    channel.publish(routing_key=name, properties=Properties(expiration=expiration))
    await channel.count(name)


async def test_it_is_checked_even_if_nobody_gets_the_message(
    channel: ChannelDriver, name: str
) -> None:
    channel.publish(routing_key=f"{name}-none", properties=Properties(expiration="x"))
    assert (await channel.until_closed()).code == 406


NUMBERS = ["x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-priority"]


@pytest.mark.parametrize("argument", NUMBERS)
@pytest.mark.parametrize(
    "value, why",
    [
        (-1, "{value_negative,-1}"),
        ("1", '"expected integer, got longstr"'),
        (1.5, '"expected integer, got double"'),
        (True, '"expected integer, got bool"'),
        (None, '"expected integer, got void"'),
    ],
)
async def test_limits_are_whole_numbers(
    channel: ChannelDriver, name: str, argument: str, value: Any, why: str
) -> None:
    with pytest.raises(Closed) as caught:
        await channel.declare(name, arguments={argument: value})
    assert caught.value.answer == (
        "channel",
        406,
        f"PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/': {why}",
    )


@pytest.mark.parametrize(
    "argument, value, why",
    [
        ("x-message-ttl", 315_360_000_001, "{value_too_large,315360000001}"),
        ("x-expires", 315_360_000_001, "{value_too_large,315360000001}"),
        ("x-expires", 0, "{value_zero,0}"),
        ("x-max-priority", 256, "{max_value_exceeded,256}"),
    ],
)
async def test_limits_have_limits(
    channel: ChannelDriver, name: str, argument: str, value: int, why: str
) -> None:
    with pytest.raises(Closed) as caught:
        await channel.declare(name, arguments={argument: value})
    assert caught.value.text.endswith(f": {why}")


@pytest.mark.parametrize(
    "argument, value",
    [
        ("x-message-ttl", 315_360_000_000),
        ("x-message-ttl", 0),
        ("x-expires", 315_360_000_000),
        ("x-max-length", 1 << 40),
        ("x-max-length-bytes", 0),
        ("x-max-priority", 255),
        ("x-max-priority", 0),
    ],
)
async def test_limits_that_are_taken(peer: Peer, name: str, argument: str, value: int) -> None:
    await (await peer.channel()).declare(name, arguments={argument: value})
