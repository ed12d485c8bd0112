"""Which connections, channels and queues a fault is for."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.peer import Peer
    from hopmq.broker.queues.queue import Queue

Direction: TypeAlias = Literal["to_broker", "to_client"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a fault is for; every attribute that is None stands for all.

    Attributes:
        connection: Name that the client gave its connection; `*` and `?` stand for other letters.
        user: Whom the client has logged in as.
        vhost: The virtual host that it works in.
        channel: Number of the channel.
        queue: Name of the queue, with `*` and `?` as above.
    """

    connection: str | None = None
    user: str | None = None
    vhost: str | None = None
    channel: int | None = None
    queue: str | None = None

    def has_peer(self, peer: "Peer | None") -> bool:
        """Return whether a connection is meant; names are known once it has logged in.

        Args:
            peer: The broker's end of it; None for one of which nothing is known.
        """
        if peer is None:
            return self.connection is None and self.user is None and self.vhost is None
        if self.connection is not None and not _matches(peer.client_name, self.connection):
            return False
        if self.user is not None and peer.username != self.user:
            return False
        vhost = None if peer.vhost is None else peer.vhost.name
        return self.vhost is None or vhost == self.vhost

    def has_channel(self, peer: "Peer | None", number: int) -> bool:
        """Return whether a channel of a connection is meant."""
        return self.channel in {None, number} and self.has_peer(peer)

    def has_queue_name(self, name: str | None) -> bool:
        """Return whether a queue of that name is meant; None for what names no queue."""
        return self.queue is None or _matches(name, self.queue)

    def has_request(self, channel: "BrokerChannel", queue: str | None) -> bool:
        """Return whether something is meant that a channel asks of a queue, or of none."""
        return self.has_channel(channel.peer, channel.number) and self.has_queue_name(queue)

    def has_queue(self, queue: "Queue") -> bool:
        """Return whether a queue is meant."""
        return self.vhost in {None, queue.vhost.name} and self.has_queue_name(queue.name)


def _matches(name: str | None, pattern: str) -> bool:
    return name is not None and fnmatchcase(name, pattern)
