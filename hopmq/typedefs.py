"""Names for the types that users meet in more than one place."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias


class Timestamp(int):
    """An AMQP timestamp that `datetime` cannot hold: seconds since 1970, as received.

    Some publishers write milliseconds. Such a value arrives as a `Timestamp`, and is sent back
    as the same timestamp.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the class, since the number alone reads as an AMQP integer."""
        return f"Timestamp({int(self)})"


FieldValue: TypeAlias = (
    bool
    | int
    | float
    | Decimal
    | str
    | bytes
    | datetime
    | Timestamp
    | Sequence["FieldValue"]
    | Mapping[str, "FieldValue"]
    | None
)
"""A value in a table of headers or arguments."""

FieldTable: TypeAlias = Mapping[str, FieldValue]
"""Headers or arguments."""

Body: TypeAlias = bytes | bytearray | memoryview
"""What can be published as a message body."""
