"""An encoder of AMQP 0-9-1 bytes that shares nothing with the codecs under test.

It follows the grammar of the specification (4.2) and RabbitMQ's errata for the field types.
Field values are tagged: `("I", 5)` is the 32-bit integer 5, `("F", [("k", ("V", None))])` a table.
It checks nothing, so that it can also write what no encoder should.
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hopmq.typedefs import Timestamp

Tagged = tuple[str, Any]

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = b"\xce"
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"

# Field types of a fixed size: RabbitMQ's letters and what they hold.
FIXED = {
    "b": ">b",  # short-short-int, signed 8 bits
    "B": ">B",  # short-short-uint
    "s": ">h",  # short-int; RabbitMQ's letter ("U" in the specification)
    "u": ">H",  # short-uint
    "I": ">i",  # long-int
    "i": ">I",  # long-uint
    "l": ">q",  # long-long-int
    "L": ">q",  # the specification's letter for the same
    "f": ">f",  # float
    "d": ">d",  # double
    "T": ">Q",  # timestamp, seconds since 1970
}

PROPERTY_TYPES = (
    ("content_type", "shortstr"),  # flag bit 15
    ("content_encoding", "shortstr"),
    ("headers", "table"),
    ("delivery_mode", "octet"),
    ("priority", "octet"),
    ("correlation_id", "shortstr"),
    ("reply_to", "shortstr"),
    ("expiration", "shortstr"),
    ("message_id", "shortstr"),
    ("timestamp", "timestamp"),
    ("type", "shortstr"),
    ("user_id", "shortstr"),
    ("app_id", "shortstr"),
    ("cluster_id", "shortstr"),  # flag bit 2
)


def shortstr(value: str | bytes) -> bytes:
    """Write a short string: one octet of length, then the bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">B", len(raw)) + raw


def longstr(value: str | bytes) -> bytes:
    """Write a long string: four octets of length, then the bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(raw)) + raw


def field(tagged: Tagged) -> bytes:
    """Write one field value: its letter, then its value."""
    tag, value = tagged
    return tag.encode("latin-1") + _field_content(tag, value)


def _field_content(tag: str, value: Any) -> bytes:
    if tag in FIXED:
        return struct.pack(FIXED[tag], value)
    if tag == "t":
        return struct.pack(">B", value)
    if tag == "D":
        scale, unscaled = value
        return struct.pack(">Bi", scale, unscaled)
    if tag in "Sx":
        return longstr(value)
    if tag == "A":
        return array(value)
    if tag == "F":
        return table(value)
    return b""  # "V" has no content, and unknown letters are written bare


def array(values: Iterable[Tagged]) -> bytes:
    """Write an array: four octets of length in bytes, then field values."""
    return longstr(b"".join(field(value) for value in values))


def table(pairs: Iterable[tuple[str | bytes, Tagged]]) -> bytes:
    """Write a table: four octets of length in bytes, then names and field values."""
    return longstr(b"".join(shortstr(name) + field(value) for name, value in pairs))


def python_value(tagged: Tagged) -> Any:
    """Return the Python value that the documented table of types gives to a field value."""
    tag, value = tagged
    if tag == "t":
        return value != 0
    if tag == "f":
        return struct.unpack(">f", struct.pack(">f", value))[0]
    if tag == "D":
        return decimal_of(*value)
    if tag == "S":
        return text_or_bytes(value)
    if tag == "T":
        return moment(value)
    if tag == "A":
        return [python_value(item) for item in value]
    if tag == "F":
        return {name: python_value(item) for name, item in value}
    return value


def decimal_of(scale: int, unscaled: int) -> Decimal:
    """Return the decimal of an unscaled number and its count of decimal places."""
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, -scale))


def text_or_bytes(value: str | bytes) -> str | bytes:
    """Return the text of a long string, or its bytes where they are no UTF-8."""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def moment(seconds: int) -> datetime | Timestamp:
    """Return the datetime of an AMQP timestamp, or a Timestamp beyond the year 9999."""
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return Timestamp(seconds)


def tagged_value(value: Any) -> Tagged:
    """Return the tagged form in which a Python value must be sent."""
    if value is None:
        return ("V", None)
    if isinstance(value, bool):
        return ("t", int(value))
    if isinstance(value, Timestamp):
        return ("T", int(value))
    if isinstance(value, int):
        return (_smallest(value), value)
    if isinstance(value, float):
        return ("d", value)
    if isinstance(value, Decimal):
        return ("D", _scaled(value))
    if isinstance(value, datetime):
        return ("T", int(value.timestamp()))
    if isinstance(value, str):
        return ("S", value)
    if isinstance(value, bytes | bytearray | memoryview):
        return ("x", bytes(value))
    if isinstance(value, dict):
        return ("F", [(name, tagged_value(item)) for name, item in value.items()])
    return ("A", [tagged_value(item) for item in value])


def _smallest(value: int) -> str:
    for tag, bits in (("b", 7), ("s", 15), ("I", 31)):
        if -(1 << bits) <= value < 1 << bits:
            return tag
    return "l"


def _scaled(value: Decimal) -> tuple[int, int]:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits)) or "0") * 10 ** max(exponent, 0)
    return max(-exponent, 0), -number if sign else number


def python_table(value: dict[str, Any]) -> bytes:
    """Write a Python dict as a table."""
    return _field_content(*tagged_value(value))


def argument(kind: str, value: Any) -> bytes:
    """Write one method argument or property; bits are not among them."""
    if kind == "octet":
        return struct.pack(">B", value)
    if kind == "short":
        return struct.pack(">H", value)
    if kind == "long":
        return struct.pack(">I", value)
    if kind in ("longlong", "timestamp"):
        seconds = int(value.timestamp()) if isinstance(value, datetime) else int(value)
        return struct.pack(">Q", seconds)
    if kind == "shortstr":
        return shortstr(value)
    if kind == "longstr":
        return longstr(value)
    assert kind == "table"
    return python_table(value)


def arguments(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """Write a method's arguments; neighbouring bits share octets, lowest bit first."""
    parts: list[bytes] = []
    bits: list[bool] = []
    for kind, value in [*zip(kinds, values, strict=True), ("end", None)]:
        if kind == "bit":
            bits.append(bool(value))
            continue
        parts.extend(_octets(bits))
        bits = []
        if kind != "end":
            parts.append(argument(kind, value))
    return b"".join(parts)


