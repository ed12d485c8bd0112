"""Where dead letters go, and which of them go nowhere."""

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.queues import (
    SHORT,
    both_kinds,
    declare_kind,
    drain_soon,
    fill,
    get_soon,
    has_count,
)
from parity.waiting import eventually, pass_time


async def reject_all(channel: ChannelDriver, name: str, count: int) -> None:
    """Reject so many messages."""
    for _ in range(count):
        message = await get_soon(channel, name, no_ack=False)
        channel.reject(message.delivery_tag, requeue=False)


# --- which messages ----------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("how", ["reject", "nack", "nack-multiple"])
async def test_dropped_messages_are_dead_lettered_in_order(
    channel: ChannelDriver, name: str, kind: str, how: str
) -> None:
    await channel.declare(f"{name}-dead")
    arguments: FieldTable = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
    }
    await declare_kind(channel, name, kind, arguments)
    await fill(channel, name, b"1", b"2", b"3")
    await channel.consume(name)
    for each in await channel.collect(Delivery, 3):
        if how == "reject":
            channel.reject(each.delivery_tag, requeue=False)
        elif how == "nack":
            channel.nack(each.delivery_tag, requeue=False)
    if how == "nack-multiple":
        channel.nack(3, multiple=True, requeue=False)
    assert await drain_soon(channel, f"{name}-dead", 3) == [b"1", b"2", b"3"]


@both_kinds
@pytest.mark.parametrize("how", ["purge", "delete", "ack"])
async def test_purged_deleted_and_acked_messages_are_not(
    channel: ChannelDriver, name: str, kind: str, how: str
) -> None:
    await channel.declare(f"{name}-dead")
    arguments: FieldTable = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{name}-dead",
    }
    await declare_kind(channel, name, kind, arguments)
    await fill(channel, name, b"1")
    if how == "purge":
        await channel.purge(name)
    elif how == "delete":
        await channel.delete(name)
    else:
        message = await channel.get(name, no_ack=False)
        assert message is not None
        channel.ack(message.delivery_tag)
    await pass_time(SHORT)
    assert await channel.count(f"{name}-dead") == 0


# --- where to ----------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("override", [None, "new"])
async def test_the_key_is_the_messages_own_unless_the_queue_says_another(
    channel: ChannelDriver, name: str, kind: str, override: str | None
) -> None:
    await channel.exchange(name, "topic")
    await channel.declare(f"{name}-dead")
    await channel.bind(f"{name}-dead", name, "#")
    arguments: FieldTable = {"x-dead-letter-exchange": name}
    if override:
        arguments["x-dead-letter-routing-key"] = override
    await declare_kind(channel, f"{name}-from", kind, arguments)
    await channel.bind(f"{name}-from", "amq.topic", f"{name}.#")
    await fill(channel, f"{name}.a", b"1", exchange="amq.topic")
    await reject_all(channel, f"{name}-from", 1)
    letter = await get_soon(channel, f"{name}-dead")
    assert (letter.exchange, letter.routing_key) == (name, override or f"{name}.a")
    assert letter.properties.headers["x-first-death-exchange"] == "amq.topic"


@both_kinds
async def test_an_exchange_that_is_missing_loses_the_letter(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind, {"x-dead-letter-exchange": f"{name}-none"})
    await fill(channel, name, b"1", b"2")
    await reject_all(channel, name, 2)
    await has_count(channel, name, 0)
    # A quorum queue counts a message out before it sends the letter: what it confirms now, it does
    # behind that.
    await fill(channel, name, b"3")
    await channel.exchange(f"{name}-none", "fanout")
    await channel.declare(f"{name}-dead")
    await channel.bind(f"{name}-dead", f"{name}-none")
    await reject_all(channel, name, 1)
    assert await drain_soon(channel, f"{name}-dead", 1) == [b"3"]


