"""A peer that breaks the protocol gets the right reply code, and its client the right error."""

import asyncio
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from pamqp.commands import Basic, Channel, Confirm, Connection, Queue

import hopmq
from flavours import Flavour, flavours
from hopmq.errors import (
    ChannelNumberError,
    CommandInvalidError,
    ContentTooLargeError,
    FramingError,
    MethodNotImplementedError,
    MethodSyntaxError,
    ResourceError,
    UnexpectedFrameError,
)
from hopmq.wire import PURE, new_method
from scripted import frames
from scripted.peer import delivery, fetched
from scripted.server import ScriptedServer

from .ends import Ends, connected, soon, start, turns


@pytest.fixture(scope="session", params=flavours(), ids=str)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return each event loop with each codec: these faults are found by the codec."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend


CODES = {
    FramingError: 501,
    MethodSyntaxError: 502,
    CommandInvalidError: 503,
    ChannelNumberError: 504,
    UnexpectedFrameError: 505,
    ResourceError: 506,
    MethodNotImplementedError: 540,
}


def properties_header(channel: int, flags: int, values: bytes) -> bytes:
    """Make a content header with properties as given."""
    payload = struct.pack(">HHQH", 60, 0, 1, flags) + values
    return frames.frame(frames.HEADER, channel, payload)


DELIVER = frames.method(
    1, new_method(Basic.Deliver, consumer_tag="known", delivery_tag=1, routing_key="k")
)
BAD_TAG = b"\x03\xff\xfe\xfd"  # a short string that is no UTF-8

