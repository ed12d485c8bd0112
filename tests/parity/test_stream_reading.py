"""Streams are read by any number of consumers, from where each of them likes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hopmq.wire import Ack, Delivery
from parity.channel import ChannelDriver
from parity.closed import Closed, refusal
from parity.driver import Peer
from parity.queues import declare_kind, fill, quiet
from parity.streams import FIVE, offsets, reader, stream_of_five
from parity.typed import typed_headers

HOUR = timedelta(hours=1)


def now() -> datetime:
    """Return the present, as exact as AMQP's timestamps are."""
    return datetime.now(UTC).replace(microsecond=0)


# --- from where --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offset, expected",
    [
        ("first", [0, 1, 2, 3, 4]),
        ("last", [4]),
        ("next", []),
        (None, []),
        (0, [0, 1, 2, 3, 4]),
        (3, [3, 4]),
        (5, []),
        (99, []),
        (-1, [0, 1, 2, 3, 4]),
        ("1h", [0, 1, 2, 3, 4]),
        ("10s", [0, 1, 2, 3, 4]),
        ("1Y", [0, 1, 2, 3, 4]),
        ("5D", [0, 1, 2, 3, 4]),
        ("3m", [0, 1, 2, 3, 4]),
        ("3M", [0, 1, 2, 3, 4]),
    ],
    ids=str,
)
async def test_an_offset_is_where_reading_begins(
    channel: ChannelDriver, name: str, offset: Any, expected: list[int]
) -> None:
    await stream_of_five(channel, name)
    reading = await reader(channel.peer, name, offset)
    assert await offsets(reading, len(expected)) == expected
    await quiet(reading)
    await fill(channel, name, b"later")
    if offset != 99:
        assert (await reading.next(Delivery)).body == b"later"


@pytest.mark.parametrize("ago, expected", [(HOUR, [0, 1, 2, 3, 4]), (-HOUR, [])])
async def test_a_time_is_where_reading_begins(
    channel: ChannelDriver, name: str, ago: timedelta, expected: list[int]
) -> None:
    await stream_of_five(channel, name)
    reading = await reader(channel.peer, name, now() - ago)
    assert await offsets(reading, len(expected)) == expected
    await quiet(reading)


INVALID = (
    "channel",
    406,
    (
        "PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '{}' in vhost '/':"
        " {{invalid_stream_offset_arg,{{longstr,<<{}>>}}}}"
    ),
)
CRASH = ("connection", 541, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    "offset, shown, refused_by",
    [
        ("5", '"5"', {"3.10", "4.0", "4.3"}),
        ("bogus", '"bogus"', {"4.3"}),
        ("", "", {"4.3"}),
    ],
)
async def test_what_is_no_offset_is_refused_or_crashes(
    channel: ChannelDriver,
    peer: Peer,
    name: str,
    release: str,
    offset: str,
    shown: str,
    refused_by: set[str],
) -> None:
    await stream_of_five(channel, name)
    scope, code, text = INVALID
    expected = (scope, code, text.format(name, shown)) if release in refused_by else CRASH
    assert await refusal(reader(peer, name, offset)) == expected


@pytest.mark.parametrize("offset", [True, 1.5])
async def test_an_offset_of_a_wrong_type_crashes(
    channel: ChannelDriver, peer: Peer, name: str, offset: Any
) -> None:
    await stream_of_five(channel, name)
    assert await refusal(reader(peer, name, offset)) == CRASH


# --- what comes --------------------------------------------------------------------------------


async def test_the_offset_is_in_the_headers(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "stream")
    await fill(channel, name, b"1", headers={"mine": 1})
    await fill(channel, name, b"2")
    reading = await reader(channel.peer, name)
    first, second = await reading.collect(Delivery, 2)
    assert typed_headers(first) == {"mine": ("b", 1), "x-stream-offset": ("l", 0)}
    assert typed_headers(second) == {"x-stream-offset": ("l", 1)}


