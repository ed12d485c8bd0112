"""The states of connections and channels, and every move allowed between them.

This file does not know which role we play.
"""

from enum import Enum
from typing import Final


class Role(Enum):
    """Which end of the connection we are."""

    CLIENT = "client"
    SERVER = "server"


class ConnectionState(Enum):
    """Where a connection stands."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    CLOSING = "closing"
    """We have sent connection.close and wait for close-ok."""
    CLOSED = "closed"


class ChannelState(Enum):
    """Where a channel stands."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    """We have sent channel.close and wait for close-ok."""
    CLOSED = "closed"


CHANNEL_OPEN: Final = ChannelState.OPEN
"""For what is done with each message: Python 3.11 finds members of an Enum slowly."""

CONNECTION_MOVES: Final[dict[ConnectionState, set[ConnectionState]]] = {
    ConnectionState.HANDSHAKE: {ConnectionState.OPEN, ConnectionState.CLOSED},
    ConnectionState.OPEN: {ConnectionState.CLOSING, ConnectionState.CLOSED},
    ConnectionState.CLOSING: {ConnectionState.CLOSED},
    ConnectionState.CLOSED: set(),
}

CHANNEL_MOVES: Final[dict[ChannelState, set[ChannelState]]] = {
    ChannelState.OPENING: {ChannelState.OPEN, ChannelState.CLOSING, ChannelState.CLOSED},
    ChannelState.OPEN: {ChannelState.CLOSING, ChannelState.CLOSED},
    ChannelState.CLOSING: {ChannelState.CLOSED},
    ChannelState.CLOSED: set(),
}
