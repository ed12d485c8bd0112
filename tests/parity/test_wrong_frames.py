"""Frames that break the rules on an open connection: how RabbitMQ closes it, and in which words."""

import struct

import pytest
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection, Queue

from conftest import RunningBroker
from hopmq.wire import new_method
from parity.driver import Peer
from parity.endings import DROPPED, ending
from scripted.frames import (
    BODY,
    HEADER,
    HEARTBEAT,
    METHOD,
    announced,
    body,
    frame,
    header,
    method,
    nested_table,
    raw_method,
)

PUBLISH = raw_method(1, 60, 40, b"\0\0\0\0\0")
QOS = raw_method(1, 60, 10, b"\0\0\0\0\0\0\0")
DECLARE_WITH = b"\0\0\x01q\0"  # ticket, queue, bits; the table of arguments follows


def framing(text: str) -> tuple[str, int, str]:
    """Return the answer to a frame that cannot be read."""
    return ("connection", 501, f"FRAME_ERROR - {text}")


def unexpected(text: str) -> tuple[str, int, str]:
    """Return the answer to a frame that does not belong there."""
    return ("connection", 505, f"UNEXPECTED_FRAME - {text}")


NO_HEADER = unexpected("expected content header for class 60, got non content header frame instead")
NO_BODY = unexpected("expected content body, got non content body frame instead")
NO_METHOD = unexpected("expected method frame, got non method frame instead")
UNKNOWN_METHOD_ON_0 = (
    "connection",
    504,
    "CHANNEL_ERROR - unexpected method in connection state running",
)
UNIMPLEMENTED = ("connection", 503, "COMMAND_INVALID - unimplemented method")
INTERNAL = ("connection", 541, "INTERNAL_ERROR")

FRAMES = {
    "wrong end": (
        frame(METHOD, 1, b"\0\x3c\0\x0a", end=0),
        framing("type 1, all octets = <<0,60,0,10>>: {invalid_frame_end_marker,0}"),
    ),
    "wrong end on channel 0": (
        frame(METHOD, 0, b"", end=0xCD),
        framing("type 1, all octets = <<>>: {invalid_frame_end_marker,205}"),
    ),
    "unknown type": (frame(9, 1, b""), framing("type 9, all octets = <<>>: unknown_frame")),
    "unknown type on channel 0": (
        frame(4, 0, b"\1\2"),
        framing("type 4, all octets = <<1,2>>: unknown_frame"),
    ),
    "protocol header": (
        b"AMQP\0\0\x09\1",
        framing("type 65, all octets = <<>>: {frame_too_large,1342177289,131064}"),
    ),
    "4 GiB": (
        announced(BODY, 1, 0xFFFF_FFFF),
        framing("type 3, all octets = <<>>: {frame_too_large,4294967295,131064}"),
    ),
    "empty method": (
        frame(METHOD, 1, b""),
        framing("type 1, all octets = <<>>: unknown_frame"),
    ),
    "half a method": (
        frame(METHOD, 1, b"\0\x3c"),
        framing("type 1, all octets = <<0,60>>: unknown_frame"),
    ),
    "heartbeat on a channel": (
        frame(HEARTBEAT, 1, b""),
        unexpected("type 8, all octets = <<>>"),
    ),
    "heartbeat with a payload": (
        frame(HEARTBEAT, 0, b"x"),
        framing('type 8, all octets = <<"x">>: unknown_frame'),
    ),
    "header on channel 0": (
        header(0, 1),
        unexpected("type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,1,0,0>>"),
    ),
    "body on channel 0": (body(0, b"x"), unexpected('type 3, all octets = <<"x">>')),
    "body without a header": (body(1, b"x"), NO_METHOD),
    "header without a method": (header(1, 1), NO_METHOD),
    "header on a channel that is not open": (header(5, 1), NO_METHOD),
    "body on a channel that is not open": (body(5, b"x"), NO_METHOD),
    "publish without a header": (PUBLISH + QOS, NO_HEADER),
    "publish, then a body": (PUBLISH + body(1, b"x"), NO_HEADER),
    "publish twice": (PUBLISH + PUBLISH, NO_HEADER),
    "publish without a body": (PUBLISH + header(1, 5) + QOS, NO_BODY),
    "publish with half a body": (PUBLISH + header(1, 5) + body(1, b"1234") + QOS, NO_BODY),
    "publish, two headers": (PUBLISH + header(1, 5) + header(1, 5), NO_BODY),
    "header of another class": (
        PUBLISH + header(1, 5, class_id=50),
        unexpected("expected content header for class 60, got one for class 50 instead"),
    ),
    "header with a weight": (
        PUBLISH + frame(HEADER, 1, struct.pack(">HHQH", 60, 1, 0, 0)) + QOS,
        NO_HEADER,
    ),
    "property without its value": (
        PUBLISH + frame(HEADER, 1, struct.pack(">HHQH", 60, 0, 0, 0x8000)),
        INTERNAL,
    ),
    "headers of an unknown type": (
        PUBLISH + frame(HEADER, 1, struct.pack(">HHQH", 60, 0, 0, 0x2000) + b"\0\0\0\4\1aZ\0"),
        INTERNAL,
    ),
    "unknown class": (raw_method(1, 99, 10), DROPPED),
    "unknown class on channel 0": (raw_method(0, 99, 10), DROPPED),
    "unknown method": (raw_method(1, 50, 99), DROPPED),
    "value of an unknown type": (
        raw_method(1, 50, 10, DECLARE_WITH + b"\0\0\0\4\1aZ\0"),
        DROPPED,
    ),
    "arguments too short": (raw_method(1, 50, 10, b"\0"), framing("cannot decode <<0>>")),
    "arguments too long": (
        raw_method(1, 60, 10, b"\0\0\0\0\0\0\0xx"),
        framing("cannot decode <<0,0,0,0,0,0,0,120,120>>"),
    ),
    "channel.close with an addition": (
        raw_method(1, 20, 40, b"\0\0\0\0\0\0\0!"),
        framing("cannot decode <<0,0,0,0,0,0,0,33>>"),
    ),
    "table longer than its frame": (
        raw_method(1, 50, 10, DECLARE_WITH + b"\0\0\0\xff\1aI\0\0\0\1"),
        framing("cannot decode <<0,0,1,113,0,0,0,0,255,1,97,73,0,0,0,1>>"),
    ),
    "name that is no UTF-8": (
        raw_method(1, 50, 10, b"\0\0\2\xff\xfe\0\0\0\0\0"),
        framing("Malformed UTF-8 in shortstr"),
    ),
    "tag that is no UTF-8": (
        raw_method(1, 60, 20, b"\0\0\1q\2\xff\xfe\0\0\0\0\0"),
        framing("Malformed UTF-8 in shortstr"),
    ),
}


