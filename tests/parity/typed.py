"""A message's headers with the type tags they have on the wire, which decoding leaves out."""

from struct import unpack_from
from typing import Any

FIXED = {
    "t": ">?",
    "b": ">b",
    "B": ">B",
    "s": ">h",
    "u": ">H",
    "I": ">i",
    "i": ">I",
    "l": ">q",
    "f": ">f",
    "d": ">d",
    "T": ">Q",
}
"""Tags of values of one size, as RabbitMQ writes them (AMQP 0-9-1 errata of RabbitMQ)."""

SIZES = {"b": 1, "B": 1, "t": 1, "s": 2, "u": 2, "I": 4, "i": 4, "f": 4, "l": 8, "d": 8, "T": 8}

CONTENT_TYPE, CONTENT_ENCODING, HEADERS = 1 << 15, 1 << 14, 1 << 13
"""Flags of the properties that come first."""

Typed = tuple[str, Any]  # Any: as nested as a table
"""A tag and its value; within tables and arrays, such pairs again."""


def typed_headers(message: Any) -> dict[str, Typed]:  # Any: a message of either codec
    """Return the headers of a message by name, each with its tag; empty if it has none."""
    raw: bytes = message.raw_properties
    flags = int.from_bytes(raw[:2], "big")
    if not flags & HEADERS:
        return {}
    at = 2
    for earlier in (CONTENT_TYPE, CONTENT_ENCODING):
        if flags & earlier:
            at += 1 + raw[at]
    return _table(raw, at)[0]


def _table(data: bytes, at: int) -> tuple[dict[str, Typed], int]:
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    at += 4
    found: dict[str, Typed] = {}
    while at < end:
        size = data[at]
        name = data[at + 1 : at + 1 + size].decode()
        found[name], at = _value(data, at + 1 + size)
    return found, at


def _array(data: bytes, at: int) -> tuple[list[Typed], int]:
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    at += 4
    found: list[Typed] = []
    while at < end:
        value, at = _value(data, at)
        found.append(value)
    return found, at


def _value(data: bytes, at: int) -> tuple[Typed, int]:
    tag = chr(data[at])
    at += 1
    if tag in FIXED:
        return (tag, unpack_from(FIXED[tag], data, at)[0]), at + SIZES[tag]
    if tag == "V":
        return (tag, None), at
    if tag in "Sx":
        size = int.from_bytes(data[at : at + 4], "big")
        return (tag, data[at + 4 : at + 4 + size].decode()), at + 4 + size
    value, at = (_table if tag == "F" else _array)(data, at)
    return (tag, value), at
