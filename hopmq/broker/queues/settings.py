"""What a queue is told by its arguments and by the policy that matches it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from hopmq.broker.emulation import Emulation

_LOWER_WINS: Final = frozenset(
    {"message-ttl", "expires", "max-length", "max-length-bytes", "delivery-limit"}
)
"""Keys of which the lower value counts where argument and policy both name one."""

DROP_HEAD: Final = "drop-head"
REJECT_PUBLISH: Final = "reject-publish"
REJECT_PUBLISH_DLX: Final = "reject-publish-dlx"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The limits and habits of one queue; times in seconds, None for none.

    Attributes:
        message_ttl: How long a message is kept.
        expires: How long the queue lives unused.
        max_length: Ready messages it holds.
        max_length_bytes: Bytes of their bodies.
        overflow: What happens beyond: drop-head, reject-publish or reject-publish-dlx.
        dead_letter_exchange: Where dead messages go.
        dead_letter_routing_key: With which key; their own without.
        at_least_once: Whether dead messages are kept until they have arrived.
        max_priority: Highest priority told apart; 0 for none.
        single_active_consumer: Whether one consumer at a time is served.
        delivery_limit: How often a message may come back (quorum queues); None for ever.
        consumer_timeout: How long a delivery may stay unsettled; None for the broker's own limit.
        delayed_retry: Which returned messages wait: disabled, all, failed or returned.
        delayed_retry_min, delayed_retry_max: How long they wait.
        max_age: How long a stream keeps a message.
        max_segment_size: Bytes of one segment of a stream.
        is_bounded: Whether there is a limit of length; kept since every publish asks.
    """

    message_ttl: float | None = None
    expires: float | None = None
    max_length: int | None = None
    max_length_bytes: int | None = None
    overflow: str = DROP_HEAD
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    at_least_once: bool = False
    max_priority: int = 0
    single_active_consumer: bool = False
    delivery_limit: float | None = None
    consumer_timeout: float | None = None
    delayed_retry: str = "disabled"
    delayed_retry_min: float | None = None
    delayed_retry_max: float | None = None
    max_age: float | None = None
    max_segment_size: int | None = None
    is_bounded: bool = False


def queue_settings(
    arguments: Mapping[str, Any], policy: Mapping[str, Any], emulation: Emulation
) -> QueueSettings:
    """Combine a queue's arguments with its policy; arguments win, but for limits the lower."""
    found = {key.removeprefix("x-"): value for key, value in arguments.items()}
    for key, value in policy.items():
        if key not in found:
            found[key] = value
        elif key in _LOWER_WINS and _is_number(found[key]) and _is_number(value):
            found[key] = min(found[key], value)
    return QueueSettings(
        message_ttl=seconds_of(found.get("message-ttl")),
        expires=seconds_of(found.get("expires")),
        max_length=found.get("max-length"),
        max_length_bytes=found.get("max-length-bytes"),
        overflow=found.get("overflow", DROP_HEAD),
        dead_letter_exchange=found.get("dead-letter-exchange"),
        dead_letter_routing_key=found.get("dead-letter-routing-key"),
        at_least_once=found.get("dead-letter-strategy") == "at-least-once",
        max_priority=found.get("max-priority", 0),
        single_active_consumer=found.get("single-active-consumer", False) is True,
        delivery_limit=_delivery_limit(found, emulation),
        consumer_timeout=_timeout(found, emulation),
        delayed_retry=found.get("delayed-retry-type", "disabled"),
        delayed_retry_min=seconds_of(found.get("delayed-retry-min")),
        delayed_retry_max=seconds_of(found.get("delayed-retry-max")),
        max_age=seconds_of_age(found.get("max-age")),
        max_segment_size=found.get("stream-max-segment-size-bytes"),
        is_bounded=found.get("max-length", found.get("max-length-bytes")) is not None,
    )


def _delivery_limit(found: Mapping[str, Any], emulation: Emulation) -> float | None:
    """Return the limit; none below zero, but before 4.0 nothing may come back then."""
    limit = found.get("delivery-limit", emulation.default_delivery_limit)
    if not _is_number(limit) or (limit < 0 and emulation.default_delivery_limit is not None):
        return None
    return float(limit)


def _timeout(found: Mapping[str, Any], emulation: Emulation) -> float | None:
    return seconds_of(found.get("consumer-timeout")) if emulation.queue_timeouts else None


UNITS: Final = {
    "Y": 365 * 86_400.0,
    "M": 30 * 86_400.0,
    "D": 86_400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
}
"""Seconds of the units that ages have."""


_AGE: Final = re.compile(f"([0-9]+)([{''.join(UNITS)}])")


def seconds_of_age(text: object) -> float | None:
    """Read an age such as 7D (RabbitMQ, x-max-age); None for what is none."""
    found = _AGE.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else int(found[1]) * UNITS[found[2]]


def seconds_of(value: object) -> float | None:
    """Return the seconds of a number of milliseconds.

    What is no number, or negative, is no limit: so RabbitMQ has it where it does not check.
    """
    return float(value) / 1000 if _is_number(value) and value >= 0 else None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
