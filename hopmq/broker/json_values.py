"""AMQP values as the management API of RabbitMQ writes them in JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from hopmq.broker.exchanges.values import seconds_of
from hopmq.typedefs import FieldTable, FieldValue, Timestamp


def json_table(table: FieldTable) -> dict[str, Any]:  # Any: what JSON holds
    """Return a table of headers or arguments."""
    return {key: json_value(value) for key, value in table.items()}


def json_value(value: FieldValue) -> Any:  # Any: what JSON holds
    """Return a value: times as seconds since 1970, octets as text."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, datetime | Timestamp):
        return seconds_of(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return json_table(value)
    if isinstance(value, Sequence):
        return [json_value(each) for each in value]
    return value
