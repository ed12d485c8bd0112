"""Where releases of RabbitMQ differ in exchanges and bindings."""

from dataclasses import dataclass
from typing import Final


@dataclass(slots=True, frozen=True, kw_only=True)
class RoutingRules:
    """What one release does.

    Attributes:
        unknown_type_code: Reply code for a type of exchange that is not known.
        local_random: Whether there is `x-local-random`.
        wildcards: How many `#` a topic binding may have; None for any number.
        hash_weight: The most that a binding of `x-consistent-hash` may weigh; None for no limit.
        exact_headers: Whether the headers exchange takes 1 and 1.0 for different values, and
            timestamps of messages in milliseconds but those of bindings in seconds.
    """

    unknown_type_code: int
    local_random: bool
    wildcards: int | None
    hash_weight: int | None
    exact_headers: bool


RULES: Final = {
    "3.10": RoutingRules(
        unknown_type_code=503,
        local_random=False,
        wildcards=None,
        hash_weight=None,
        exact_headers=False,
    ),
    "4.0": RoutingRules(
        unknown_type_code=406,
        local_random=True,
        wildcards=None,
        hash_weight=None,
        exact_headers=True,
    ),
    "4.3": RoutingRules(
        unknown_type_code=406,
        local_random=True,
        wildcards=2,
        hash_weight=10_000,
        exact_headers=True,
    ),
}
"""By release, as `emulate` names it."""

NEWEST: Final = RULES["4.3"]
