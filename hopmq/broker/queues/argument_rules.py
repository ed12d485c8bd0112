"""Where releases of RabbitMQ differ in the arguments of queues."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ALL_KINDS: Final = frozenset({"x-queue-type"})
_CLASSIC: Final = _ALL_KINDS | {
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
    "x-queue-master-locator",
    "x-single-active-consumer",
}
_QUORUM: Final = _ALL_KINDS | {
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-queue-leader-locator",
    "x-quorum-initial-group-size",
    "x-single-active-consumer",
}
_STREAM: Final = _ALL_KINDS | {
    "x-initial-cluster-size",
    "x-max-age",
    "x-max-length-bytes",
    "x-queue-leader-locator",
    "x-stream-max-segment-size-bytes",
}
_LATER_QUORUM: Final = frozenset(
    {
        "x-consumer-disconnected-timeout",
        "x-consumer-timeout",
        "x-delayed-retry-max",
        "x-delayed-retry-min",
        "x-delayed-retry-type",
    }
)


@dataclass(slots=True, frozen=True, kw_only=True)
class ArgumentRules:
    """What one release does.

    Attributes:
        known: The arguments of each kind of queue; those of the others are refused.
        names_default_type: Whether leaving the type out is asking for the default one, in so many
            words.
        takes_empty_type: Whether an empty type stands for the default one.
        queue_modes: Whether `x-queue-mode` means anything, and so has to be `default` or `lazy`.
        queue_versions: The versions of classic queues that there are.
        master_locators: Whether `x-queue-master-locator` is permitted still.
        checks_ages: Whether an age without digits is refused; otherwise RabbitMQ crashes.
        ages_in_milliseconds: Whether `x-max-age` is kept as that, and shown so.
        filter_size_fault: What it says of a filter that is too small or too large; empty where
            streams have no filters.
    """

    known: Mapping[str, frozenset[str]]
    names_default_type: bool
    takes_empty_type: bool
    queue_modes: bool
    queue_versions: tuple[int, ...]
    master_locators: bool
    checks_ages: bool
    ages_in_milliseconds: bool
    filter_size_fault: str

    def foreign(self, kind: str) -> frozenset[str]:
        """Return the arguments that are for other kinds of queues alone."""
        return frozenset().union(*self.known.values()) - self.known[kind]


RULES: Final = {
    "3.10": ArgumentRules(
        known={"classic": _CLASSIC, "quorum": _QUORUM, "stream": _STREAM},
        names_default_type=False,
        takes_empty_type=False,
        queue_modes=True,
        queue_versions=(1, 2),
        master_locators=True,
        checks_ages=False,
        ages_in_milliseconds=False,
        filter_size_fault="",
    ),
    "4.0": ArgumentRules(
        known={
            "classic": _CLASSIC | {"x-queue-leader-locator"},
            "quorum": _QUORUM,
            "stream": _STREAM,
        },
        names_default_type=True,
        takes_empty_type=False,
        queue_modes=True,
        queue_versions=(1, 2),
        master_locators=True,
        checks_ages=False,
        ages_in_milliseconds=False,
        filter_size_fault="Invalid value for  x-stream-filter-size-bytes",
    ),
    "4.3": ArgumentRules(
        known={
            "classic": _CLASSIC | {"x-queue-leader-locator"},
            "quorum": _QUORUM | _LATER_QUORUM,
            "stream": _STREAM | {"x-stream-filter-size-bytes"},
        },
        names_default_type=True,
        takes_empty_type=True,
        queue_modes=False,
        queue_versions=(2,),
        master_locators=False,
        checks_ages=True,
        ages_in_milliseconds=True,
        filter_size_fault="Invalid value for x-stream-filter-size-bytes",
    ),
}
"""By release, as `emulate` names it."""
