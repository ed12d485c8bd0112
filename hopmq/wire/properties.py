"""The fourteen properties of a message (AMQP 0-9-1, class basic)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from struct import Struct
from typing import Final, TypeAlias

from hopmq.errors import FrameSyntaxError
from hopmq.typedefs import FieldTable, Timestamp
from hopmq.wire import decode_values, encode_values, reasons


@dataclass(slots=True, kw_only=True)
class Properties:
    """What travels with a message beside its body; None means absent.

    Attributes:
        content_type: MIME type of the body.
        content_encoding: MIME encoding of the body, such as `gzip`.
        headers: A table of the application's own.
        delivery_mode: 1 transient, 2 persistent.
        priority: 0 to 255; RabbitMQ's classic queues use up to `x-max-priority`.
        correlation_id: What request a reply answers.
        reply_to: Queue that replies go to.
        expiration: Time to live in milliseconds, as a decimal string.
        message_id: The application's name for the message.
        timestamp: When it was made, in whole seconds; an aware datetime.
        type: The application's name for the kind of message.
        user_id: Publishing user; RabbitMQ refuses another than the connection's.
        app_id: Publishing application.
        cluster_id: Unused by RabbitMQ.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: FieldTable | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: datetime | Timestamp | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None


PROPERTY_NAMES: Final = tuple(Properties.__slots__)
"""In wire order: the first is flag bit 15, the last is bit 2."""


# --- the property list: flags, then the values that are there (AMQP 0-9-1, 4.2.6.1) -------------

_FLAGS = Struct(">H")
_CONTINUATION: Final = 0x0001
_RESERVED: Final = 0x0002

_Encode: TypeAlias = Callable[[object, str], bytes]
_Decode: TypeAlias = Callable[[bytes, int], tuple[object, int]]


def _encode_octet(value: object, path: str) -> bytes:
    return encode_values.check_integer(value, 0xFF, path).to_bytes(1, "big")


def _decode_octet(raw: bytes, at: int) -> tuple[int, int]:
    return raw[at], at + 1


def _codec_of(name: str) -> tuple[_Encode, _Decode]:
    if name == "headers":
        return encode_values.table, decode_values.table
    if name in {"delivery_mode", "priority"}:
        return _encode_octet, _decode_octet
    if name == "timestamp":
        return encode_values.timestamp, decode_values.timestamp
    return encode_values.short_string, decode_values.short_string


_CODECS: Final = tuple(
    (0x8000 >> index, name, *_codec_of(name)) for index, name in enumerate(PROPERTY_NAMES)
)
_values_of = attrgetter(*PROPERTY_NAMES)


def encode_properties(properties: Properties) -> bytes:
    """Encode flags and values.

    Raises:
        EncodeError: When a property has no exact AMQP form; the path starts with its name.
    """
    flags = 0
    parts = [b""]
    for value, (flag, name, encode, _) in zip(_values_of(properties), _CODECS, strict=True):
        if value is not None:
            flags |= flag
            parts.append(encode(value, name))
    parts[0] = _FLAGS.pack(flags)
    return b"".join(parts)


@lru_cache(maxsize=256)
def _decoders_of(flags: int) -> tuple[tuple[str, _Decode], ...]:
    return tuple((name, decode) for flag, name, _, decode in _CODECS if flags & flag)


def decode_properties(raw: bytes) -> Properties:
    """Decode flags and values, to the last byte.

    Raises:
        FrameSyntaxError: At offset 0, when the bytes are anything but one property list.
    """
    if len(raw) < _FLAGS.size:
        raise FrameSyntaxError(0, reasons.TRUNCATED)
    flags = _FLAGS.unpack_from(raw)[0]
    if flags & _CONTINUATION:
        raise FrameSyntaxError(0, reasons.FLAGS_CONTINUE)
    if flags & _RESERVED:
        raise FrameSyntaxError(0, reasons.FLAG_RESERVED)
    properties = Properties()
    at = _FLAGS.size
    name = ""
    try:
        for name, decode in _decoders_of(flags):
            value, at = decode(raw, at)
            setattr(properties, name, value)
    except FrameSyntaxError as error:
        raise FrameSyntaxError(0, reasons.in_property(name, error.reason)) from None
    except decode_values.VALUE_FAULTS as error:
        reason = decode_values.value_fault(error)
        raise FrameSyntaxError(0, reasons.in_property(name, reason)) from None
    if at != len(raw):
        raise FrameSyntaxError(0, reasons.LEFT_OVER)
    return properties
