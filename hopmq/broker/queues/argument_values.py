"""Which values the arguments of queues may have; what is wrong is said in RabbitMQ's terms."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from hopmq.broker.exchanges.terms import type_of
from hopmq.broker.queues.argument_rules import ArgumentRules
from hopmq.broker.queues.settings import seconds_of_age
from hopmq.broker.refusal import Refusal

Arguments: TypeAlias = Mapping[str, Any]  # Any: whatever a client sent
Check: TypeAlias = Callable[[Any, Arguments, ArgumentRules], str | None]
"""Returns what is wrong with a value, as Erlang prints it; None when nothing is."""

LONGEST: Final = 315_360_000_000
"""Milliseconds that a time may last: ten years (RabbitMQ, MAX_EXPIRY_TIMER)."""

_HIGHEST_PRIORITY: Final = 255
_LARGEST_SEGMENT: Final = 3_000_000_000
_FILTER_SIZES: Final = range(16, 256)
_LOCATORS: Final = ("client-local", "balanced", "random")


def _not_negative(value: Any, _arguments: Arguments, _rules: ArgumentRules) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return f'"expected integer, got {type_of(value)}"'
    return f"{{value_negative,{value}}}" if value < 0 else None


def _positive(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    fault = _not_negative(value, arguments, rules)
    return fault or ("{value_zero,0}" if value == 0 else None)


def _time(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    fault = _not_negative(value, arguments, rules)
    return fault or (f"{{value_too_large,{value}}}" if value > LONGEST else None)


def _expires(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    return _positive(value, arguments, rules) or _time(value, arguments, rules)


def _priority(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    fault = _not_negative(value, arguments, rules)
    too_high = f"{{max_value_exceeded,{value}}}"
    return fault or (too_high if value > _HIGHEST_PRIORITY else None)


def _flag(value: Any, _arguments: Arguments, _rules: ArgumentRules) -> str | None:
    return None if isinstance(value, bool) else _unacceptable(value)


def _one_of(words: tuple[str, ...], fault: str) -> Check:
    def check(value: Any, _arguments: Arguments, _rules: ArgumentRules) -> str | None:
        if not isinstance(value, str):
            return _unacceptable(value)
        return None if value in words else fault

    return check


def _dead_letter_key(value: Any, arguments: Arguments, _rules: ArgumentRules) -> str | None:
    if not isinstance(value, str):
        return _unacceptable(value)
    return None if "x-dead-letter-exchange" in arguments else "routing_key_but_no_dlx_defined"


def _mode(value: Any, _arguments: Arguments, rules: ArgumentRules) -> str | None:
    if not rules.queue_modes:
        return None
    if not isinstance(value, str):
        return _unacceptable(value)
    return None if value in {"default", "lazy"} else f"\"unsupported queue mode '{value}'\""


def _version(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    fault = _not_negative(value, arguments, rules)
    unsupported = f"\"unsupported queue version '{value}'\""
    return fault or (None if value in rules.queue_versions else unsupported)


def _master_locator(_value: Any, _arguments: Arguments, rules: ArgumentRules) -> str | None:
    if not rules.master_locators:
        raise deprecated("queue_master_locator")
    return None


def _age(value: Any, _arguments: Arguments, rules: ArgumentRules) -> str | None:
    if not isinstance(value, str):
        return _unacceptable(value)
    if seconds_of_age(value):
        return None
    if not rules.checks_ages and not value[:1].isdigit():
        raise Refusal(541, "INTERNAL_ERROR")
    return "invalid_max_age"


def milliseconds_of(age: str) -> str:
    """Return an age as RabbitMQ keeps it since 4.3; what is none stays as it is."""
    seconds = seconds_of_age(age)
    return age if seconds is None else str(int(seconds * 1000))


def _filter_size(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    if not rules.filter_size_fault:
        return None
    if rules.checks_ages and (fault := _not_negative(value, arguments, rules)):
        return fault
    if isinstance(value, bool) or value not in _FILTER_SIZES:
        raise Refusal(406, f"PRECONDITION_FAILED - {rules.filter_size_fault}")
    return None


def _segment_size(value: Any, arguments: Arguments, rules: ArgumentRules) -> str | None:
    fault = _not_negative(value, arguments, rules)
    if fault is None and value > _LARGEST_SEGMENT:
        name = "x-stream-max-segment-size-bytes"
        raise Refusal(406, f"PRECONDITION_FAILED - Exceeded max value for {name}")
    return fault


def _unacceptable(value: Any) -> str:
    return f"{{unacceptable_type,{type_of(value)}}}"


def deprecated(feature: str) -> Refusal:
    """Return the refusal of a feature that a release no longer permits."""
    return Refusal(
        541,
        f"INTERNAL_ERROR - Feature `{feature}` is deprecated.\n"
        "By default, this feature is not permitted anymore.\n"
        "The feature will be removed from a future major RabbitMQ version, regardless of the "
        "configuration; actual version to be determined.\n"
        "To continue using this feature when it is not permitted by default",
    )


CHECKS: Final[Mapping[str, Check]] = {
    "x-expires": _expires,
    "x-message-ttl": _time,
    "x-dead-letter-routing-key": _dead_letter_key,
    "x-dead-letter-strategy": _one_of(("at-most-once", "at-least-once"), "invalid_dlx_strategy"),
    "x-max-length": _not_negative,
    "x-max-length-bytes": _not_negative,
    "x-max-in-memory-length": _not_negative,
    "x-max-in-memory-bytes": _not_negative,
    "x-max-priority": _priority,
    "x-overflow": _one_of(
        ("drop-head", "reject-publish", "reject-publish-dlx"), "invalid_overflow"
    ),
    "x-queue-mode": _mode,
    "x-queue-version": _version,
    "x-queue-master-locator": _master_locator,
    "x-single-active-consumer": _flag,
    "x-quorum-initial-group-size": _positive,
    "x-max-age": _age,
    "x-stream-max-segment-size-bytes": _segment_size,
    "x-stream-filter-size-bytes": _filter_size,
    "x-initial-cluster-size": _positive,
    "x-queue-leader-locator": _one_of(_LOCATORS, "invalid_queue_locator_arg"),
    "x-consumer-timeout": _not_negative,
    "x-consumer-disconnected-timeout": _not_negative,
}
"""The arguments whose values are looked at, in RabbitMQ's order."""
