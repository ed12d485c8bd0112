"""Policies: settings for all queues and exchanges whose names match (RabbitMQ, Parameters)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_QUEUES: Final = {
    "classic": frozenset({"all", "queues", "classic_queues"}),
    "quorum": frozenset({"all", "queues", "quorum_queues"}),
    "stream": frozenset({"all", "queues", "streams"}),
}
_EXCHANGES: Final = frozenset({"all", "exchanges"})
APPLY_TO: Final[frozenset[str]] = frozenset().union(*_QUEUES.values(), _EXCHANGES)
NO_POLICY: Final[Mapping[str, Any]] = {}
LOWER_COUNTS: Final = frozenset(
    {
        "message-ttl",
        "expires",
        "max-length",
        "max-length-bytes",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "delivery-limit",
    }
)
"""Settings of which the lower value counts where two sources name one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy.

    Attributes:
        name: Its name, unique in its virtual host.
        pattern: A regular expression that names have to match somewhere.
        definition: The settings, by their names without `x-`.
        apply_to: all, queues, classic_queues, quorum_queues, streams or exchanges.
        priority: Of several that match, the highest counts.
    """

    name: str
    pattern: str
    definition: Mapping[str, Any] = field(default_factory=dict)
    apply_to: str = "all"
    priority: float = 0

    def matches(self, name: str, kinds: frozenset[str]) -> bool:
        """Return whether it is for something of that name and one of these kinds."""
        return self.apply_to in kinds and re.search(self.pattern, name) is not None


class PolicySet:
    """Policies of which one counts for each queue and exchange, or none."""

    def __init__(self) -> None:
        """Start without any."""
        self._policies: dict[str, Policy] = {}

    def __iter__(self) -> Iterator[Policy]:
        return iter(list(self._policies.values()))

    def get(self, name: str) -> Policy | None:
        """Return the policy of that name."""
        return self._policies.get(name)

    def set(self, policy: Policy) -> None:
        """Add a policy, or replace the one of its name."""
        self._policies[policy.name] = policy

    def remove(self, name: str) -> None:
        """Remove a policy, if it is there."""
        self._policies.pop(name, None)

    def of_queue(self, name: str, kind: str) -> Policy | None:
        """Return the policy that counts for a queue."""
        return self._matching(name, _QUEUES[kind])

    def of_exchange(self, name: str) -> Policy | None:
        """Return the policy that counts for an exchange."""
        return self._matching(name, _EXCHANGES)

    def _matching(self, name: str, kinds: frozenset[str]) -> Policy | None:
        found = [policy for policy in self._policies.values() if policy.matches(name, kinds)]
        return max(found, key=lambda policy: policy.priority, default=None)


class Policies(PolicySet):
    """The policies of a virtual host.

    Attributes:
        operator: Those that limit what the others may say (RabbitMQ, Operator Policies).
    """

    def __init__(self) -> None:
        """Start without any."""
        super().__init__()
        self.operator: PolicySet = PolicySet()

    def for_queue(self, name: str, kind: str) -> Mapping[str, Any]:
        """Return the settings for a queue, from its policy and its operator policy together."""
        own, limits = self.of_queue(name, kind), self.operator.of_queue(name, kind)
        settings = NO_POLICY if own is None else own.definition
        return settings if limits is None else merged(settings, limits.definition)

    def for_exchange(self, name: str) -> Mapping[str, Any]:
        """Return the settings for an exchange."""
        found = self.of_exchange(name)
        return NO_POLICY if found is None else found.definition


def merged(settings: Mapping[str, Any], limits: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings within an operator's limits: where both name one, the lower or the limit."""
    together = {**settings, **limits}
    for key in LOWER_COUNTS & settings.keys() & limits.keys():
        together[key] = min(settings[key], limits[key])
    return together
