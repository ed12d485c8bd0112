"""What a pool is doing, as a value."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True, kw_only=True)
class SideStatistics:
    """One side of a pool at one moment, and since it was opened.

    Attributes:
        connections: That are open.
        connecting: That are being opened.
        recovering: That have lost their link and seek another.
        lent: Channels in use: by borrowers, consumers, or publishers that share them.
        idle: Channels that are open for nobody.
        waiting: How many wait for a channel.
        opened: Connections that were opened so far.
        lost: Of these, how many have ended without our doing.
        failed: Attempts to connect that have failed so far.
        timeouts: Waits that have ended with `PoolTimeoutError` so far.
    """

    connections: int
    connecting: int
    recovering: int
    lent: int
    idle: int
    waiting: int
    opened: int
    lost: int
    failed: int
    timeouts: int


@dataclass(slots=True, frozen=True, kw_only=True)
class PoolStatistics:
    """A pool at one moment.

    Attributes:
        publishing: Its side for publishing.
        consuming: Its side for consuming.
        shared: Channels that publishers share.
        unconfirmed: Publishes on these that await their confirm.
        borrowed: Channels that are borrowed exclusively.
        consumers: Consumers that were started and have not ended.
    """

    publishing: SideStatistics
    consuming: SideStatistics
    shared: int
    unconfirmed: int
    borrowed: int
    consumers: int
