"""When to send a heartbeat and when to give the peer up."""

from typing import Final

DEAD_AFTER: Final = 2
"""Intervals of silence after which a peer is dead (AMQP 0-9-1, 4.2.7)."""


class HeartbeatTimer:
    """Judge a link by its bytes: any byte received is a sign of life, any byte sent serves as one.

    All times are the owner's clock, in seconds. An interval of 0 turns heartbeats off.
    """

    __slots__ = ("_watching", "interval", "last_received", "last_sent")

    def __init__(self, now: float) -> None:
        """Start switched off."""
        self.interval: float = 0.0
        self.last_received: float = now
        self.last_sent: float = now
        self._watching = True

    def start(self, interval: float, now: float) -> None:
        """Begin with the negotiated interval."""
        self.interval = interval
        self.last_received = now
        self.last_sent = now

    def watch(self, watching: bool, now: float) -> None:
        """Stop or resume judging the peer; its silence does not count while we do not read."""
        self._watching = watching
        self.last_received = max(self.last_received, now)

    def next_deadline(self) -> float | None:
        """Return when `is_due` or `is_dead` can next become true."""
        if not self.interval:
            return None
        due = self.last_sent + self.interval / 2
        if not self._watching:
            return due
        return min(due, self.last_received + DEAD_AFTER * self.interval)

    def is_due(self, now: float) -> bool:
        """Return whether it is time to send a heartbeat (twice per interval when idle)."""
        return bool(self.interval) and now >= self.last_sent + self.interval / 2

    def is_dead(self, now: float) -> bool:
        """Return whether the peer has been silent for two intervals."""
        if not self.interval or not self._watching:
            return False
        return now >= self.last_received + DEAD_AFTER * self.interval
