"""Settling messages of a partition: what is given back is not to be overtaken."""

from collections.abc import Callable

from hopmq.client.message import Settling
from hopmq.core.channel import Settlement


class InOrder:
    """Settles one message where its channel would, but gives it back with all that follow it.

    A message that is requeued by itself comes again behind those that were delivered after it.
    """

    __slots__ = ("_give_back", "_is_given_back", "_settling")

    def __init__(self, settling: Settling, give_back: Callable[[], object]) -> None:
        """Settle by `settling`; call `give_back` to have everything unsettled go back."""
        self._settling = settling
        self._give_back = give_back
        self._is_given_back = False

    def is_unsettled(self, tag: int) -> bool:
        """Return whether the message waits for its settlement."""
        return not self._is_given_back and self._settling.is_unsettled(tag)

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """Acknowledge the message."""
        if self._is_given_back:
            return Settlement.STALE
        return self._settling.ack(tag, multiple)

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """Refuse the message."""
        if requeue or self._is_given_back:
            return self._back()
        return self._settling.nack(tag, multiple, requeue)

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """Refuse the message."""
        if requeue or self._is_given_back:
            return self._back()
        return self._settling.reject(tag, requeue)

    def _back(self) -> Settlement:
        self._is_given_back = True
        self._give_back()
        return Settlement.STALE
