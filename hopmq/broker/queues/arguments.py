"""Which declarations of queues are refused, in RabbitMQ's words."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.exchanges.terms import type_of
from hopmq.broker.queues.argument_rules import RULES, ArgumentRules
from hopmq.broker.queues.argument_values import CHECKS, milliseconds_of
from hopmq.broker.refusal import Refusal

if TYPE_CHECKING:
    from hopmq.broker.vhost import VirtualHost

TYPE: Final = "x-queue-type"
DEFAULT_TYPE: Final = "classic"

_COMPARED: Final = {
    "classic": (
        "x-expires",
        "x-message-ttl",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-max-length",
        "x-max-length-bytes",
        "x-max-priority",
        "x-overflow",
        "x-queue-mode",
        "x-queue-version",
        "x-single-active-consumer",
        "x-queue-master-locator",
        "x-queue-leader-locator",
    ),
    "quorum": (
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-dead-letter-strategy",
        "x-expires",
        "x-max-length",
        "x-max-length-bytes",
        "x-max-in-memory-length",
        "x-max-in-memory-bytes",
        "x-overflow",
        "x-single-active-consumer",
        "x-quorum-initial-group-size",
        "x-delivery-limit",
        "x-message-ttl",
        "x-queue-leader-locator",
        "x-consumer-disconnected-timeout",
        "x-consumer-timeout",
        "x-delayed-retry-type",
        "x-delayed-retry-min",
        "x-delayed-retry-max",
    ),
    "stream": (
        "x-max-length-bytes",
        "x-max-age",
        "x-stream-max-segment-size-bytes",
        "x-stream-filter-size-bytes",
        "x-initial-cluster-size",
        "x-queue-leader-locator",
    ),
}
"""Arguments in which a declaration must agree with an existing queue of each kind, in their order.

The type is not among them; nor is what the kind does not know in a release.
"""


def check_type(
    vhost: "VirtualHost", name: str, arguments: Mapping[str, Any], kinds: Collection[str]
) -> str:
    """Return the kind of queue that a declaration asks for.

    Raises:
        Refusal: It is none of `kinds` (406).
    """
    kind = arguments.get(TYPE, DEFAULT_TYPE)
    if kind == "" and rules_of(vhost).takes_empty_type:
        return DEFAULT_TYPE
    if not isinstance(kind, str):
        raise _invalid(vhost, name, TYPE, f"{{unacceptable_type,{type_of(kind)}}}")
    if kind not in kinds:
        raise _invalid(vhost, name, TYPE, f"\"unsupported queue type '{kind}'\"")
    return kind


def check_server_named(kind: str) -> None:
    """Refuse to name a queue that is not of a kind to be named by a broker."""
    if kind != "classic":
        text = f"Cannot declare a server-named queue for type rabbit_{kind}_queue"
        raise Refusal(406, f"PRECONDITION_FAILED - {text}")


def check_dead_letter_exchange(
    vhost: "VirtualHost", name: str, arguments: Mapping[str, Any]
) -> str | None:
    """Return where dead messages are to go.

    Raises:
        Refusal: That is no name (406).
    """
    argument = "x-dead-letter-exchange"
    if argument not in arguments:
        return None
    exchange = arguments[argument]
    if isinstance(exchange, str):
        return exchange
    raise Refusal(
        406,
        f"PRECONDITION_FAILED - invalid type '{type_of(exchange)}' for arg '{argument}' in "
        f"{_what(vhost, name)}",
    )


def check_declaration(
    vhost: "VirtualHost",
    name: str,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
) -> None:
    """Refuse a declaration of a new queue that RabbitMQ would refuse."""
    rules = rules_of(vhost)
    foreign = rules.foreign(kind)
    for argument in arguments:
        if argument in foreign:
            raise Refusal(
                406,
                f"PRECONDITION_FAILED - invalid arg '{argument}' for {_what(vhost, name)} of "
                f"queue type rabbit_{kind}_queue",
            )
    _check_values(vhost, name, kind, arguments, rules)
    if kind == "classic":
        return
    for wrong, flag in (
        ("auto-delete", auto_delete),
        ("exclusive-owner", exclusive),
        ("non-durable", not durable),
    ):
        if flag:
            text = f"invalid property '{wrong}' for {_what(vhost, name)}"
            raise Refusal(406, f"PRECONDITION_FAILED - {text}")


def _check_values(
    vhost: "VirtualHost",
    name: str,
    kind: str,
    arguments: Mapping[str, Any],
    rules: ArgumentRules,
) -> None:
    known = rules.known[kind]
    for argument, check in CHECKS.items():
        if argument not in arguments:
            continue
        if argument in known or (argument, kind) == _NEVER_FOREIGN:
            fault = check(arguments[argument], arguments, rules)
            if fault is not None:
                raise _invalid(vhost, name, argument, fault)


_NEVER_FOREIGN: Final = ("x-stream-filter-size-bytes", "stream")
"""What streams look at in every release, and other queues refuse only since 4.3."""


def as_compared(arguments: Mapping[str, Any], rules: ArgumentRules) -> Mapping[str, Any]:
    """Return the arguments of a declaration as they are compared with those of the queue."""
    changes = {}
    if rules.names_default_type and TYPE not in arguments:
        changes[TYPE] = DEFAULT_TYPE
    age = arguments.get("x-max-age")
    if rules.ages_in_milliseconds and isinstance(age, str):
        changes["x-max-age"] = milliseconds_of(age)
    return {**arguments, **changes}


def compared(kind: str, rules: ArgumentRules) -> Iterator[str]:
    """Return the arguments in which a declaration must agree with a queue of that kind, in order."""
    return (argument for argument in _COMPARED[kind] if argument in rules.known[kind])


def rules_of(vhost: "VirtualHost") -> ArgumentRules:
    """Return what the release that is emulated does with arguments."""
    return RULES[vhost.emulation.release]


def _invalid(vhost: "VirtualHost", name: str, argument: str, fault: str) -> Refusal:
    return Refusal(
        406,
        f"PRECONDITION_FAILED - invalid arg '{argument}' for {_what(vhost, name)}: {fault}",
    )


def _what(vhost: "VirtualHost", name: str) -> str:
    return f"queue '{name}' in vhost '{vhost.name}'"