@both_kinds
async def test_an_exchange_without_route_loses_the_letter(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await channel.exchange(f"{name}-empty", "fanout")
    await declare_kind(channel, name, kind, {"x-dead-letter-exchange": f"{name}-empty"})
    await fill(channel, name, b"1")
    await reject_all(channel, name, 1)
    await has_count(channel, name, 0)


async def test_an_alternate_exchange_takes_it(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(f"{name}-other", "fanout")
    await channel.declare(f"{name}-dead")
    await channel.bind(f"{name}-dead", f"{name}-other")
    await channel.exchange(
        f"{name}-empty", "direct", arguments={"alternate-exchange": f"{name}-other"}
    )
    await channel.declare(name, arguments={"x-dead-letter-exchange": f"{name}-empty"})
    await fill(channel, name, b"1")
    await reject_all(channel, name, 1)
    assert await drain_soon(channel, f"{name}-dead", 1) == [b"1"]


async def test_one_letter_goes_to_every_queue_that_is_bound(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "fanout")
    for each in "ab":
        await channel.declare(f"{name}-{each}")
        await channel.bind(f"{name}-{each}", name)
    await channel.declare(f"{name}-from", arguments={"x-dead-letter-exchange": name})
    await fill(channel, f"{name}-from", b"1")
    await reject_all(channel, f"{name}-from", 1)
    for each in "ab":
        assert await drain_soon(channel, f"{name}-{each}", 1) == [b"1"]


# --- in a circle -------------------------------------------------------------------------------


async def circle(channel: ChannelDriver, name: str, kind: str, arguments: FieldTable) -> None:
    """Declare two queues that dead-letter to each other."""
    for queue, other in ((f"{name}-1", f"{name}-2"), (f"{name}-2", f"{name}-1")):
        await declare_kind(
            channel,
            queue,
            kind,
            {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": other, **arguments},
        )


async def stay_empty(channel: ChannelDriver, *queues: str) -> None:
    """Wait until queues are found empty ten times in a row."""

    async def look() -> bool:
        for _ in range(10):
            await pass_time(SHORT / 5)
            if any([await channel.count(queue) for queue in queues]):
                return False
        return True

    await eventually(look)


@both_kinds
async def test_a_circle_without_a_reject_ends(channel: ChannelDriver, name: str, kind: str) -> None:
    await circle(channel, name, kind, {"x-message-ttl": 10})
    await fill(channel, f"{name}-1", b"1")
    await stay_empty(channel, f"{name}-1", f"{name}-2")


@both_kinds
async def test_a_queue_that_dead_letters_to_itself_by_expiry_loses_the_message(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(
        channel,
        name,
        kind,
        {"x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name},
    )
    await fill(channel, name, b"1")
    await stay_empty(channel, name)


@both_kinds
async def test_a_circle_with_a_reject_goes_on(channel: ChannelDriver, name: str, kind: str) -> None:
    await circle(channel, name, kind, {})
    await fill(channel, f"{name}-1", b"1")
    for each in "1212":
        await reject_all(channel, f"{name}-{each}", 1)
    assert await drain_soon(channel, f"{name}-1", 1) == [b"1"]


@both_kinds
async def test_waiting_and_coming_back_is_no_endless_circle_after_a_reject(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    wait = f"{name}-wait"
    back: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": name}
    await declare_kind(channel, wait, kind, {"x-message-ttl": 10, **back})
    away: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait}
    await declare_kind(channel, name, kind, away)
    await fill(channel, name, b"1")
    for turn in range(3):
        message = await get_soon(channel, name, no_ack=False)
        headers = message.properties.headers or {}
        deaths = {each["reason"]: each["count"] for each in headers.get("x-death", [])}
        assert deaths == ({"rejected": turn, "expired": turn} if turn else {})
        channel.reject(message.delivery_tag, requeue=False)


# --- arguments ---------------------------------------------------------------------------------


async def test_a_key_without_an_exchange_is_refused(channel: ChannelDriver, name: str) -> None:
    arguments: FieldTable = {"x-dead-letter-routing-key": "key"}
    assert await refusal(channel.declare(name, arguments=arguments)) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '{name}'"
            " in vhost '/': routing_key_but_no_dlx_defined"
        ),
    )


@pytest.mark.parametrize(
    "argument, text",
    [
        (
            "x-dead-letter-exchange",
            "invalid type 'byte' for arg 'x-dead-letter-exchange' in queue '{}' in vhost '/'",
        ),
        (
            "x-dead-letter-routing-key",
            (
                "invalid arg 'x-dead-letter-routing-key' for queue '{}' in vhost '/':"
                " {{unacceptable_type,byte}}"
            ),
        ),
    ],
)
async def test_they_are_strings(
    channel: ChannelDriver, name: str, argument: str, text: str
) -> None:
    arguments: FieldTable = {"x-dead-letter-exchange": "", argument: 5}
    assert await refusal(channel.declare(name, arguments=arguments)) == (
        "channel",
        406,
        f"PRECONDITION_FAILED - {text.format(name)}",
    )


# --- at least once -----------------------------------------------------------------------------

AT_LEAST_ONCE: FieldTable = {
    "x-dead-letter-exchange": "",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


@pytest.mark.parametrize("reason", ["rejected", "expired", "delivery_limit"])
async def test_a_quorum_queue_dead_letters_at_least_once(
    channel: ChannelDriver, name: str, reason: str
) -> None:
    await channel.declare(f"{name}-dead", durable=True)
    arguments: FieldTable = {**AT_LEAST_ONCE, "x-dead-letter-routing-key": f"{name}-dead"}
    if reason == "delivery_limit":
        arguments["x-delivery-limit"] = 0
    await declare_kind(channel, name, "quorum", arguments)
    await fill(channel, name, b"1", expiration="5" if reason == "expired" else None)
    if reason != "expired":
        message = await get_soon(channel, name, no_ack=False)
        channel.reject(message.delivery_tag, requeue=reason == "delivery_limit")
    letter = await get_soon(channel, f"{name}-dead")
    assert letter.body == b"1"
    assert letter.properties.headers["x-death"][0]["reason"] == reason


async def test_at_least_once_keeps_what_has_no_route_yet(channel: ChannelDriver, name: str) -> None:
    arguments: FieldTable = {**AT_LEAST_ONCE, "x-dead-letter-routing-key": f"{name}-dead"}
    await declare_kind(channel, name, "quorum", arguments)
    await fill(channel, name, b"1")
    message = await get_soon(channel, name, no_ack=False)
    channel.reject(message.delivery_tag, requeue=False)
    await pass_time(SHORT)
    assert await channel.get(name) is None


@pytest.mark.parametrize("strategy", ["at-most-once", "bogus"])
async def test_strategies(channel: ChannelDriver, name: str, strategy: str) -> None:
    arguments: FieldTable = {"x-dead-letter-strategy": strategy}
    if strategy == "bogus":
        assert await refusal(declare_kind(channel, name, "quorum", arguments)) == (
            "channel",
            406,
            (
                f"PRECONDITION_FAILED - invalid arg 'x-dead-letter-strategy' for queue '{name}'"
                " in vhost '/': invalid_dlx_strategy"
            ),
        )
        return
    await declare_kind(channel, name, "quorum", arguments)
