"""The seam at which tests come between a broker and its clients."""

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hopmq.broker.peer import Peer


class Interposer(Protocol):
    """Somebody who sees each client before the broker does."""

    def accept(self, peer: "Peer") -> asyncio.BaseProtocol:
        """Return the protocol for a new client's transport: `peer.link`, or what stands before."""

    def stopping(self) -> None:
        """Hold nobody back: the broker is about to end its connections."""
