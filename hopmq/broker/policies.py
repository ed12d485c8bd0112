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
APPLY_TO: Final = frozenset().union(*_QUEUES.values(), _EXCHANGES)
NO_POLICY: Final[Mapping[str, Any]] = {}


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
    priority: int = 0

    def matches(self, name: str, kinds: frozenset[str]) -> bool:
        """Return whether it is for something of that name and one of these kinds."""
        return self.apply_to in kinds and re.search(self.pattern, name) is not None


class Policies:
    """The policies of a virtual host."""

    def __init__(self) -> None:
        """Start without any."""
        self._policies: dict[str, Policy] = {}

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._policies.values())

    def set(self, policy: Policy) -> None:
        """Add a policy, or replace the one of its name."""
        self._policies[policy.name] = policy

    def remove(self, name: str) -> None:
        """Remove a policy, if it is there."""
        self._policies.pop(name, None)

    def for_queue(self, name: str, kind: str) -> Mapping[str, Any]:
        """Return the settings for a queue."""
        found = self.matching(name, _QUEUES[kind])
        return NO_POLICY if found is None else found.definition

    def for_exchange(self, name: str) -> Mapping[str, Any]:
        """Return the settings for an exchange."""
        found = self.matching(name, _EXCHANGES)
        return NO_POLICY if found is None else found.definition

    def policy_of_queue(self, name: str, kind: str) -> Policy | None:
        """Return the policy that counts for a queue."""
        return self.matching(name, _QUEUES[kind])

    def matching(self, name: str, kinds: frozenset[str]) -> Policy | None:
        """Return the one that counts for something of that name and one of these kinds."""
        found = [policy for policy in self if policy.matches(name, kinds)]
        return max(found, key=lambda policy: policy.priority, default=None)
