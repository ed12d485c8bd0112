"""How RabbitMQ words values in its texts: as terms of Erlang."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from hopmq.broker.exchanges.values import seconds_of
from hopmq.typedefs import FieldValue, Timestamp

_TYPES: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "bool"),
    ((datetime, Timestamp), "timestamp"),
    (float, "double"),
    (Decimal, "decimal"),
    (str, "longstr"),
    ((bytes, bytearray), "binary"),
    (Mapping, "table"),
    (Sequence, "array"),
)
_WIDTHS: Final = (
    ("byte", range(-(2**7), 2**7)),
    ("short", range(-(2**15), 2**15)),
    ("signedint", range(-(2**31), 2**31)),
)


def type_of(value: FieldValue) -> str:
    """Return RabbitMQ's word for the AMQP type of a value.

    A decoded integer has no width; it is taken for the narrowest that holds it, which is what
    HopMQ itself and other clients in Python send.
    """
    if value is None:
        return "void"
    for kinds, word in _TYPES:
        if isinstance(value, kinds):
            return word
    return next((word for word, values in _WIDTHS if value in values), "long")


def term(value: FieldValue) -> str:
    """Return a value as Erlang prints it on one line."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes | bytearray):
        return _octets(bytes(value))
    if isinstance(value, datetime | Timestamp):
        return str(seconds_of(value))
    if isinstance(value, Mapping):
        entries = (f"{{{term(k)},{type_of(v)},{term(v)}}}" for k, v in value.items())
        return f"[{','.join(entries)}]"
    if isinstance(value, Sequence):
        return f"[{','.join(f'{{{type_of(item)},{term(item)}}}' for item in value)}]"
    return str(value)


def _text(text: str) -> str:
    if not text:
        return "<<>>"
    if not text.isprintable():
        return _numbers(text.encode())
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'<<"{quoted}">>' if text.isascii() else f'<<"{quoted}"/utf8>>'


def _octets(octets: bytes) -> str:
    try:
        return _text(octets.decode())
    except UnicodeDecodeError:
        return _numbers(octets)


def _numbers(octets: bytes) -> str:
    return f"<<{','.join(map(str, octets))}>>"
