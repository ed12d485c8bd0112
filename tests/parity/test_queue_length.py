"""Full queues: what is dropped, what is refused, and what publishers are told."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery, Properties
from hopmq.wire.properties import encode_properties
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.queues import both_kinds, declare_kind, drain_soon, fill, get_soon

FOUR = [b"aa", b"bb", b"cc", b"dd"]


async def full(
    channel: ChannelDriver, name: str, kind: str, arguments: FieldTable
) -> tuple[str, str]:
    """Publish four messages to a queue with a limit; return the outcomes and the dead queue."""
    dead = f"{name}-dead"
    await channel.declare(dead)
    await declare_kind(
        channel,
        name,
        kind,
        {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead, **arguments},
    )
    return await fill(channel, name, *FOUR), dead


# --- drop-head ---------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("overflow", [None, "drop-head"])
@pytest.mark.parametrize("limit", [0, 1, 2, 4])
async def test_the_oldest_are_dropped_and_all_are_confirmed(
    channel: ChannelDriver, name: str, kind: str, overflow: str | None, limit: int
) -> None:
    arguments: FieldTable = {"x-max-length": limit}
    if overflow:
        arguments["x-overflow"] = overflow
    outcomes, dead = await full(channel, name, kind, arguments)
    assert outcomes == "aaaa"
    assert await drain_soon(channel, name, limit) == FOUR[4 - limit :]
    assert await drain_soon(channel, dead, 4 - limit) == FOUR[: 4 - limit]


async def test_a_limit_of_bytes_counts_bodies(channel: ChannelDriver, name: str) -> None:
    outcomes, dead = await full(channel, name, "classic", {"x-max-length-bytes": 5})
    assert outcomes == "aaaa"
    assert await channel.drain(name) == FOUR[2:]
    assert await drain_soon(channel, dead, 2) == FOUR[:2]


async def test_a_message_above_the_limit_of_bytes_is_dropped(
    channel: ChannelDriver, name: str
) -> None:
    await declare_kind(channel, name, "classic", {"x-max-length-bytes": 5})
    assert await fill(channel, name, b"1", b"x" * 6) == "aa"
    assert await channel.count(name) == 0


async def test_unsettled_messages_do_not_count(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "classic", {"x-max-length": 1})
    await channel.consume(name)
    assert await fill(channel, name, *FOUR) == "aaaa"
    await channel.collect(Delivery, 4)


async def test_what_is_requeued_to_a_full_queue_is_dropped_as_the_oldest(
    channel: ChannelDriver, name: str
) -> None:
    await declare_kind(channel, name, "classic", {"x-max-length": 1})
    await fill(channel, name, b"old")
    message = await channel.get(name, no_ack=False)
    assert message is not None
    await fill(channel, name, b"new")
    channel.nack(message.delivery_tag)
    assert await channel.drain(name) == [b"new"]


async def test_a_consumer_that_waits_is_served_from_a_queue_of_length_zero(
    channel: ChannelDriver, name: str
) -> None:
    await declare_kind(channel, name, "classic", {"x-max-length": 0})
    await channel.consume(name, no_ack=True)
    await fill(channel, name, b"taken")
    assert (await channel.next(Delivery)).body == b"taken"


async def test_the_tighter_of_both_limits_holds(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "classic", {"x-max-length": 3, "x-max-length-bytes": 4})
    await fill(channel, name, *FOUR)
    assert await channel.drain(name) == FOUR[2:]


# --- reject-publish ----------------------------------------------------------------------------


@pytest.mark.parametrize("limit, outcomes", [(0, "nnnn"), (1, "annn"), (2, "aann")])
async def test_a_classic_queue_refuses_when_full(
    channel: ChannelDriver, name: str, limit: int, outcomes: str
) -> None:
    arguments: FieldTable = {"x-max-length": limit, "x-overflow": "reject-publish"}
    told, dead = await full(channel, name, "classic", arguments)
    assert told == outcomes
    assert await channel.drain(name) == FOUR[:limit]
    assert await channel.drain(dead) == []


@pytest.mark.parametrize("limit, outcomes", [(0, "annn"), (1, "aann"), (2, "aaan")])
async def test_a_quorum_queue_refuses_one_message_later(
    channel: ChannelDriver, name: str, limit: int, outcomes: str
) -> None:
    arguments: FieldTable = {"x-max-length": limit, "x-overflow": "reject-publish"}
    told, dead = await full(channel, name, "quorum", arguments)
    assert told == outcomes
    assert await drain_soon(channel, name, limit + 1) == FOUR[: limit + 1]
    assert await channel.drain(dead) == []


@pytest.mark.parametrize("limit, outcomes", [(3, "annn"), (4, "aann"), (5, "aann")])
async def test_a_classic_queue_refuses_by_bytes(
    channel: ChannelDriver, name: str, limit: int, outcomes: str
) -> None:
    arguments: FieldTable = {"x-max-length-bytes": limit, "x-overflow": "reject-publish"}
    told, _ = await full(channel, name, "classic", arguments)
    assert told == outcomes


async def test_it_takes_messages_again_once_there_is_room(
    channel: ChannelDriver, name: str
) -> None:
    arguments: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await declare_kind(channel, name, "classic", arguments)
    assert await fill(channel, name, b"1", b"2") == "an"
    await channel.drain(name)
    assert await fill(channel, name, b"3") == "a"


async def test_one_queue_of_two_that_refuses_makes_a_nack(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "fanout")
    await declare_kind(
        channel, f"{name}-full", "classic", {"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    await channel.declare(f"{name}-free")
    for queue in ("full", "free"):
        await channel.bind(f"{name}-{queue}", name)
    assert await fill(channel, "", b"1", b"2", exchange=name) == "an"
    assert await channel.drain(f"{name}-free") == [b"1", b"2"]


# --- reject-publish-dlx ------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 2])
async def test_a_classic_queue_refuses_and_dead_letters(
    channel: ChannelDriver, name: str, limit: int
) -> None:
    arguments: FieldTable = {"x-max-length": limit, "x-overflow": "reject-publish-dlx"}
    told, dead = await full(channel, name, "classic", arguments)
    assert told == "a" * limit + "n" * (4 - limit)
    assert await channel.drain(name) == FOUR[:limit]
    message = await get_soon(channel, dead)
    assert message.body == FOUR[limit]
    assert message.properties.headers["x-first-death-reason"] == "maxlen"
    assert await drain_soon(channel, dead, 3 - limit) == FOUR[limit + 1 :]


async def test_a_quorum_queue_takes_it_for_drop_head(channel: ChannelDriver, name: str) -> None:
    arguments: FieldTable = {"x-max-length": 2, "x-overflow": "reject-publish-dlx"}
    told, dead = await full(channel, name, "quorum", arguments)
    assert told == "aaaa"
    assert await drain_soon(channel, name, 2) == FOUR[2:]
    assert await drain_soon(channel, dead, 2) == FOUR[:2]


@both_kinds
@pytest.mark.parametrize(
    "overflow, why",
    [
        ("drop", "invalid_overflow"),
        ("", "invalid_overflow"),
        (1, "{unacceptable_type,byte}"),
    ],
)
async def test_other_overflows_are_refused(
    channel: ChannelDriver, name: str, kind: str, overflow: str | int, why: str
) -> None:
    assert await refusal(declare_kind(channel, name, kind, {"x-overflow": overflow})) == (
        "channel",
        406,
        f"PRECONDITION_FAILED - invalid arg 'x-overflow' for queue '{name}' in vhost '/': {why}",
    )


@pytest.mark.parametrize(
    "properties",
    [{}, {"delivery_mode": 2}, {"headers": {"k": "v"}}, {"message_id": "m" * 100}],
    ids=str,
)
@pytest.mark.parametrize("enough", [False, True])
async def test_a_quorum_queue_of_4_3_counts_properties_too(
    channel: ChannelDriver, name: str, release: str, properties: dict[str, Any], enough: bool
) -> None:
    encoded = len(encode_properties(Properties(**properties))) if release == "4.3" else 0
    size = len(b"body") + encoded - (not enough)
    await declare_kind(channel, name, "quorum", {"x-max-length-bytes": size})
    await fill(channel, name, b"body", **properties)
    assert await drain_soon(channel, name, enough) == [b"body"] * enough