ATTACKS: dict[str, tuple[type[hopmq.ConnectionClosed], bytes]] = {
    # 501: framing
    "wrong-frame-end": (FramingError, frames.frame(frames.HEARTBEAT, 0, b"", end=0)),
    "unknown-frame-type": (FramingError, frames.frame(4, 0, b"")),
    "frame-above-frame-max": (FramingError, frames.announced(frames.BODY, 1, 131_065)),
    "four-gigabyte-frame": (FramingError, frames.announced(frames.METHOD, 1, 2**32 - 1)),
    "heartbeat-on-a-channel": (FramingError, frames.frame(frames.HEARTBEAT, 1, b"")),
    "heartbeat-with-payload": (FramingError, frames.frame(frames.HEARTBEAT, 0, b"x")),
    "body-longer-than-announced": (
        FramingError,
        DELIVER + frames.header(1, 3) + frames.body(1, b"four"),
    ),
    "header-of-another-class": (FramingError, DELIVER + frames.header(1, 3, class_id=50)),
    # 502: syntax
    "truncated-arguments": (MethodSyntaxError, frames.raw_method(1, 50, 11, b"\x05ab")),
    "trailing-bytes": (MethodSyntaxError, frames.raw_method(1, 60, 11, b"\x00")),
    "short-string-not-utf-8": (MethodSyntaxError, frames.raw_method(1, 60, 21, BAD_TAG)),
    "method-too-short": (MethodSyntaxError, frames.frame(frames.METHOD, 1, b"\x00\x3c\x00")),
    "nested-headers": (
        MethodSyntaxError,
        DELIVER + properties_header(1, 1 << 13, frames.nested_table(65)),
    ),
    "headers-overrun": (
        MethodSyntaxError,
        DELIVER + properties_header(1, 1 << 13, b"\x7f\xff\xff\xff"),
    ),
    "unknown-field-type": (
        MethodSyntaxError,
        DELIVER + properties_header(1, 1 << 13, b"\x00\x00\x00\x03\x01a?"),
    ),
    "long-string-overruns": (
        MethodSyntaxError,
        DELIVER + properties_header(1, 1 << 13, b"\x00\x00\x00\x07\x01aS\xff\xff\xff\xff"),
    ),
    "property-flags-go-on": (MethodSyntaxError, DELIVER + properties_header(1, 1, b"")),
    # 503: not valid here
    "connection-method-on-a-channel": (
        CommandInvalidError,
        b"\x01\x00\x01" + frames.method(0, new_method(Connection.Unblocked))[3:],
    ),
    "channel-method-on-channel-zero": (
        CommandInvalidError,
        b"\x01\x00\x00" + frames.method(1, new_method(Queue.DeclareOk))[3:],
    ),
    "a-client's-method": (CommandInvalidError, frames.method(1, new_method(Queue.Declare))),
    "a-client's-open": (CommandInvalidError, frames.method(9, new_method(Channel.Open))),
    "a-client's-reject": (CommandInvalidError, PURE.encode_reject(1, 1, True)),
    "a-publish": (
        CommandInvalidError,
        frames.method(1, new_method(Basic.Publish)) + frames.header(1, 0),
    ),
    # 504: channels
    "ack-on-an-unopened-channel": (ChannelNumberError, PURE.encode_ack(7, 1, False)),
    "method-on-an-unopened-channel": (
        ChannelNumberError,
        frames.method(7, new_method(Queue.DeclareOk)),
    ),
    "delivery-on-an-unopened-channel": (ChannelNumberError, delivery(7, "known", 1)),
    "channel-above-channel-max": (ChannelNumberError, PURE.encode_ack(2048, 1, False)),
    "header-on-channel-zero": (ChannelNumberError, frames.header(0, 1)),
    "body-on-channel-zero": (ChannelNumberError, frames.body(0, b"x")),
    # 505: unexpected
    "header-without-method": (UnexpectedFrameError, frames.header(1, 1)),
    "body-without-header": (UnexpectedFrameError, frames.body(1, b"x")),
    "body-before-header": (UnexpectedFrameError, DELIVER + frames.body(1, b"x")),
    "method-inside-content": (
        UnexpectedFrameError,
        DELIVER + frames.header(1, 3) + frames.method(1, new_method(Basic.QosOk)),
    ),
    "delivery-inside-content": (
        UnexpectedFrameError,
        DELIVER + frames.header(1, 3) + frames.body(1, b"x") + DELIVER,
    ),
    "header-inside-content": (
        UnexpectedFrameError,
        DELIVER + frames.header(1, 3) + frames.header(1, 3),
    ),
    "unsolicited-declare-ok": (
        UnexpectedFrameError,
        frames.method(1, new_method(Queue.DeclareOk)),
    ),
    "unsolicited-get-empty": (UnexpectedFrameError, frames.method(1, new_method(Basic.GetEmpty))),
    "unsolicited-get-ok": (UnexpectedFrameError, fetched(1, 1)),
    "unsolicited-close-ok": (UnexpectedFrameError, frames.method(1, new_method(Channel.CloseOk))),
    "unsolicited-select-ok": (
        UnexpectedFrameError,
        frames.method(1, new_method(Confirm.SelectOk)),
    ),
    "unsolicited-secret-ok": (
        UnexpectedFrameError,
        frames.method(0, new_method(Connection.UpdateSecretOk)),
    ),
    "second-open-ok": (UnexpectedFrameError, frames.method(1, new_method(Channel.OpenOk))),
    "second-tune": (
        UnexpectedFrameError,
        frames.method(0, new_method(Connection.Tune, frame_max=4096)),
    ),
    "delivery-for-an-unknown-consumer": (UnexpectedFrameError, delivery(1, "unknown", 1)),
    # 540: not implemented
    "unknown-class": (MethodNotImplementedError, frames.raw_method(1, 70, 10)),
    "unknown-method": (MethodNotImplementedError, frames.raw_method(1, 60, 999)),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_broken_rule_ends_the_connection_with_its_own_code(ends: Ends, attack: str) -> None:
    kind, data = ATTACKS[attack]
    assert ends.channel.number == 1
    consumer = await soon(ends.channel.consume("q", consumer_tag="known"))
    reader = start(consumer.__anext__())
    ends.gate.drop("Queue.DeclareOk")
    request = start(ends.connection.declare_queue("unanswered"))
    await soon(ends.peer.receives("Queue.Declare"))
    ends.peer.write(data)
    closing = await soon(ends.peer.receives("Connection.Close"))
    assert closing.reply_code == CODES[kind]
    reason = await soon(ends.connection.wait_closed())
    assert type(reason) is kind
    assert not reason.by_peer
    for task in (reader, request):
        with pytest.raises(kind) as raised:
            await soon(task)
        assert raised.value is not reason
    with pytest.raises(kind):
        await soon(ends.channel.set_prefetch(1))
    with pytest.raises(hopmq.PublishNotSentError):
        await soon(ends.channel.publish(b"", routing_key="q"))
    assert ends.connection.state in {"closing", "closed"}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_the_answer_does_not_depend_on_how_the_bytes_arrive(ends: Ends, attack: str) -> None:
    kind, data = ATTACKS[attack]
    await soon(ends.channel.consume("q", consumer_tag="known"))
    ends.peer.write_byte_by_byte()
    ends.peer.write(data)
    assert type(await soon(ends.connection.wait_closed())) is kind


async def test_frames_behind_a_broken_rule_are_ignored(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q", consumer_tag="known"))
    wrong = frames.method(1, new_method(Queue.DeclareOk))
    ends.peer.write(wrong + delivery(1, "known", 1) + wrong + PURE.encode_ack(9, 1, False))
    reason = await soon(ends.connection.wait_closed())
    assert type(reason) is UnexpectedFrameError
    with pytest.raises(UnexpectedFrameError):
        await soon(anext(consumer))
    await soon(ends.peer.lost)
    assert ends.peer.seen.count("Connection.Close") == 1


async def test_a_peer_that_answers_a_close_with_more_rubbish_is_dropped(ends: Ends) -> None:
    ends.gate.drop("Connection.CloseOk")
    ends.peer.write(frames.method(1, new_method(Queue.DeclareOk)))
    await soon(ends.peer.receives("Connection.Close"))
    ends.peer.write(b"\x00" * 64)
    await soon(ends.peer.lost)
    assert ends.connection.state == "closed"


# --- contents ------------------------------------------------------------------------------------


async def test_contents_of_two_channels_may_be_interleaved(ends: Ends) -> None:
    other = await soon(ends.connection.channel())
    first = await soon(ends.channel.consume("q", consumer_tag="first"))
    second = await soon(other.consume("q", consumer_tag="second"))
    one = list(frames.split(delivery(ends.channel.number, "first", 1, b"one")))
    two = list(frames.split(delivery(other.number, "second", 1, b"two")))
    for pair in zip(one, two, strict=True):
        ends.peer.write(b"".join(pair))
    assert (await soon(anext(first))).body == b"one"
    assert (await soon(anext(second))).body == b"two"
    await soon(other.close())


async def test_a_message_of_exactly_the_limit_is_accepted(server: ScriptedServer) -> None:
    async with connected(server, max_message_size=1000) as ends:
        consumer = await soon(ends.channel.consume("q"))
        ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"x" * 1000)
        assert len((await soon(anext(consumer))).body) == 1000


async def test_a_message_above_the_limit_closes_its_channel_only(server: ScriptedServer) -> None:
    async with connected(server, max_message_size=1000) as ends:
        consumer = await soon(ends.channel.consume("q"))
        unhurt = await soon(ends.connection.channel())
        other = await soon(unhurt.consume("q", consumer_tag="other"))
        ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"x" * 1001)
        ends.peer.deliver(unhurt.number, "other", 1, b"fits")
        closing = await soon(ends.peer.receives("Channel.Close"))
        assert closing.reply_code == 311
        with pytest.raises(ContentTooLargeError, match="1001 bytes passes max_message_size"):
            await soon(anext(consumer))
        assert not ends.channel.is_open
        assert (await soon(anext(other))).body == b"fits"
        assert (await soon(unhurt.publish(b"fine", routing_key="q"))).confirmed
        assert (await soon(ends.connection.channel())).number == ends.channel.number