def _octets(bits: list[bool]) -> Iterable[bytes]:
    for start in range(0, len(bits), 8):
        eight = bits[start : start + 8]
        yield bytes([sum(1 << position for position, bit in enumerate(eight) if bit)])


def frame(kind: int, channel: int, payload: bytes, end: bytes = FRAME_END) -> bytes:
    """Write a frame: type, channel, size, payload, frame-end."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + end


def method(channel: int, class_id: int, method_id: int, payload: bytes = b"") -> bytes:
    """Write a method frame."""
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + payload)


def properties(values: dict[str, Any]) -> bytes:
    """Write a property list: the flags of those present, then their values."""
    flags = 0
    parts = []
    for position, (name, kind) in enumerate(PROPERTY_TYPES):
        if values.get(name) is not None:
            flags |= 1 << (15 - position)
            parts.append(argument(kind, values[name]))
    return struct.pack(">H", flags) + b"".join(parts)


def header(channel: int, size: int, raw_properties: bytes = b"\x00\x00") -> bytes:
    """Write a content header frame of class basic, with weight 0."""
    return frame(HEADER, channel, struct.pack(">HHQ", 60, 0, size) + raw_properties)


def bodies(channel: int, body: bytes, frame_max: int = 131_072) -> bytes:
    """Write the body frames of a content; none for an empty body."""
    room = frame_max - 8
    pieces = (body[start : start + room] for start in range(0, len(body), room))
    return b"".join(frame(BODY, channel, piece) for piece in pieces)


def content(
    channel: int, body: bytes, raw_properties: bytes = b"\x00\x00", frame_max: int = 131_072
) -> bytes:
    """Write the header and body frames of a content."""
    return header(channel, len(body), raw_properties) + bodies(channel, body, frame_max)


def publish(
    channel: int, exchange: str = "", routing_key: str = "", *, mandatory: bool = False
) -> bytes:
    """Write basic.publish."""
    payload = b"\x00\x00" + shortstr(exchange) + shortstr(routing_key) + bytes([mandatory])
    return method(channel, 60, 40, payload)


def deliver(
    channel: int,
    consumer_tag: str = "tag",
    delivery_tag: int = 1,
    redelivered: bool = False,
    exchange: str = "",
    routing_key: str = "key",
) -> bytes:
    """Write basic.deliver."""
    kinds = ("shortstr", "longlong", "bit", "shortstr", "shortstr")
    values = (consumer_tag, delivery_tag, redelivered, exchange, routing_key)
    return method(channel, 60, 60, arguments(kinds, values))
