"""How long a basic.consume may go without its answer before its channel is given up."""

from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from hopmq.client.consumer import Consumer

_LONGEST: Final = 3600.0
"""Seconds after which an unanswered consume is tried again at the latest."""


@dataclass(slots=True)
class _Wait:
    """What is waited for the answer to one consume."""

    seconds: float
    until: float


class Patience:
    """Longer from time to time: a channel that the broker never answers on stays with it.

    Times are the caller's, in seconds.
    """

    def __init__(self, seconds: float) -> None:
        """Wait so long beyond the time-out of the first consume."""
        self._seconds = seconds
        self._waits: WeakKeyDictionary[Consumer, _Wait] = WeakKeyDictionary()

    def begin(self, consumer: Consumer, now: float) -> None:
        """Take note that a consume has timed out."""
        before = self._waits.get(consumer)
        seconds = self._seconds if before is None else min(2 * before.seconds, _LONGEST)
        self._waits[consumer] = _Wait(seconds, now + seconds)

    def is_over(self, consumer: Consumer, now: float) -> bool:
        """Return whether its answer is not waited for any longer."""
        wait = self._waits.get(consumer)
        return wait is not None and wait.until <= now

    def forget(self, consumer: Consumer) -> None:
        """Take note that it was answered."""
        self._waits.pop(consumer, None)