async def test_a_fetched_message_above_the_limit_is_an_error_of_the_get(
    server: ScriptedServer,
) -> None:
    async with connected(server, max_message_size=1000) as ends:
        ends.gate.replace("Basic.GetEmpty", fetched(ends.channel.number, 1, b"x" * 1001))
        with pytest.raises(ContentTooLargeError):
            await soon(ends.channel.get("q"))
        assert ends.connection.is_open


async def test_a_body_of_all_but_endless_size_costs_no_memory(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q", consumer_tag="known"))
    unhurt = await soon(ends.connection.channel())
    part = frames.body(1, b"x" * 131_064)
    ends.gate.drop("Channel.CloseOk")  # it would follow the body, which never ends
    ends.peer.write(DELIVER + frames.header(1, 2**64 - 1))
    with pytest.raises(ContentTooLargeError):
        await soon(anext(consumer))
    tracemalloc.start()
    try:
        for _ in range(64):  # 8 MiB
            ends.peer.write(part)
            while ends.peer.transport.get_write_buffer_size():
                await asyncio.sleep(0)
            await turns(2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
    assert (await soon(unhurt.publish(b"fine", routing_key="q"))).confirmed


async def test_unfinished_bodies_on_many_channels_are_bounded_together(
    server: ScriptedServer,
) -> None:
    async with connected(server, max_message_size=10_000) as ends:
        for _ in range(6):
            channel = await soon(ends.connection.channel())
            await soon(channel.consume("q", consumer_tag="known"))
        for number in range(2, 8):
            begun = DELIVER + frames.header(1, 9_000) + frames.body(1, b"x" * 8_999)
            for frame in frames.split(begun):
                ends.peer.write(frame[:1] + struct.pack(">H", number) + frame[3:])
        assert type(await soon(ends.connection.wait_closed())) is ResourceError


# --- confirms --------------------------------------------------------------------------------------

ODD_CONFIRMS: dict[str, Callable[[int], bytes]] = {
    "ahead": lambda channel: PURE.encode_ack(channel, 99, False),
    "far-ahead-multiple": lambda channel: PURE.encode_ack(channel, 2**64 - 1, True),
    "nack-ahead": lambda channel: PURE.encode_nack(channel, 99, False, False),
    "nack-ahead-multiple": lambda channel: PURE.encode_nack(channel, 2**63, True, False),
    "tag-zero": lambda channel: PURE.encode_ack(channel, 0, False),
}


@pytest.mark.parametrize("odd", ODD_CONFIRMS)
async def test_a_confirm_of_an_unknown_tag_is_counted_and_ignored(ends: Ends, odd: str) -> None:
    held = ends.gate.hold("Basic.Ack")
    publish = start(ends.channel.publish(b"one", routing_key="q"))
    await soon(held.reached())
    ends.peer.write(ODD_CONFIRMS[odd](ends.channel.number))
    await soon(ends.connection.declare_queue("a round trip"))
    assert not publish.done()
    assert ends.core.confirms is not None
    assert ends.core.confirms.unmatched == 1
    held.release()
    assert (await soon(publish)).confirmed
    await ends.check_in_step()


async def test_a_second_confirm_of_a_tag_frees_no_second_place(ends: Ends) -> None:
    narrow = await soon(ends.connection.channel(max_unconfirmed=1))
    held = ends.gate.hold("Basic.Ack")
    publishes = [start(narrow.publish(b"%d" % number, routing_key="q")) for number in range(3)]
    await soon(held.reached())
    for _ in range(5):
        ends.peer.confirm(narrow.number, 1)
    await soon(publishes[0])
    await soon(ends.connection.declare_queue("a round trip"))
    assert narrow.unconfirmed == 1
    assert ends.peer.seen.count("Published") == 2
    assert narrow._core.confirms is not None
    assert narrow._core.confirms.unmatched == 4
    held.release()
    await soon(asyncio.gather(*publishes[1:]))
    await soon(narrow.close())


async def test_a_confirm_on_a_channel_without_confirms_is_a_505(ends: Ends) -> None:
    plain = await soon(ends.connection.channel(confirms=False))
    ends.peer.confirm(plain.number, 1)
    assert type(await soon(ends.connection.wait_closed())) is UnexpectedFrameError


async def test_a_return_that_matches_no_publish_is_passed_on_and_nothing_else(ends: Ends) -> None:
    returned: list[hopmq.Returned] = []
    ends.channel.on_return = returned.append
    out: list[bytes | memoryview] = []
    headers = hopmq.Properties(headers={"x-hopmq-return-token": 77})
    PURE.append_return(
        out, ends.channel.number, 312, "NO_ROUTE", "x", "k", headers, b"body", 131_072
    )
    ends.peer.write(b"".join(out))
    await ends.check_in_step()
    assert [message.body for message in returned] == [b"body"]


async def test_an_on_return_that_raises_costs_nothing_but_its_own_call(ends: Ends) -> None:
    def complain(message: hopmq.Returned) -> None:
        raise LookupError(message.routing_key)

    ends.channel.on_return = complain
    out: list[bytes | memoryview] = []
    PURE.append_return(out, ends.channel.number, 312, "NO_ROUTE", "x", "k", None, b"body", 131_072)
    ends.peer.write(b"".join(out))
    await ends.check_in_step()
