"""Which policies are refused, in RabbitMQ's words."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from hopmq.broker.emulation import Emulation
from hopmq.broker.exchanges.terms import term
from hopmq.broker.policies import APPLY_TO, Policy
from hopmq.errors import UsageError

Table: TypeAlias = Mapping[str, Any]  # Any: what JSON holds

_OLD_TARGETS: Final = frozenset({"all", "queues", "exchanges"})
_LONGEST_TIME: Final = 2**32 - 1
_LARGEST_SEGMENT: Final = 3_000_000_000
_AGE: Final = re.compile(r"[0-9]+[YMDhms]")
_RETRY_TYPES: Final = ("all", "failed", "returned", "disabled")


class PolicyError(UsageError):
    """A policy is not one that RabbitMQ would take.

    Attributes:
        reason: RabbitMQ's answer, of several lines.
    """

    def __init__(self, faults: list[str]) -> None:
        """Name what is wrong."""
        self.reason: str = "Validation failed\n\n" + "".join(f"{fault}\n" for fault in faults)
        super().__init__(self.reason.strip())


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one setting may be, and how RabbitMQ calls it when it is not that."""

    is_valid: Callable[[Any], bool]
    what: str


def new_policy(
    name: str, table: Table, emulation: Emulation, *, is_operator: bool = False
) -> Policy:
    """Return the policy that a table in RabbitMQ's spelling describes.

    Args:
        name: Its name.
        table: pattern, definition, and perhaps priority and apply-to.
        emulation: The release whose rules count.
        is_operator: Whether it is an operator policy, which knows limits alone.

    Raises:
        PolicyError: RabbitMQ would refuse it.
    """
    faults = list(_faults(table, emulation, is_operator=is_operator))
    if faults:
        raise PolicyError(faults)
    return Policy(
        name=name,
        pattern=table["pattern"],
        definition=dict(table["definition"]),
        apply_to=table.get("apply-to", "all"),
        priority=table.get("priority", 0),
    )


def _faults(table: Table, emulation: Emulation, *, is_operator: bool) -> Iterator[str]:
    priority = table.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        yield f"priority should be a number, actually was {term(priority)}"
    yield from _faults_of_pattern(table.get("pattern"))
    yield from _faults_of_target(table.get("apply-to", "all"), emulation)
    definition = table.get("definition")
    if not isinstance(definition, Mapping):
        yield f"definition should be a table, actually was {term(definition)}"
    else:
        rules = _OPERATOR_RULES if is_operator else _RULES[emulation.release]
        yield from _faults_of_definition(definition, rules)


def _faults_of_pattern(pattern: object) -> Iterator[str]:
    if not isinstance(pattern, str):
        yield f"pattern should be a binary but was {term(pattern)}"  # type: ignore[arg-type]
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield (
            "pattern should be regular expression but is invalid: "
            f'{{"{error.msg}",{error.pos or 0}}}'
        )


def _faults_of_target(target: object, emulation: Emulation) -> Iterator[str]:
    if not emulation.policies_by_kind:
        if target not in _OLD_TARGETS:
            yield (f"apply-to '{target}' unrecognised; should be 'queues', 'exchanges' or 'all'")
    elif target not in APPLY_TO:
        yield (
            f"apply-to '{target}' unrecognised; should be one of: 'queues', 'classic_queues',  "
            "'quorum_queues', 'streams', 'exchanges', or 'all'"
        )


def _faults_of_definition(definition: Table, rules: Mapping[str, _Rule]) -> Iterator[str]:
    if not definition:
        yield "no policy provided"
        return
    unknown = [(key, value) for key, value in definition.items() if key not in rules]
    if unknown:
        listed = ",".join(f"{{{term(key)},{term(value)}}}" for key, value in unknown)
        yield f"[{listed}] are not recognised policy settings"
        return
    for key, value in definition.items():
        rule = rules[key]
        if not rule.is_valid(value):
            yield _SPECIAL.get(key, "{value} is not a valid {what}").format(
                value=term(value), what=rule.what
            )
            return
    retry = definition.get("delayed-retry-type", "disabled")
    if retry != "disabled" and "delayed-retry-min" not in definition:
        yield f"delayed-retry-min is required when delayed-retry-type is {retry}"


_SPECIAL: Final[Mapping[str, str]] = {
    "delayed-retry-type": "{value} is not a valid {what}. Must be one of: all, failed, returned, "
    "disabled",
    "delayed-retry-min": "{value} is not a valid {what}. Must be a positive integer",
    "delayed-retry-max": "{value} is not a valid {what}. Must be a positive integer",
}


