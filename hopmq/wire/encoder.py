"""Frames to send, in pure Python."""

from struct import Struct
from typing import Final, TypeAlias

from pamqp.base import Frame

from hopmq.errors import EncodeError
from hopmq.typedefs import Body
from hopmq.wire import reasons
from hopmq.wire.encode_values import check_integer, octets, short_string
from hopmq.wire.limits import BODY_BY_REFERENCE, FRAME_OVERHEAD, MAX_CHANNEL
from hopmq.wire.methods import encode_arguments, plan_of
from hopmq.wire.properties import Properties, encode_properties

Piece: TypeAlias = bytes | memoryview
"""What goes to the transport: bytes of our own, or a view of the caller's."""

HEARTBEAT: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"
"""A heartbeat frame (AMQP 0-9-1, 4.2.7)."""

PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
"""What a client sends first (AMQP 0-9-1, 4.2.2)."""

_END: Final = b"\xce"
_NO_PROPERTIES: Final = b"\x00\x00"
_HEADER_OVERHEAD: Final = FRAME_OVERHEAD + 12

_LONG_MAX: Final = 0xFFFF_FFFF
_TAG_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF

_FRAME_HEAD = Struct(">BHI").pack
_END_AND_HEAD = Struct(">BBHI").pack
# The end of the method frame, then the content header of class 60 and weight 0.
_CONTENT_HEADER = Struct(">BBHIHHQ").pack
_PUBLISH = Struct(">IH").pack
_DELIVER_TAG = Struct(">QB").pack
_GET_OK = Struct(">IQB").pack
_LONG = Struct(">I").pack
_RETURN = Struct(">IH").pack
_ACK = Struct(">BHIIQBB").pack

_PUBLISH_INDEX: Final = 0x003C_0028
_RETURN_INDEX: Final = 0x003C_0032
_DELIVER_INDEX: Final = b"\x00\x3c\x00\x3c"
_GET_OK_INDEX: Final = 0x003C_0047
_ACK_INDEX: Final = 0x003C_0050
_REJECT_INDEX: Final = 0x003C_005A
_NACK_INDEX: Final = 0x003C_0078


def encode_method(channel: int, method: Frame, frame_max: int) -> bytes:
    """Return the frame of a method.

    Raises:
        EncodeError: When an argument has no exact AMQP form, or the frame exceeds `frame_max`.
    """
    check_integer(channel, MAX_CHANNEL, "channel")
    payload = encode_arguments(plan_of(method), method)
    if len(payload) + FRAME_OVERHEAD > frame_max:
        raise EncodeError(reasons.exceeds_frame(len(payload) + FRAME_OVERHEAD, frame_max))
    return _FRAME_HEAD(1, channel, len(payload)) + payload + _END


def encode_ack(channel: int, delivery_tag: int, multiple: bool) -> bytes:
    """Return a basic.ack frame."""
    return _settle(_ACK_INDEX, channel, delivery_tag, 1 if multiple else 0)


def encode_nack(channel: int, delivery_tag: int, multiple: bool, requeue: bool) -> bytes:
    """Return a basic.nack frame."""
    bits = (1 if multiple else 0) | (2 if requeue else 0)
    return _settle(_NACK_INDEX, channel, delivery_tag, bits)


def encode_reject(channel: int, delivery_tag: int, requeue: bool) -> bytes:
    """Return a basic.reject frame."""
    return _settle(_REJECT_INDEX, channel, delivery_tag, 1 if requeue else 0)


def _settle(index: int, channel: int, delivery_tag: int, bits: int) -> bytes:
    check_integer(channel, MAX_CHANNEL, "channel")
    check_integer(delivery_tag, _TAG_MAX, "delivery_tag")
    return _ACK(1, channel, 13, index, delivery_tag, bits, 0xCE)


def append_publish(
    out: list[Piece],
    channel: int,
    exchange: str,
    routing_key: str,
    mandatory: bool,
    properties: Properties | bytes | None,
    body: Body,
    frame_max: int,
) -> int:
    """Append the frames of a basic.publish to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    check_integer(channel, MAX_CHANNEL, "channel")
    method = b"".join(
        (
            _PUBLISH(_PUBLISH_INDEX, 0),
            short_string(exchange, "exchange"),
            short_string(routing_key, "routing_key"),
            b"\x01" if mandatory else b"\x00",
        )
    )
    return _append_content(out, channel, method, properties, body, frame_max)


def append_deliver(
    out: list[Piece],
    channel: int,
    consumer_tag: str,
    delivery_tag: int,
    redelivered: bool,
    exchange: str,
    routing_key: str,
    properties: Properties | bytes | None,
    body: Body,
    frame_max: int,
) -> int:
    """Append the frames of a basic.deliver to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    check_integer(channel, MAX_CHANNEL, "channel")
    tag = short_string(consumer_tag, "consumer_tag")
    check_integer(delivery_tag, _TAG_MAX, "delivery_tag")
    method = b"".join(
        (
            _DELIVER_INDEX,
            tag,
            _DELIVER_TAG(delivery_tag, 1 if redelivered else 0),
            short_string(exchange, "exchange"),
            short_string(routing_key, "routing_key"),
        )
    )
    return _append_content(out, channel, method, properties, body, frame_max)


