"""What a pool's sizing keeps books of, and what it asks for."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


@dataclass(slots=True, frozen=True, kw_only=True)
class ChannelSettings:
    """What a channel is opened with; channels of equal settings are interchangeable.

    Attributes:
        confirms: Whether publishes are confirmed.
        prefetch: Unsettled messages that a consumer may have.
        shared: Whether publishers share it.
    """

    confirms: bool = True
    prefetch: int = 0
    shared: bool = False


class ConnectionStage(Enum):
    """Where a connection of the pool stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    AWAY = "recovering"
    CLOSING = "closing"


class ChannelStage(Enum):
    """Where a channel of the pool stands."""

    OPENING = "opening"
    LENT = "lent"
    IDLE = "idle"
    CLOSING = "closing"


@dataclass(slots=True, kw_only=True)
class ChannelEntry:
    """A channel of the pool.

    Attributes:
        number, connection: Its own number and its connection's, within the pool.
        settings: What it is opened with.
        stage: Where it stands.
        wanted: For whom it is opened; None when that one has gone.
        borrower: To whom it was lent last.
        idle_since: When it was given back.
    """

    number: int
    connection: int
    settings: ChannelSettings
    stage: ChannelStage = ChannelStage.OPENING
    wanted: "Wanted | None" = None
    borrower: "Wanted | None" = None
    idle_since: float = 0.0


@dataclass(slots=True, kw_only=True)
class ConnectionEntry:
    """A connection of the pool.

    Attributes:
        number: Its number within the pool.
        stage: Where it stands.
        nominal: How many channels it may have.
        capacity: How many it may have as long as the broker finds no number for another one.
        channels: Those it has, by number; also those that are being opened or closed.
        is_held: Whether it is kept although it has no channel: it has declared something.
        idle_since: Since when it has no channel.
    """

    number: int
    stage: ConnectionStage = ConnectionStage.CONNECTING
    nominal: int = 0
    capacity: int = 0
    channels: dict[int, ChannelEntry] = field(default_factory=dict)
    is_held: bool = False
    idle_since: float = 0.0

    def has_room(self) -> bool:
        """Return whether one more channel may be opened."""
        return self.stage is ConnectionStage.OPEN and len(self.channels) < self.capacity

    def is_changing(self) -> bool:
        """Return whether a channel of it is being opened or closed."""
        changing = (ChannelStage.OPENING, ChannelStage.CLOSING)
        return any(channel.stage in changing for channel in self.channels.values())

    def shared(self) -> int:
        """Return how many of its channels publishers share."""
        return sum(channel.settings.shared for channel in self.channels.values())


@dataclass(slots=True, frozen=True, kw_only=True)
class Wanted:
    """Somebody who waits for a channel.

    Attributes:
        ticket: Its place in line.
        settings: What kind of channel.
        connection: On which connection; None when any will do.
    """

    ticket: int
    settings: ChannelSettings
    connection: int | None = None

    @property
    def is_special(self) -> bool:
        """Whether others need not wait behind it: what it waits for is not what they lack."""
        return self.connection is not None or self.settings.shared

    def accepts(self, channel: ChannelEntry) -> bool:
        """Return whether `channel` is what it waits for."""
        on_right_connection = self.connection in {None, channel.connection}
        return on_right_connection and self.settings == channel.settings


# --- what the sizing asks for ------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Connect:
    """Open a connection; the answer is `connected` or `not_connected`."""

    connection: int


@dataclass(slots=True, frozen=True)
class Disconnect:
    """Close a connection; the answer is `disconnected`."""

    connection: int


@dataclass(slots=True, frozen=True)
class OpenChannel:
    """Open a channel; the answer is `opened` or `not_opened`."""

    channel: int
    connection: int
    settings: ChannelSettings


@dataclass(slots=True, frozen=True)
class CloseChannel:
    """Close a channel; the answer is `closed`."""

    channel: int


@dataclass(slots=True, frozen=True)
class Lend:
    """Hand a channel to who holds the ticket; the answer is `give_back`."""

    ticket: int
    channel: int


Action: TypeAlias = Connect | Disconnect | OpenChannel | CloseChannel | Lend
