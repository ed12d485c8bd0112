"""How RabbitMQ compares what stands in tables of arguments and headers."""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from hopmq.typedefs import FieldTable, FieldValue, Timestamp

_LIST: Final = "list"


def seconds_of(moment: datetime | Timestamp) -> int:
    """Return an AMQP timestamp as it travels: seconds since 1970."""
    return int(moment.timestamp()) if isinstance(moment, datetime) else int(moment)


def typed(value: FieldValue) -> Hashable:
    """Return what is equal for values of the same type and content alone.

    Widths of integers are not told apart, since a decoded value no longer has one.
    """
    kind = Timestamp if isinstance(value, datetime) else type(value)
    return kind.__name__, content(value)


def content(value: FieldValue) -> Hashable:
    """Return what is equal for values of the same content, be it text, octets, time or number.

    That is what a header has to share with a binding's argument. What stands inside lists and
    tables is compared with its type.
    """
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, datetime | Timestamp):
        return seconds_of(value)
    if isinstance(value, Decimal):
        return "decimal", *value.as_tuple()
    if isinstance(value, Mapping):
        return _LIST, *((name, typed(item)) for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return _LIST, *map(typed, value)
    return value


def identity_of(table: FieldTable) -> Hashable:
    """Return what is equal for tables with the same entries, in whichever order."""
    return frozenset((name, typed(value)) for name, value in table.items())
