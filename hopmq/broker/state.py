"""What all connections of one broker share: users, virtual hosts, limits and each other."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hopmq.broker.access import Access, Permission, User
from hopmq.broker.clock import Clock
from hopmq.broker.emulation import Emulation
from hopmq.broker.memory_limit import MemoryLimit
from hopmq.broker.reply_to import ReplyAddresses
from hopmq.broker.vhost import VirtualHost
from hopmq.core.settings import ServerSettings

if TYPE_CHECKING:
    from hopmq.broker.peer import Peer


class BrokerState:
    """The inside of a broker, without its listeners.

    Attributes:
        clock: Where time comes from.
        emulation: Which release's behaviour is asked for.
        settings: What connections are offered.
        access: The users.
        memory: The limit on what queues hold.
        vhosts: By name.
        peers: The connections, oldest first.
        accepted: How many connections there have been.
        consumer_timeout: Seconds that a delivery may stay unsettled; None for ever.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        emulation: Emulation,
        settings: ServerSettings,
        users: Iterable[User],
        vhosts: Iterable[str],
        memory_limit: int,
        consumer_timeout: float | None,
    ) -> None:
        """Start without connections."""
        self.clock: Clock = clock
        self.emulation: Emulation = emulation
        self.settings: ServerSettings = settings
        self.access: Access = Access(users)
        self.memory: MemoryLimit = MemoryLimit(memory_limit, self._on_alarm)
        self.consumer_timeout: float | None = consumer_timeout
        self.vhosts: dict[str, VirtualHost] = {}
        self.peers: dict[Peer, None] = {}
        self.accepted: int = 0
        self._replies = ReplyAddresses()
        for name in vhosts:
            self.add_vhost(name)

    def add_vhost(self, name: str) -> VirtualHost:
        """Return the virtual host of that name, made if need be."""
        found = self.vhosts.get(name)
        if found is None:
            found = self.vhosts[name] = VirtualHost(
                name,
                clock=self.clock,
                memory=self.memory,
                emulation=self.emulation,
                replies=self._replies,
            )
        return found

    def delete_vhost(self, name: str) -> None:
        """Remove a virtual host with all that is in it; its connections are closed."""
        vhost = self.vhosts.pop(name, None)
        if vhost is None:
            return
        for peer in list(self.peers):
            if peer.vhost is vhost:
                peer.close(320, f"CONNECTION_FORCED - vhost '{name}' is down")
        for queue in list(vhost.queues.values()):
            vhost.delete_queue(queue)

    def allow(self, username: str, vhost: str, permission: Permission) -> None:
        """Let a user do something in a virtual host."""
        user = self.access.user(username)
        if user is not None:
            user.permissions[vhost] = permission
            self.access.epoch += 1

    def next_number(self) -> int:
        """Count a new connection and return its number."""
        self.accepted += 1
        return self.accepted

    def remember(self, peer: "Peer") -> None:
        """Take note of a new connection."""
        self.peers[peer] = None

    def forget(self, peer: "Peer") -> None:
        """Take note that a connection has ended."""
        self.peers.pop(peer, None)

    def _on_alarm(self, alarmed: bool) -> None:
        # Publishers are blocked when they next publish, as RabbitMQ does it.
        if not alarmed:
            for peer in list(self.peers):
                peer.unblock()
