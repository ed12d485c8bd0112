"""Property lists as bytes: what the broker writes into them, without touching the rest.

To decode and encode them anew would change the widths of a publisher's numbers.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from struct import Struct
from typing import Final, TypeAlias

from hopmq.broker.message import DELIVERY_MODE, EXPIRATION, HEADERS, PRIORITY, REPLY_TO

Field: TypeAlias = bytes
"""A value with its type in front (AMQP 0-9-1, 4.2.1)."""

_LONG = Struct(">I").pack
_FIELD_LONG = Struct(">cI").pack
_FIELD_LONGLONG = Struct(">cq").pack
_LENGTH: Final = 4
_CONTENT_TYPE: Final = 0x80
_CONTENT_ENCODING: Final = 0x40
_CORRELATION_ID: Final = 0x04

_SIZES: Final = {
    ord(kind): size
    for kinds, size in (("V", 0), ("tbB", 1), ("su", 2), ("Iif", 4), ("D", 5), ("lLdT", 8))
    for kind in kinds
}
_VARIABLE: Final = frozenset(b"SxAF")
_INTEGERS: Final = frozenset({b"b", b"B", b"s", b"u", b"I", b"i", b"l", b"L"})
_UNSIGNED: Final = frozenset({b"B", b"u", b"i"})


class MalformedTableError(ValueError):
    """The bytes are no table of fields."""


# --- values --------------------------------------------------------------------------------


def number(value: int) -> Field:
    """Return an integer, of the width that RabbitMQ gives its own."""
    return _FIELD_LONGLONG(b"l", value)


def integer_of(field: Field) -> int:
    """Return the integer that a field is, of whichever width; 0 if it is none."""
    if field[:1] not in _INTEGERS:
        return 0
    return int.from_bytes(field[1:], "big", signed=field[:1] not in _UNSIGNED)


def text(value: str) -> Field:
    """Return a string."""
    raw = value.encode()
    return _FIELD_LONG(b"S", len(raw)) + raw


def moment(value: datetime | float) -> Field:
    """Return a time, in whole seconds since 1970."""
    seconds = value.timestamp() if isinstance(value, datetime) else value
    return _FIELD_LONGLONG(b"T", int(seconds))


def array(items: Iterable[Field]) -> Field:
    """Return an array."""
    content = b"".join(items)
    return _FIELD_LONG(b"A", len(content)) + content


def table(fields: Mapping[str, Field]) -> Field:
    """Return a table within another."""
    return b"F" + _table(fields)


def items_of(field: Field) -> list[Field]:
    """Return what is in an array; nothing if it is no array.

    Raises:
        MalformedTableError: It cannot be read.
    """
    if field[:1] != b"A":
        return []
    found = []
    at, end = 1 + _LENGTH, len(field)
    while at < end:
        after = _end_of_field(field, at, end)
        found.append(field[at:after])
        at = after
    return found


def fields_of(field: Field) -> dict[str, Field]:
    """Return what is in a table; nothing if it is no table.

    Raises:
        MalformedTableError: It cannot be read.
    """
    return _fields(field, 1 + _LENGTH, len(field)) if field[:1] == b"F" else {}


# --- headers -------------------------------------------------------------------------------


def headers_of(raw: bytes) -> dict[str, Field]:
    """Return the headers in a property list, in their order.

    Raises:
        MalformedTableError: They cannot be read.
    """
    if not raw[0] & HEADERS:
        return {}
    start = _start_of_headers(raw)
    return _fields(raw, start + _LENGTH, _end_of_table(raw, start, len(raw)))


def with_headers(raw: bytes, headers: Mapping[str, Field]) -> bytes:
    """Return a property list with these headers in place of its own, sorted by name.

    RabbitMQ sorts whenever it adds a header.

    Raises:
        MalformedTableError: What is there cannot be read.
    """
    start = end = _start_of_headers(raw)
    if raw[0] & HEADERS:
        end = _end_of_table(raw, start, len(raw))
    flags = bytes((raw[0] | HEADERS, raw[1]))
    return b"".join((flags, raw[2:start], _table(dict(sorted(headers.items()))), raw[end:]))


def with_added(raw: bytes, added: dict[str, Field]) -> bytes:
    """Return a property list with these headers as well, in place of those of the same names.

    Headers that cannot be read stay as they are, without anything added.
    """
    try:
        return with_headers(raw, headers_of(raw) | added)
    except MalformedTableError:
        return raw


def without_expiration(raw: bytes) -> bytes:
    """Return a property list without its expiration.

    Raises:
        MalformedTableError: What stands before it cannot be read.
    """
    if not raw[0] & EXPIRATION:
        return raw
    at = _start_of_headers(raw)
    if raw[0] & HEADERS:
        at = _end_of_table(raw, at, len(raw))
    at += bool(raw[0] & DELIVERY_MODE) + bool(raw[0] & PRIORITY)
    for flag in (_CORRELATION_ID, REPLY_TO):
        if raw[0] & flag:
            at = _end_of_text(raw, at)
    flags = bytes((raw[0] & ~EXPIRATION, raw[1]))
    return flags + raw[2:at] + raw[_end_of_text(raw, at) :]


def _table(fields: Mapping[str, Field]) -> bytes:
    parts = [b""]
    for name, field in fields.items():
        key = name.encode(errors="surrogateescape")
        parts += (bytes((len(key),)), key, field)
    content = b"".join(parts)
    return _LONG(len(content)) + content


def _fields(raw: bytes, at: int, end: int) -> dict[str, Field]:
    found: dict[str, Field] = {}
    while at < end:
        key = at + 1
        at = key + raw[at]
        if at >= end:
            raise MalformedTableError
        after = _end_of_field(raw, at, end)
        found[raw[key:at].decode(errors="surrogateescape")] = raw[at:after]
        at = after
    return found


def _end_of_field(raw: bytes, at: int, end: int) -> int:
    kind = raw[at]
    if kind in _VARIABLE:
        return _end_of_table(raw, at + 1, end)
    size = _SIZES.get(kind)
    if size is None or at + 1 + size > end:
        raise MalformedTableError
    return at + 1 + size


def _end_of_table(raw: bytes, at: int, end: int) -> int:
    """Return where something ends whose length stands at `at`."""
    after = at + _LENGTH + int.from_bytes(raw[at : at + _LENGTH], "big")
    if at + _LENGTH > end or after > end:
        raise MalformedTableError
    return after


def _start_of_headers(raw: bytes) -> int:
    """Return where the headers are, or would be: after content type and encoding."""
    at = 2
    for flag in (_CONTENT_TYPE, _CONTENT_ENCODING):
        if raw[0] & flag:
            at = _end_of_text(raw, at)
    return at


def _end_of_text(raw: bytes, at: int) -> int:
    """Return where a short string ends that starts at `at`."""
    if at >= len(raw):
        raise MalformedTableError
    return at + 1 + raw[at]
