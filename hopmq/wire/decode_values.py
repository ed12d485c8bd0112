"""Bytes to Python values: tables, arrays and what they hold, in pure Python.

Every decoder takes the bytes of its enclosing value, a position and the depth of that value,
and returns the decoded value with the position after it. Reading beyond the enclosing value
ends in IndexError or struct.error, which `value_fault` turns into the codec's own error.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from struct import Struct, error as struct_error
from typing import Final, NoReturn, TypeAlias

from hopmq.errors import FrameSyntaxError
from hopmq.typedefs import FieldValue, Timestamp
from hopmq.wire import reasons
from hopmq.wire.limits import TABLE_DEPTH

_Decode: TypeAlias = Callable[[bytes, int, int], tuple[FieldValue, int]]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SECOND: Final = 253_402_300_799
"""The last second of the year 9999, beyond which datetime does not go."""

_LONG = Struct(">I").unpack_from
_DECIMAL = Struct(">Bi").unpack_from

VALUE_FAULTS: Final = (IndexError, struct_error, UnicodeDecodeError)
"""What the decoders raise beside FrameSyntaxError; see `value_fault`."""


def value_fault(error: Exception) -> str:
    """Return the reason behind one of VALUE_FAULTS."""
    return reasons.NOT_UTF8 if isinstance(error, UnicodeDecodeError) else reasons.TRUNCATED


def long_string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes of a long string and the position after it."""
    start = at + 4
    end = start + _LONG(data, at)[0]
    if end > len(data):
        raise IndexError
    return data[start:end], end


def short_string(data: bytes, at: int) -> tuple[str, int]:
    """Return a short string and the position after it."""
    start = at + 1
    end = start + data[at]
    if end > len(data):
        raise IndexError
    return data[start:end].decode(), end


def _void(_data: bytes, at: int, _depth: int) -> tuple[None, int]:
    return None, at


def _decimal(data: bytes, at: int, _depth: int) -> tuple[Decimal, int]:
    scale, unscaled = _DECIMAL(data, at)
    return Decimal(f"{unscaled}E-{scale}"), at + 5


def _text(data: bytes, at: int, _depth: int) -> tuple[str | bytes, int]:
    start = at + 4
    end = start + _LONG(data, at)[0]
    if end > len(data):
        raise IndexError
    raw = data[start:end]
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        return raw, end


def _octets(data: bytes, at: int, _depth: int) -> tuple[bytes, int]:
    return long_string(data, at)


_UNSIGNED = Struct(">Q").unpack_from


def timestamp(data: bytes, at: int, _depth: int = 0) -> tuple[datetime | Timestamp, int]:
    """Return a moment; a `Timestamp` when datetime cannot hold it."""
    seconds = _UNSIGNED(data, at)[0]
    if seconds > LAST_SECOND:
        return Timestamp(seconds), at + 8
    return EPOCH + timedelta(0, seconds), at + 8


def _array(data: bytes, at: int, depth: int) -> tuple[list[FieldValue], int]:
    if depth >= TABLE_DEPTH:
        raise FrameSyntaxError(0, reasons.TOO_DEEP)
    content, end = long_string(data, at)
    items: list[FieldValue] = []
    position, size = 0, len(content)
    while position < size:
        kind = content[position]
        if kind in _FIXED:
            unpack, length = _FIXED[kind]
            items += unpack(content, position + 1)
            position += length
        else:
            item, position = _DECODERS.get(kind, _unknown)(content, position + 1, depth + 1)
            items.append(item)
    return items, end


def table(data: bytes, at: int, depth: int = 0) -> tuple[dict[str, FieldValue], int]:
    """Return a table and the position after it; `depth` counts the tables around it."""
    if depth >= TABLE_DEPTH:
        raise FrameSyntaxError(0, reasons.TOO_DEEP)
    end = at + 4 + _LONG(data, at)[0]
    if end > len(data):
        raise IndexError
    content = data[at + 4 : end]
    entries: dict[str, FieldValue] = {}
    position, size = 0, len(content)
    while position < size:
        start = position + 1
        position = start + content[position]
        if position >= size:
            short_string(content, start - 1)  # its own faults come first
            raise IndexError
        key = content[start:position].decode()
        kind = content[position]
        if kind in _FIXED:
            unpack, length = _FIXED[kind]
            (entries[key],) = unpack(content, position + 1)
            position += length
        else:
            decode = _DECODERS.get(kind, _unknown)
            entries[key], position = decode(content, position + 1, depth + 1)
    return entries, end


def _unknown(data: bytes, at: int, _depth: int) -> NoReturn:
    raise FrameSyntaxError(0, reasons.unknown_field(data[at - 1]))


_FIXED: Final = {
    ord(kind): (Struct(f">{code}").unpack_from, 1 + Struct(f">{code}").size)
    for kind, code in {
        "t": "?",
        "b": "b",
        "B": "B",
        "s": "h",
        "u": "H",
        "I": "i",
        "i": "I",
        "l": "q",
        "L": "q",
        "f": "f",
        "d": "d",
    }.items()
}
"""RabbitMQ's numbers, which differ from AMQP 0-9-1's where the specification contradicts
practice: `s` is a 16-bit integer, and `L` like `l` is signed."""

_DECODERS: Final[dict[int, _Decode]] = {
    ord("D"): _decimal,
    ord("S"): _text,
    ord("x"): _octets,
    ord("T"): timestamp,
    ord("V"): _void,
    ord("A"): _array,
    ord("F"): table,
}


def decode_table(raw: bytes) -> dict[str, FieldValue]:
    """Decode a whole table that starts with its 4-byte length.

    Raises:
        FrameSyntaxError: At offset 0, when the bytes are anything but one table.
    """
    try:
        value, end = table(raw, 0)
    except VALUE_FAULTS as error:
        raise FrameSyntaxError(0, value_fault(error)) from None
    if end != len(raw):
        raise FrameSyntaxError(0, reasons.LEFT_OVER)
    return value