@pytest.mark.parametrize("mistake", FRAMES)
async def test_a_wrong_frame_ends_the_connection(peer: Peer, mistake: str) -> None:
    data, answer = FRAMES[mistake]
    await peer.channel()
    peer.write(data)
    assert await ending(peer) == answer


BLAMED = {
    "arguments too short": (50, 10),
    "arguments too long": (60, 10),
    "publish without a header": (60, 40),
    "publish without a body": (60, 40),
    "publish twice": (60, 40),
    "header of another class": (60, 40),
    "wrong end": (0, 0),
    "unknown type": (0, 0),
    "body without a header": (0, 0),
    "property without its value": (0, 0),
    "name that is no UTF-8": (0, 0),
    "heartbeat on a channel": (0, 0),
}


@pytest.mark.parametrize("mistake", BLAMED)
async def test_the_method_at_fault_is_named_once_it_is_known(peer: Peer, mistake: str) -> None:
    await peer.channel()
    peer.write(FRAMES[mistake][0])
    assert (await peer.until_closed()).blamed == BLAMED[mistake]


@pytest.mark.parametrize(
    "parts", [(b"123456",), (b"1234", b"5678")], ids=["in one frame", "in two"]
)
async def test_a_body_longer_than_announced_ends_the_connection(
    peer: Peer, release: str, parts: tuple[bytes, ...]
) -> None:
    await peer.channel()
    peer.write(PUBLISH + header(1, 5) + b"".join(body(1, part) for part in parts) + QOS)
    answer = {
        "3.10": NO_BODY,  # seen only at the next frame, which is taken for more of the body
        "4.0": NO_BODY,
        "4.3": framing("content body frame exceeds remaining content size"),
    }
    closed = await peer.until_closed()
    assert closed.answer == answer[release]
    assert closed.blamed == (60, 40)


async def test_an_endless_body_is_refused_by_newer_releases(peer: Peer, release: str) -> None:
    channel = await peer.channel()
    peer.write(PUBLISH + header(1, 2**64 - 1))
    if release in {"3.10", "4.0"}:  # waits for it
        other = await peer.channel()
        await other.qos(1)
        assert channel.closed is None
        return
    assert await ending(peer) == framing(
        "content body size 18446744073709551615 exceeds maximum allowed size 536870912"
    )


async def test_a_deeply_nested_table_is_accepted(peer: Peer, broker: RunningBroker) -> None:
    channel = await peer.channel()
    channel.raw(50, 10, b"\0\0\1q\x08" + nested_table(500))  # exclusive
    if broker.embedded is not None:  # a difference on purpose: docs/broker.md
        assert await ending(peer) == framing("tables nested deeper than 64 levels")
        return
    declared = await channel.expect(Queue.DeclareOk)
    assert declared.queue == "q"


# --- methods that a client does not send -------------------------------------------------------

METHODS: dict[str, tuple[int, Frame, object]] = {
    "queue.declare on channel 0": (0, new_method(Queue.Declare), UNKNOWN_METHOD_ON_0),
    "channel.open on channel 0": (0, new_method(Channel.Open), UNKNOWN_METHOD_ON_0),
    "basic.publish on channel 0": (0, new_method(Basic.Publish), UNKNOWN_METHOD_ON_0),
    "connection.start": (
        0,
        new_method(Connection.Start, server_properties={}),
        UNKNOWN_METHOD_ON_0,
    ),
    "connection.close-ok unasked": (0, new_method(Connection.CloseOk), UNKNOWN_METHOD_ON_0),
    "connection.blocked": (0, new_method(Connection.Blocked), UNKNOWN_METHOD_ON_0),
    "connection.open on a channel": (1, new_method(Connection.Open), UNIMPLEMENTED),
    "connection.close on a channel": (1, new_method(Connection.Close), UNIMPLEMENTED),
    "queue.declare-ok": (1, new_method(Queue.DeclareOk), UNIMPLEMENTED),
    "channel.open-ok": (1, new_method(Channel.OpenOk), UNIMPLEMENTED),
    "channel.flow-ok unasked": (1, new_method(Channel.FlowOk), UNIMPLEMENTED),
    "channel.close-ok unasked": (1, new_method(Channel.CloseOk), UNIMPLEMENTED),
    "basic.get-empty": (1, new_method(Basic.GetEmpty), UNIMPLEMENTED),
}


@pytest.mark.parametrize("mistake", METHODS)
async def test_a_method_out_of_place_ends_the_connection(peer: Peer, mistake: str) -> None:
    number, message, answer = METHODS[mistake]
    await peer.channel()
    peer.write(method(number, message))
    closed = await peer.until_closed()
    assert closed.answer == answer
    assert closed.blamed == divmod(message.index, 1 << 16)
