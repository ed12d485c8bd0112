"""Streams as queues: what may be declared, and which operations they lack."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.driver import Peer
from parity.queues import declare_kind
from parity.streams import reader, stream_of_five

STREAM: FieldTable = {"x-queue-type": "stream"}
CRASH = ("connection", 541, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    "flags, property_name",
    [
        ({"durable": False}, "non-durable"),
        ({"durable": True, "exclusive": True}, "exclusive-owner"),
        ({"durable": True, "auto_delete": True}, "auto-delete"),
    ],
    ids=str,
)
async def test_it_is_durable_and_shared(
    channel: ChannelDriver, name: str, flags: dict[str, bool], property_name: str
) -> None:
    assert await refusal(channel.declare(name, **flags, arguments=STREAM)) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid property '{property_name}' for queue '{name}'"
            " in vhost '/'"
        ),
    )


async def test_it_has_a_name(channel: ChannelDriver) -> None:
    assert await refusal(channel.declare("", durable=True, arguments=STREAM)) == (
        "channel",
        406,
        "PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_stream_queue",
    )


@pytest.mark.parametrize(
    "argument, value",
    [
        ("x-message-ttl", 100),
        ("x-expires", 1000),
        ("x-max-length", 10),
        ("x-overflow", "drop-head"),
        ("x-dead-letter-exchange", "a"),
        ("x-max-priority", 2),
        ("x-single-active-consumer", True),
        ("x-delivery-limit", 3),
    ],
)
async def test_arguments_of_other_queues_are_refused(
    channel: ChannelDriver, name: str, argument: str, value: Any
) -> None:
    assert await refusal(declare_kind(channel, name, "stream", {argument: value})) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/'"
            " of queue type rabbit_stream_queue"
        ),
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-max-age": "1h"},
        {"x-max-age": "7D"},
        {"x-max-length-bytes": 100_000},
        {"x-stream-max-segment-size-bytes": 1000},
        {"x-stream-filter-size-bytes": 16},
        {"x-stream-filter-size-bytes": 255},
        {"x-initial-cluster-size": 1},
        {"x-queue-leader-locator": "client-local"},
        {"unknown": 1},
        {},
    ],
    ids=str,
)
async def test_arguments_that_are_taken(
    channel: ChannelDriver, name: str, arguments: FieldTable
) -> None:
    for _ in range(2):
        await declare_kind(channel, name, "stream", arguments)


WRONG = "PRECONDITION_FAILED - invalid arg '{}' for queue '{}' in vhost '/': {}"


@pytest.mark.parametrize(
    "argument, value, why",
    [
        ("x-max-age", "10", "invalid_max_age"),
        ("x-max-age", 5, "{unacceptable_type,byte}"),
        ("x-max-length-bytes", -1, "{value_negative,-1}"),
        ("x-max-length-bytes", "a", '"expected integer, got longstr"'),
        ("x-stream-max-segment-size-bytes", "a", '"expected integer, got longstr"'),
    ],
)
async def test_arguments_of_a_wrong_kind_are_refused(
    channel: ChannelDriver, name: str, argument: str, value: Any, why: str
) -> None:
    assert await refusal(declare_kind(channel, name, "stream", {argument: value})) == (
        "channel",
        406,
        WRONG.format(argument, name, why),
    )


async def test_an_age_without_a_number_is_refused_or_crashes(
    peer: Peer, name: str, release: str
) -> None:
    channel = await peer.channel()
    refused = ("channel", 406, WRONG.format("x-max-age", name, "invalid_max_age"))
    expected = refused if release == "4.3" else CRASH
    assert await refusal(declare_kind(channel, name, "stream", {"x-max-age": "old"})) == expected


FILTER_SIZE = {
    "4.0": "PRECONDITION_FAILED - Invalid value for  x-stream-filter-size-bytes",
    "4.3": "PRECONDITION_FAILED - Invalid value for x-stream-filter-size-bytes",
}


@pytest.mark.parametrize("size", [15, 256])
async def test_a_filter_has_16_to_255_bytes(
    channel: ChannelDriver, name: str, release: str, size: int
) -> None:
    arguments: FieldTable = {"x-stream-filter-size-bytes": size}
    if release not in FILTER_SIZE:
        await declare_kind(channel, name, "stream", arguments)
        return
    assert await refusal(declare_kind(channel, name, "stream", arguments)) == (
        "channel",
        406,
        FILTER_SIZE[release],
    )


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_another_type_is_another_queue(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, "stream")
    assert await refusal(declare_kind(channel, name, kind)) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{name}' in vhost '/':"
            f" received '{kind}' but current is 'stream'"
        ),
    )


async def test_another_age_is_another_stream(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await declare_kind(channel, name, "stream")
    shown = "3600000" if release == "4.3" else "1h"
    assert await refusal(declare_kind(channel, name, "stream", {"x-max-age": "1h"})) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - inequivalent arg 'x-max-age' for queue '{name}' in vhost '/':"
            f" received the value '{shown}' of type 'longstr' but current is none"
        ),
    )


# --- operations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, operation, blamed",
    [("purge", "queue.purge", (50, 30)), ("get", "basic.get", (60, 70))],
)
async def test_it_is_not_read_or_emptied_like_a_queue(
    peer: Peer, name: str, method: str, operation: str, blamed: tuple[int, int]
) -> None:
    channel = await peer.channel()
    await stream_of_five(channel, name)
    assert await refusal(getattr(channel, method)(name)) == (
        "connection",
        540,
        (
            f"NOT_IMPLEMENTED - {operation} not supported by stream queues queue '{name}'"
            " in vhost '/'"
        ),
    )
    assert peer.closed is not None
    assert peer.closed.blamed == blamed


@pytest.mark.parametrize("condition", ["if_empty", "if_unused"])
async def test_it_is_deleted_whatever_the_condition(
    channel: ChannelDriver, name: str, condition: str
) -> None:
    await stream_of_five(channel, name)
    await reader(channel.peer, name)
    assert await channel.delete(name, **{condition: True}) == 0
    missing = f"NOT_FOUND - no queue '{name}' in vhost '/'"
    assert await refusal(channel.declare(name, passive=True)) == ("channel", 404, missing)


async def test_a_consumer_has_no_priority(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    await channel.qos(1)
    assert await refusal(channel.consume(name, arguments={"x-priority": 1})) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{name}' in vhost '/'"
            " of queue type rabbit_stream_queue"
        ),
    )


async def test_delete_cancels_its_readers(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    reading = await reader(channel.peer, name, "next")
    assert await channel.delete(name) == 0
    assert await reading.until_cancelled() == "reader"


async def test_a_new_stream_of_the_same_name_is_empty(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    await channel.delete(name)
    await stream_of_five(channel, name)
    reading = await reader(channel.peer, name, 4)
    headers = (await reading.any()).properties.headers
    assert headers["x-stream-offset"] == 4
