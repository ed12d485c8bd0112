"""Whether something is declared again as it was declared before; if not, RabbitMQ's refusal."""

from collections.abc import Mapping
from typing import Any

from hopmq.broker.exchanges.terms import type_of
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
    if name not in received and name not in current:
        return
    if name in received and name in current:
        one, other = received[name], current[name]
        if one == other and isinstance(one, bool) is isinstance(other, bool):
            return
        words = f"received '{_word(one)}' but current is '{_word(other)}'"
    else:
        words = f"received {_described(received, name)} but current is {_described(current, name)}"
    raise Refusal(406, f"PRECONDITION_FAILED - inequivalent arg '{name}' for {what}: {words}")


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(arguments: Mapping[str, Any], name: str) -> str:
    if name not in arguments:
        return "none"
    value = arguments[name]
    return f"the value '{_word(value)}' of type '{type_of(value)}'"
