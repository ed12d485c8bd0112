"""Settling a message whose link is gone: by its copy, once the broker has delivered that."""

from collections.abc import Callable
from typing import TypeAlias

from hopmq.client.message import Message
from hopmq.core.channel import Settlement
from hopmq.errors import AlreadySettledError

Settle: TypeAlias = Callable[[Message], Settlement]


class Orphan:
    """What settles a message that is still worked on after its link has ended.

    It stands where the message's channel stood, and takes an ack, nack or reject. If the broker
    has delivered a copy by then, that is settled the same way. If not, an ack or a drop is kept
    for the copy, while a message that is to be delivered again will be, without more ado.
    """

    __slots__ = ("_copy", "_kept", "_on_settled", "_state")

    def __init__(self, on_settled: Callable[[Settlement], object]) -> None:
        """Wait for a copy; `on_settled` is called once with what became of the settlement."""
        self._copy: Message | None = None
        self._kept: Settle | None = None
        self._on_settled = on_settled
        self._state: Settlement | None = None

    # --- for the message ---------------------------------------------------------------------

    def is_unsettled(self, tag: int) -> bool:
        """Return whether it waits for its settlement."""
        return self._state is None

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """Acknowledge the message; there are no earlier ones that `multiple` could mean."""
        return self._settle(Message.ack, requeue=False)

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """Refuse the message."""
        return self._settle(lambda copy: copy.nack(requeue=requeue), requeue)

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """Refuse the message."""
        return self._settle(lambda copy: copy.reject(requeue=requeue), requeue)

    # --- for the consumer --------------------------------------------------------------------

    def take(self, copy: Message) -> None:
        """Settle `copy` as the message was, or as it will be."""
        if self._kept is None:
            self._copy = copy
            return
        settle, self._kept = self._kept, None
        settle(copy)

    def lose_copy(self) -> None:
        """Wait for the next copy: the link of the last one has ended, too."""
        self._copy = None

    def give_up(self) -> None:
        """Wait for no copy any more."""
        self._kept = None
        if self._copy is None and self._state is None:
            self._state = Settlement.STALE

    # --- inside ------------------------------------------------------------------------------

    def _settle(self, settle: Settle, requeue: bool) -> Settlement:
        if self._state is Settlement.STALE:
            return Settlement.STALE
        if self._state is not None:
            raise AlreadySettledError("the message was settled before")
        if self._copy is not None:
            self._end(Settlement.SENT)
            return settle(self._copy)
        if requeue:
            self._end(Settlement.STALE)
            return Settlement.STALE
        self._kept = settle
        self._end(Settlement.DEFERRED)
        return Settlement.DEFERRED

    def _end(self, state: Settlement) -> None:
        self._state = state
        self._on_settled(state)