# --- what a value may be -------------------------------------------------------------------------


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(lowest: int, highest: int | None = None) -> Callable[[Any], bool]:
    def is_valid(value: Any) -> bool:  # Any: what JSON holds
        if not _is_integer(value) or value < lowest:
            return False
        return highest is None or value <= highest

    return is_valid


def _one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, bool) and value in values


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_age(value: object) -> bool:
    return isinstance(value, str) and _AGE.fullmatch(value) is not None


def _is_anything(_value: object) -> bool:
    return True


_COMMON: Final[Mapping[str, _Rule]] = {
    "message-ttl": _Rule(_whole(0, _LONGEST_TIME), "message TTL"),
    "expires": _Rule(_whole(1, _LONGEST_TIME), "queue expiry"),
    "max-length": _Rule(_whole(0), "maximum length"),
    "max-length-bytes": _Rule(_whole(0), "maximum length in bytes"),
    "max-in-memory-length": _Rule(_whole(0), "maximum memory in bytes"),
    "max-in-memory-bytes": _Rule(_whole(0), "maximum memory in bytes"),
    "overflow": _Rule(
        _one_of("drop-head", "reject-publish", "reject-publish-dlx"), "overflow value"
    ),
    "dead-letter-exchange": _Rule(_is_text, "dead letter exchange name"),
    "dead-letter-routing-key": _Rule(_is_text, "dead letter routing key"),
    "dead-letter-strategy": _Rule(_one_of("at-most-once", "at-least-once"), "dead letter strategy"),
    "alternate-exchange": _Rule(_is_text, "alternate exchange name"),
    "delivery-limit": _Rule(_is_integer, "delivery limit"),
    "max-age": _Rule(_is_age, "max age"),
    "queue-mode": _Rule(_one_of("default", "lazy"), "queue-mode value"),
    "queue-version": _Rule(_one_of(1, 2), "queue-version value"),
    "queue-master-locator": _Rule(
        _one_of("min-masters", "client-local", "random"), "master locator"
    ),
    "queue-leader-locator": _Rule(
        _one_of("client-local", "balanced", "random", "least-leaders"),
        "queue leader locator value",
    ),
    "stream-max-segment-size-bytes": _Rule(_whole(0, _LARGEST_SEGMENT), "segment size"),
    "initial-cluster-size": _Rule(_whole(0), "cluster size"),
}
_SINCE_4: Final[Mapping[str, _Rule]] = {
    "consumer-timeout": _Rule(_whole(0), "consumer timeout"),
    "target-group-size": _Rule(_whole(0), "target group size"),
}
_SINCE_4_3: Final[Mapping[str, _Rule]] = {
    "delayed-retry-type": _Rule(_one_of(*_RETRY_TYPES), "delayed retry type"),
    "delayed-retry-min": _Rule(_whole(1), "delayed retry minimum delay"),
    "delayed-retry-max": _Rule(_whole(1), "delayed retry maximum delay"),
}
_BEFORE_4: Final[Mapping[str, _Rule]] = {
    "delivery-limit": _Rule(_whole(0), "delivery limit"),
    # Mirrors of classic queues: taken and without effect on a single node.
    "ha-mode": _Rule(_one_of("all", "exactly", "nodes"), "ha-mode"),
    "ha-params": _Rule(_is_anything, "ha-params"),
    "ha-sync-mode": _Rule(_one_of("automatic", "manual"), "ha-sync-mode"),
    "ha-sync-batch-size": _Rule(_whole(1), "ha-sync-batch-size"),
    "ha-promote-on-shutdown": _Rule(_one_of("always", "when-synced"), "ha-promote-on-shutdown"),
    "ha-promote-on-failure": _Rule(_one_of("always", "when-synced"), "ha-promote-on-failure"),
}

_RULES: Final[Mapping[str, Mapping[str, _Rule]]] = {
    "3.10": {**_COMMON, **_BEFORE_4},
    "4.0": {**_COMMON, **_SINCE_4},
    "4.3": {**_COMMON, **_SINCE_4, **_SINCE_4_3},
}
_OPERATOR_RULES: Final = {
    key: rule
    for key, rule in {**_COMMON, **_SINCE_4}.items()
    if key
    in {
        "message-ttl",
        "expires",
        "max-length",
        "max-length-bytes",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "delivery-limit",
        "target-group-size",
    }
}
