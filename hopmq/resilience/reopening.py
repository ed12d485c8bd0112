"""When a channel that the broker has closed for a mistake is opened again."""

from dataclasses import dataclass
from math import inf
from weakref import WeakKeyDictionary

from hopmq.client.channel import Channel
from hopmq.resilience.backoff import Backoff


@dataclass(slots=True, eq=False, repr=False)
class _Record:
    """What became of one channel."""

    begun: float
    losses: int = 0
    due: float = -inf
    opened: float = inf


class Reopening:
    """Pauses between the lives of channels, since a mistake may repeat itself for ever.

    The first time, a channel is opened again at once. Times are the caller's, in seconds.
    """

    def __init__(self, backoff: Backoff, stable_after: float) -> None:
        """Know no channel yet.

        Args:
            backoff: How long each pause is, and when to give a channel up.
            stable_after: Seconds that a channel has to live before it starts anew.
        """
        self._backoff = backoff
        self._stable_after = stable_after
        self._records: WeakKeyDictionary[Channel, _Record] = WeakKeyDictionary()

    def lost(self, channel: Channel, now: float) -> bool:
        """Take note that the broker has closed it; return whether it is opened again."""
        record = self._records.get(channel)
        if record is None or now - record.opened >= self._stable_after:
            record = self._records[channel] = _Record(begun=now)
        pause: float | None = 0.0
        if record.losses:
            pause = self._backoff.delay(record.losses - 1, now - record.begun)
        if pause is None:
            del self._records[channel]
            return False
        record.losses += 1
        record.due = now + pause
        record.opened = inf
        return True

    def is_due(self, channel: Channel, now: float) -> bool:
        """Return whether it may be opened now."""
        record = self._records.get(channel)
        return record is None or record.due <= now

    def opened(self, channel: Channel, now: float) -> None:
        """Take note that it is open; whether it lasts remains to be seen."""
        record = self._records.get(channel)
        if record is not None:
            record.opened = now
