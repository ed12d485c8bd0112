"""A binding: what leads from an exchange to a queue or to another exchange."""

from base64 import urlsafe_b64encode
from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol
from urllib.parse import quote_plus

from hopmq.broker.exchanges.values import identity_of
from hopmq.typedefs import FieldTable


class Destination(Protocol):
    """A queue or an exchange; it is the same as itself alone, and hashable as such."""

    @property
    def name(self) -> str:
        """Name within the virtual host."""

    @property
    def is_exchange(self) -> bool:
        """Whether it is an exchange, which routes on, and not a queue."""


@dataclass(slots=True, frozen=True, eq=False)
class Binding:
    """One binding; equal to those with the same source, destination, key and arguments.

    Attributes:
        source: Name of the exchange that it leads from.
        destination: The queue or exchange that it leads to.
        routing_key: Its binding key.
        arguments: Its arguments; what they mean depends on the type of exchange.
    """

    source: str
    destination: Destination
    routing_key: str
    arguments: FieldTable = field(default_factory=dict)
    _identity: Hashable = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Reckon once what makes the binding itself."""
        identity = (
            self.source,
            self.destination,
            self.routing_key,
            identity_of(self.arguments) if self.arguments else None,
        )
        object.__setattr__(self, "_identity", identity)

    def __eq__(self, other: object) -> bool:
        """Compare source, destination, key and arguments, these by type and content."""
        if not isinstance(other, Binding):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(self._identity)

    @property
    def properties_key(self) -> str:
        """Name among the bindings between the same two, as the management API spells it.

        `~` without key and arguments, the key when there are no arguments, otherwise the key,
        `~` and a digest of the arguments. RabbitMQ's digest is of Erlang's own encoding, which
        differs between releases of Erlang, so this one is another.
        """
        key = quote_plus(self.routing_key, safe="").replace("~", "%7E")
        if not self.arguments:
            return key or "~"
        entries = sorted(map(repr, self.arguments.items()))
        digest = blake2b(repr(entries).encode(), digest_size=9).digest()
        return f"{key}~{urlsafe_b64encode(digest).decode()}"