async def test_a_message_is_kept_whole(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(f"{name}-x", "fanout")
    await declare_kind(channel, name, "stream")
    await channel.bind(name, f"{name}-x")
    await fill(
        channel,
        "key",
        b"body",
        exchange=f"{name}-x",
        content_type="text/plain",
        content_encoding="gzip",
        delivery_mode=1,
        priority=3,
        correlation_id="c",
        reply_to="r",
        expiration="1",
        message_id="m",
        timestamp=now(),
        type="t",
        user_id="guest",
        app_id="a",
    )
    reading = await reader(channel.peer, name)
    delivery = await reading.next(Delivery)
    properties = delivery.properties
    assert (delivery.exchange, delivery.routing_key) == (f"{name}-x", "key")
    assert (delivery.body, delivery.redelivered, delivery.delivery_tag) == (b"body", False, 1)
    assert (properties.content_type, properties.content_encoding) == ("text/plain", "gzip")
    assert (properties.delivery_mode, properties.priority) == (1, 3)
    assert (properties.correlation_id, properties.reply_to) == ("c", "r")
    assert (properties.expiration, properties.message_id, properties.type) == ("1", "m", "t")
    assert (properties.user_id, properties.app_id) == ("guest", "a")


async def test_readers_do_not_disturb_each_other(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    readers = [await reader(channel.peer, name) for _ in range(3)]
    for each in readers:
        deliveries = await each.collect(Delivery, 5)
        assert [delivery.body for delivery in deliveries] == FIVE
        assert [delivery.delivery_tag for delivery in deliveries] == [1, 2, 3, 4, 5]
        each.ack(5, multiple=True)
    again = await reader(channel.peer, name)
    assert await offsets(again, 5) == [0, 1, 2, 3, 4]


async def test_what_is_written_is_read_at_once(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "stream")
    readers = [await reader(channel.peer, name, "next") for _ in range(2)]
    for offset in range(3):
        await fill(channel, name, b"%d" % offset)
        for each in readers:
            assert await offsets(each, 1) == [offset]


async def test_an_exclusive_reader_is_like_any_other(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    for _ in range(2):
        reading = await channel.peer.channel()
        await reading.qos(10)
        await reading.consume(name, exclusive=True, arguments={"x-stream-offset": "first"})
        assert await offsets(reading, 5) == [0, 1, 2, 3, 4]


# --- prefetch and credit -----------------------------------------------------------------------

NO_PREFETCH = {
    "3.10": "consumer prefetch count is not set for 'queue '{}' in vhost '/''",
    "4.0": "consumer prefetch count is not set for stream queue '{}' in vhost '/'",
    "4.3": "consumer prefetch count is not set for stream queue '{}' in vhost '/'",
}
NO_ACK = {
    "3.10": "automatic acknowledgement not supported by stream queues queue '{}' in vhost '/'",
    "4.0": "automatic acknowledgement not supported by stream queue '{}' in vhost '/'",
    "4.3": "automatic acknowledgement not supported by stream queue '{}' in vhost '/'",
}


@pytest.mark.parametrize("no_ack", [False, True])
async def test_without_prefetch_nothing_is_read(
    channel: ChannelDriver, name: str, release: str, no_ack: bool
) -> None:
    await stream_of_five(channel, name)
    with pytest.raises(Closed) as caught:
        await channel.consume(name, no_ack=no_ack)
    assert caught.value.answer == (
        "channel",
        406,
        f"PRECONDITION_FAILED - {NO_PREFETCH[release].format(name)}",
    )


async def test_deliveries_must_be_acked(
    channel: ChannelDriver, peer: Peer, name: str, release: str
) -> None:
    await stream_of_five(channel, name)
    reading = await peer.channel()
    await reading.qos(10)
    assert await refusal(reading.consume(name, no_ack=True)) == (
        "connection",
        540,
        f"NOT_IMPLEMENTED - {NO_ACK[release].format(name)}",
    )
    assert peer.closed is not None
    assert peer.closed.blamed == (60, 20)


async def test_an_ack_is_credit_for_one_more(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    reading = await reader(channel.peer, name, prefetch=2)
    assert await offsets(reading, 2) == [0, 1]
    await reading.declare(name, passive=True)
    assert not reading.inbox
    reading.ack(1)
    assert await offsets(reading, 1) == [2]
    reading.ack(3, multiple=True)
    assert await offsets(reading, 2) == [3, 4]


@pytest.mark.parametrize("how", ["nack", "nack-drop", "reject", "reject-drop"])
async def test_nack_and_reject_are_credit_too_or_not_implemented(
    channel: ChannelDriver, peer: Peer, name: str, release: str, how: str
) -> None:
    await stream_of_five(channel, name)
    reading = await reader(peer, name, prefetch=1)
    await reading.next(Delivery)
    getattr(reading, how.split("-", maxsplit=1)[0])(1, requeue="drop" not in how)
    if release == "3.10":
        closed = await peer.until_closed()
        assert closed.answer == (
            "connection",
            540,
            (
                "NOT_IMPLEMENTED - basic.nack and basic.reject not supported by stream queues"
                f" queue '{name}' in vhost '/'"
            ),
        )
        return
    delivery = await reading.next(Delivery)
    assert (delivery.body, delivery.redelivered, delivery.delivery_tag) == (b"1", False, 2)


async def test_recover_brings_nothing_again(
    channel: ChannelDriver, peer: Peer, name: str, release: str
) -> None:
    await stream_of_five(channel, name)
    reading = await reader(peer, name, prefetch=5)
    await reading.collect(Delivery, 5)
    if release == "3.10":
        assert await refusal(reading.recover()) == CRASH
        return
    await reading.recover()
    await quiet(reading)


async def test_a_cancelled_reader_gets_no_more(channel: ChannelDriver, name: str) -> None:
    await stream_of_five(channel, name)
    reading = await reader(channel.peer, name, prefetch=1)
    await reading.next(Delivery)
    await reading.cancel("reader")
    reading.ack(1)
    await quiet(reading)


# --- filters -----------------------------------------------------------------------------------

KNOWS_FILTERS = {"4.0", "4.3"}


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({"filter": "x"}, "x0 x1"),
        ({"filter": ["x", "y"]}, "x0 x1 y0 y1"),
        ({"filter": "x", "match_unfiltered": True}, "x0 x1 none0 none1"),
        ({"filter": "x", "match_unfiltered": False}, "x0 x1"),
        ({"filter": "z"}, ""),
        ({"filter": 5}, "x0 x1 y0 y1 none0 none1"),
        ({"match_unfiltered": True}, "x0 x1 y0 y1 none0 none1"),
        ({}, "x0 x1 y0 y1 none0 none1"),
    ],
    ids=str,
)
async def test_a_filter_chooses_by_value(
    channel: ChannelDriver, name: str, release: str, arguments: dict[str, Any], expected: str
) -> None:
    await declare_kind(channel, name, "stream")
    for value in ("x", "y"):
        headers = {"x-stream-filter-value": value}
        await fill(channel, name, f"{value}0".encode(), f"{value}1".encode(), headers=headers)
    await fill(channel, name, b"none0", b"none1")
    if release not in KNOWS_FILTERS:
        expected = "x0 x1 y0 y1 none0 none1"
    reading = await reader(channel.peer, name, "first", **arguments)
    bodies = [body.encode() for body in expected.split()]
    assert [each.body for each in await reading.collect(Delivery, len(bodies))] == bodies
    await quiet(reading)


async def test_an_empty_list_of_filters_crashes(
    channel: ChannelDriver, peer: Peer, name: str, release: str
) -> None:
    await declare_kind(channel, name, "stream")
    if release not in KNOWS_FILTERS:
        await reader(peer, name, filter=[])
        return
    assert await refusal(reader(peer, name, filter=[])) == CRASH


async def test_the_value_stays_in_the_headers(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "stream")
    await fill(channel, name, b"1", headers={"x-stream-filter-value": "x"})
    delivery = await (await reader(channel.peer, name)).next(Delivery)
    assert typed_headers(delivery) == {
        "x-stream-filter-value": ("S", "x"),
        "x-stream-offset": ("l", 0),
    }


async def test_publishes_are_confirmed(channel: ChannelDriver, name: str) -> None:
    await declare_kind(channel, name, "stream")
    await channel.confirm()
    channel.publish(b"1", routing_key=name)
    assert (await channel.next(Ack)).delivery_tag == 1