def append_get_ok(
    out: list[Piece],
    channel: int,
    delivery_tag: int,
    redelivered: bool,
    exchange: str,
    routing_key: str,
    message_count: int,
    properties: Properties | bytes | None,
    body: Body,
    frame_max: int,
) -> int:
    """Append the frames of a basic.get-ok to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    check_integer(channel, MAX_CHANNEL, "channel")
    check_integer(delivery_tag, _TAG_MAX, "delivery_tag")
    method = b"".join(
        (
            _GET_OK(_GET_OK_INDEX, delivery_tag, 1 if redelivered else 0),
            short_string(exchange, "exchange"),
            short_string(routing_key, "routing_key"),
            _LONG(check_integer(message_count, _LONG_MAX, "message_count")),
        )
    )
    return _append_content(out, channel, method, properties, body, frame_max)


def append_return(
    out: list[Piece],
    channel: int,
    reply_code: int,
    reply_text: str,
    exchange: str,
    routing_key: str,
    properties: Properties | bytes | None,
    body: Body,
    frame_max: int,
) -> int:
    """Append the frames of a basic.return to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    check_integer(channel, MAX_CHANNEL, "channel")
    check_integer(reply_code, 0xFFFF, "reply_code")
    method = b"".join(
        (
            _RETURN(_RETURN_INDEX, reply_code),
            short_string(reply_text, "reply_text"),
            short_string(exchange, "exchange"),
            short_string(routing_key, "routing_key"),
        )
    )
    return _append_content(out, channel, method, properties, body, frame_max)


def _property_list(properties: Properties | bytes | None) -> bytes:
    if properties is None:
        return _NO_PROPERTIES
    if isinstance(properties, Properties):
        return encode_properties(properties)
    if not isinstance(properties, bytes):
        raise EncodeError(reasons.wrong_type("Properties, bytes or None", properties), "properties")
    if len(properties) < 2:
        raise EncodeError(reasons.RAW_PROPERTIES, "properties")
    return properties


def _body_bytes(body: Body) -> bytes:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return octets(body, "body")
    raise EncodeError(reasons.wrong_type("bytes, bytearray or memoryview", body), "body")


def _append_content(
    out: list[Piece],
    channel: int,
    method: bytes,
    properties: Properties | bytes | None,
    body: Body,
    frame_max: int,
) -> int:
    raw = _property_list(properties)
    data = _body_bytes(body)
    if len(method) + FRAME_OVERHEAD > frame_max:
        raise EncodeError(reasons.exceeds_frame(len(method) + FRAME_OVERHEAD, frame_max))
    if len(raw) + _HEADER_OVERHEAD > frame_max:
        size = len(raw) + _HEADER_OVERHEAD
        raise EncodeError(reasons.exceeds_frame(size, frame_max), "properties")
    parts: list[Piece] = [
        _FRAME_HEAD(1, channel, len(method)),
        method,
        _CONTENT_HEADER(0xCE, 2, channel, len(raw) + 12, 60, 0, len(data)),
        raw,
    ]
    room = frame_max - FRAME_OVERHEAD
    if len(data) >= BODY_BY_REFERENCE:
        return _append_by_reference(out, parts, channel, data, room)
    if len(data) <= room:
        if data:
            parts += (_END_AND_HEAD(0xCE, 3, channel, len(data)), data)
    else:
        _split_body(parts, channel, data, room)
    parts.append(_END)
    frames = b"".join(parts)
    out.append(frames)
    return len(frames)


def _split_body(parts: list[Piece], channel: int, data: bytes, room: int) -> None:
    for start in range(0, len(data), room):
        piece = data[start : start + room]
        parts += (_END_AND_HEAD(0xCE, 3, channel, len(piece)), piece)


def _append_by_reference(
    out: list[Piece], head: list[Piece], channel: int, data: bytes, room: int
) -> int:
    """Append the frames with the body's bytes referred to, not copied."""
    view = memoryview(data)
    size = len(data)
    total = sum(map(len, head)) + size + 1
    pieces: list[Piece] = []
    for start in range(0, size, room):
        length = min(room, size - start)
        frame_head = _END_AND_HEAD(0xCE, 3, channel, length)
        total += len(frame_head)
        pieces.append(b"".join((*head, frame_head)) if start == 0 else frame_head)
        pieces.append(data if length == size else view[start : start + length])
    pieces.append(_END)
    out += pieces
    return total
