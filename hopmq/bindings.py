"""Bindings as values: equal where RabbitMQ takes them for the same one."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from hopmq.typedefs import FieldTable, FieldValue, Timestamp


@dataclass(slots=True, frozen=True, eq=False)
class Binding:
    """A rule by which an exchange passes messages on.

    Equal to one with the same ends, key and arguments; these are compared with their types and
    in any order. Do not change the arguments of one that serves as a key.

    Attributes:
        source: Name of the exchange that it leads from.
        destination: Name of the queue or exchange that it leads to.
        kind: What `destination` is.
        routing_key: Its binding key.
        arguments: Its arguments; what they mean depends on the type of exchange.
    """

    source: str
    destination: str
    kind: Literal["queue", "exchange"] = "queue"
    routing_key: str = ""
    arguments: FieldTable = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Compare ends, key and arguments."""
        if not isinstance(other, Binding):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(self._identity())

    def _identity(self) -> Hashable:
        arguments = _identity_of(self.arguments) if self.arguments else None
        return self.source, self.destination, self.kind, self.routing_key, arguments


def _identity_of(table: FieldTable) -> Hashable:
    """Return what is equal for tables with the same entries, in whichever order."""
    return frozenset((name, _typed(value)) for name, value in table.items())


def _typed(value: FieldValue) -> Hashable:
    """Return what is equal for values that travel alike: True is not 1, and 1.0 is not 1."""
    if value is None or isinstance(value, bool | bytes):
        return type(value).__name__, value
    if isinstance(value, str):
        return "str", str(value)
    if isinstance(value, datetime):
        return "Timestamp", int(value.timestamp())
    if isinstance(value, Timestamp):
        return "Timestamp", int(value)
    if isinstance(value, float):
        return "float", value.hex()
    if isinstance(value, Decimal):
        return "Decimal", value.as_tuple()
    if isinstance(value, Mapping):
        return "table", *((name, _typed(item)) for name, item in value.items())
    if isinstance(value, Sequence):
        return "list", *map(_typed, value)
    return "int", int(value)
