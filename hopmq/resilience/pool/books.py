"""What one side of a pool has: connections, and the channels on them."""

from collections.abc import Iterator

from hopmq.resilience.pool.entries import (
    ChannelEntry,
    ChannelSettings,
    ChannelStage,
    ConnectionEntry,
    ConnectionStage,
)
from hopmq.resilience.pool.limits import PoolLimits


class Books:
    """Connections and channels by number, and which of them would serve whom.

    Attributes:
        connections: Oldest first.
        channels: Oldest first.
    """

    def __init__(self, limits: PoolLimits, *, spread: bool) -> None:
        """Start empty; new channels go to the emptiest connection if `spread`, or the fullest."""
        self.connections: dict[int, ConnectionEntry] = {}
        self.channels: dict[int, ChannelEntry] = {}
        self._idle: dict[int, ChannelEntry] = {}
        self._limits = limits
        self._spread = spread

    # --- looking -----------------------------------------------------------------------------

    def at(self, stage: ChannelStage) -> int:
        """Return how many channels stand at `stage`."""
        return sum(entry.stage is stage for entry in self.channels.values())

    def unclaimed(self) -> int:
        """Return how many channels are on their way for nobody in particular."""
        return sum(
            entry.stage is ChannelStage.CLOSING
            or (entry.stage is ChannelStage.OPENING and entry.wanted is None)
            for entry in self.channels.values()
        )

    def idle(self) -> Iterator[ChannelEntry]:
        """Yield the channels that may be lent or closed now, idle for longest first."""
        for entry in list(self._idle.values()):
            if self.connections[entry.connection].stage is ConnectionStage.OPEN:
                yield entry

    def interchangeable(
        self, settings: ChannelSettings, connection: int | None
    ) -> ChannelEntry | None:
        """Return an idle channel of these settings, the one used last; None without one."""
        for entry in reversed(self._idle.values()):
            if (
                entry.settings == settings
                and connection in {None, entry.connection}
                and self.connections[entry.connection].stage is ConnectionStage.OPEN
            ):
                return entry
        return None

    def roomy(self, settings: ChannelSettings, connection: int | None) -> ConnectionEntry | None:
        """Return the connection that takes one more channel, if any does."""
        roomy = [
            entry
            for entry in self.connections.values()
            if entry.has_room() and connection in {None, entry.number}
        ]
        if settings.shared:
            bound = self._limits.shared_per_connection
            roomy = [entry for entry in roomy if entry.shared() < bound]
            return min(roomy, key=ConnectionEntry.shared, default=None)
        choose = min if self._spread else max
        return choose(roomy, key=lambda entry: len(entry.channels), default=None)

    def takes_shared(self) -> bool:
        """Return whether one more shared channel is allowed on an open connection."""
        return any(
            entry.stage is ConnectionStage.OPEN
            and entry.shared() < self._limits.shared_per_connection
            for entry in self.connections.values()
        )

    def surplus(self) -> list[ConnectionEntry]:
        """Return the connections that are open for nobody, newest first."""
        is_open = [
            entry
            for entry in reversed(self.connections.values())
            if entry.stage is ConnectionStage.OPEN
        ]
        unused = [entry for entry in is_open if not entry.channels and not entry.is_held]
        return unused[: max(0, len(is_open) - self._limits.min_connections)]

    def count(self, stage: ConnectionStage) -> int:
        """Return how many connections stand at `stage`."""
        return sum(entry.stage is stage for entry in self.connections.values())

    # --- changing ----------------------------------------------------------------------------

    def add(self, entry: ChannelEntry) -> None:
        """Enter a channel that is about to be opened."""
        self.channels[entry.number] = entry
        self.connections[entry.connection].channels[entry.number] = entry

    def move(self, entry: ChannelEntry, stage: ChannelStage) -> None:
        """Let a channel stand at `stage`."""
        self._idle.pop(entry.number, None)
        if stage is ChannelStage.IDLE:
            self._idle[entry.number] = entry
        entry.stage = stage

    def remove(self, channel: int, now: float) -> ChannelEntry | None:
        """Strike a channel out; return it, or None when its connection has gone before."""
        entry = self.channels.pop(channel, None)
        if entry is None:
            return None
        self._idle.pop(channel, None)
        connection = self.connections[entry.connection]
        del connection.channels[channel]
        connection.capacity = connection.nominal
        if not connection.channels:
            connection.idle_since = now
        return entry

    def remove_connection(self, connection: int) -> ConnectionEntry | None:
        """Strike a connection out, with its channels."""
        entry = self.connections.pop(connection, None)
        if entry is not None:
            for channel in entry.channels:
                del self.channels[channel]
                self._idle.pop(channel, None)
        return entry
