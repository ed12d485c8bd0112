"""What RabbitMQ refuses in a queue declaration: known here, so that it is refused before the wire."""

import re
from typing import Final

from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable

_AT_LEAST: Final = {
    "x-message-ttl": 0,
    "x-expires": 1,
    "x-max-length": 0,
    "x-max-length-bytes": 0,
    "x-max-priority": 0,
    "x-quorum-initial-group-size": 1,
    "x-initial-cluster-size": 1,
    "x-stream-max-segment-size-bytes": 0,
}
_AT_MOST: Final = {
    "x-max-priority": 255,
    "x-stream-max-segment-size-bytes": 3_000_000_000,
}
_ONE_OF: Final = {
    "x-overflow": ("drop-head", "reject-publish", "reject-publish-dlx"),
    "x-dead-letter-strategy": ("at-most-once", "at-least-once"),
}
_AGE: Final = re.compile(r"[1-9][0-9]*[YMDhms]")

_OF_CLASSIC: Final = {"x-max-priority", "x-queue-mode", "x-queue-version"}
_OF_QUORUM: Final = {"x-delivery-limit", "x-quorum-initial-group-size", "x-dead-letter-strategy"}
_OF_STREAM: Final = {
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size",
}
_OF_EMPTIED: Final = {
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-single-active-consumer",
}
_NOT_OF: Final = {
    "classic": _OF_QUORUM | _OF_STREAM,
    "quorum": _OF_CLASSIC | _OF_STREAM,
    "stream": _OF_CLASSIC | _OF_QUORUM | _OF_EMPTIED,
}


def check_queue(
    name: str, durable: bool, exclusive: bool, auto_delete: bool, arguments: FieldTable
) -> None:
    """Raise for what RabbitMQ would refuse.

    Raises:
        UsageError: A value is out of its range, or does not go with the queue's type or with
            the other arguments.
    """
    _check_values(arguments)
    kind = arguments.get("x-queue-type")
    if kind is not None and not isinstance(kind, str):
        raise UsageError(f"x-queue-type is the name of a type, not {kind!r}")
    what = f"a {kind} queue"
    for argument in sorted(_NOT_OF.get(kind or "", set()) & arguments.keys()):
        raise UsageError(f"{what} does not take {argument}")
    if kind in {"quorum", "stream"}:
        if not name:
            raise UsageError(f"{what} needs a name: RabbitMQ names only classic queues itself")
        if not durable or exclusive or auto_delete:
            raise UsageError(f"{what} is always durable, and never exclusive or auto_delete")
    if kind == "quorum":
        _check_quorum(arguments)


def _check_values(arguments: FieldTable) -> None:
    for name in _AT_LEAST.keys() & arguments.keys():
        value = arguments[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"{name} is a whole number, not {value!r}")
        if value < _AT_LEAST[name]:
            raise UsageError(f"{name} is at least {_AT_LEAST[name]}, not {value}")
        if value > _AT_MOST.get(name, value):
            raise UsageError(f"{name} is at most {_AT_MOST[name]}, not {value}")
    for name in _ONE_OF.keys() & arguments.keys():
        if arguments[name] not in _ONE_OF[name]:
            raise UsageError(f"{name} is one of {', '.join(_ONE_OF[name])}")
    age = arguments.get("x-max-age", "1D")
    if not isinstance(age, str) or not _AGE.fullmatch(age):
        raise UsageError(f"x-max-age is a number and one of Y M D h m s, such as 7D, not {age!r}")
    if "x-dead-letter-routing-key" in arguments and "x-dead-letter-exchange" not in arguments:
        raise UsageError("a dead_letter_routing_key needs a dead_letter_exchange")


def _check_quorum(arguments: FieldTable) -> None:
    """Refuse what RabbitMQ takes without doing it, with no more than a log line."""
    if arguments.get("x-overflow") == "reject-publish-dlx":
        raise UsageError("a quorum queue does not know the overflow reject-publish-dlx")
    if arguments.get("x-dead-letter-strategy") != "at-least-once":
        return
    if arguments.get("x-overflow") != "reject-publish":
        raise UsageError("dead_letter_strategy at-least-once needs overflow reject-publish")
    if "x-dead-letter-exchange" not in arguments:
        raise UsageError("dead_letter_strategy at-least-once needs a dead_letter_exchange")
