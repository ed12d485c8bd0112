"""Whether something is declared again as it was declared before; if not, RabbitMQ's refusal."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from hopmq.broker.refusal import Refusal


def check_same(what: str, name: str, received: object, current: object) -> None:
    """Refuse a property that differs.

    Args:
        what: What is declared, such as `queue 'q' in vhost '/'`.
        name: The property.
        received: Its value in the declaration.
        current: Its value as it stands.
    """
    if received != current:
        raise Refusal(
            406,
            f"PRECONDITION_FAILED - inequivalent arg '{name}' for {what}: received "
            f"'{_word(received)}' but current is '{_word(current)}'",
        )


def check_same_argument(
    what: str, name: str, received: Mapping[str, Any], current: Mapping[str, Any]
) -> None:
    """Refuse an argument that is missing, new or of another value."""
    one, other = received.get(name), current.get(name)
    if one != other or isinstance(one, bool) is not isinstance(other, bool):
        raise Refusal(
            406,
            f"PRECONDITION_FAILED - inequivalent arg '{name}' for {what}: received "
            f"{_described(one)} but current is {_described(other)}",
        )


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(value: object) -> str:
    if value is None:
        return "none"
    return f"the value '{_word(value)}' of type '{_type(value)}'"


def _type(value: object) -> str:
    """Name a type as RabbitMQ does; the width of an integer is not kept by the codec."""
    names = (
        (bool, "bool"),
        (int, "signedint"),
        (str, "longstr"),
        (float, "double"),
        (Decimal, "decimal"),
        (datetime, "timestamp"),
        (list, "array"),
        (dict, "table"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "binary")
