"""Messages that can be settled, without a broker: how each was is noted down."""

import itertools
from typing import Any

from app.delivered import delivered
from hopmq.client.message import Message
from hopmq.core.channel import Settlement


class Settlements:
    """Stands where a channel stands for its messages.

    Attributes:
        unsettled: The tags of what is not settled.
        settled: How each of the others was, by tag.
    """

    def __init__(self) -> None:
        """Have delivered nothing."""
        self.unsettled: set[int] = set()
        self.settled: dict[int, str] = {}
        self._tags = itertools.count(1)

    def deliver(self, body: bytes = b"", **properties: Any) -> Message:  # Any: see `delivered`
        """Return the next message."""
        message = delivered(body, **properties)
        message.delivery_tag = next(self._tags)
        self.unsettled.add(message.delivery_tag)
        message.admit(self, None)
        return message

    def lose_link(self) -> None:
        """Forget what is not settled, as happens when the channel ends."""
        self.unsettled.clear()

    def is_unsettled(self, tag: int) -> bool:
        """See `Settling`."""
        return tag in self.unsettled

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """See `Settling`."""
        return self._settle(tag, "ack")

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """See `Settling`."""
        return self._settle(tag, "nack" if requeue else "drop")

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """See `Settling`."""
        return self._settle(tag, "reject" if requeue else "drop")

    def _settle(self, tag: int, how: str) -> Settlement:
        if tag not in self.unsettled:
            return Settlement.STALE
        self.unsettled.remove(tag)
        self.settled[tag] = how
        return Settlement.SENT
