"""The connection of a channel, as far as its publishes need it."""

from typing import Protocol

from hopmq.core.connection import ConnectionCore
from hopmq.transport.link import Link


class Carrier(Protocol):
    """What publishes go out by.

    Attributes:
        core, link: Those of the moment.
        blocked: Why the broker takes no publishes now, if so.
    """

    core: ConnectionCore
    link: Link
    blocked: str | None

    def held_back(self) -> str | None:
        """Say why nothing may be published on this connection now; None when it may."""

    def flush_early(self) -> None:
        """Write what there is, so that the transport can say whether it keeps up."""
