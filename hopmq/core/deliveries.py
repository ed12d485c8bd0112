"""Which deliveries wait for the application's settlement, and acks on their way out."""

from collections.abc import Callable
from typing import Final

_MAX_SCAN: Final = 1024


class DeliveryLedger:
    """Coalesce the acks of one turn into as few frames as mean the same.

    A `multiple` ack covers every unsettled delivery up to its tag, so it is used only where no
    unsettled delivery stands below it.

    Attributes:
        unsettled: The tags that wait for their settlement.
        pending: Those that are acknowledged, and not told to the peer yet.
        uncommitted: What was settled within a transaction, while there is one.
    """

    __slots__ = ("_lowest", "_requeued_up_to", "pending", "uncommitted", "unsettled")

    def __init__(self) -> None:
        """Start with nothing delivered."""
        self.unsettled: set[int] = set()
        self.pending: list[int] = []
        self._lowest = 1
        self._requeued_up_to = 0
        self.uncommitted: set[int] | None = None

    def settle(self, tag: int) -> bool:
        """Strike `tag` out; False when it is not unsettled."""
        unsettled = self.unsettled
        if tag not in unsettled:
            return False
        unsettled.remove(tag)
        if self.uncommitted is not None:
            self.uncommitted.add(tag)
        return True

    def begin_transaction(self) -> set[int]:
        """Note from now on what is settled, until it is committed; return what was noted."""
        noted, self.uncommitted = self.uncommitted or set(), set()
        return noted

    def unsettle(self, tags: set[int]) -> None:
        """Take back what a rollback has undone (AMQP 0-9-1, tx.rollback)."""
        self.unsettled |= tags
        self._lowest = min(self._lowest, min(tags, default=self._lowest))

    def requeue_all(self) -> None:
        """Take note that the broker takes back whatever is unsettled (basic.recover)."""
        self._requeued_up_to = max(self.unsettled, default=self._requeued_up_to)
        self.unsettled = set()

    def was_requeued(self, tag: int) -> bool:
        """Return whether the broker has taken `tag` back and will deliver it anew."""
        return tag <= self._requeued_up_to

    def settle_up_to(self, tag: int) -> None:
        """Strike out every delivery up to `tag`."""
        if self.uncommitted is not None:
            self.uncommitted.update(other for other in self.unsettled if other <= tag)
        self.unsettled = {later for later in self.unsettled if later > tag}

    def flush(self, write_ack: Callable[[int, bool], None]) -> None:
        """Write the pending acks, the coalesced one first."""
        pending = self.pending
        if not pending:
            return
        self.pending = []
        if len(pending) == 1:
            write_ack(pending[0], False)
            return
        pending.sort()
        lowest = self._lowest_unsettled(pending[-1])
        covered = [tag for tag in pending if tag < lowest]
        if covered:
            write_ack(covered[-1], len(covered) > 1)
        for tag in pending[len(covered) :]:
            write_ack(tag, False)

    def _lowest_unsettled(self, top: int) -> int:
        """Return a tag below which nothing is unsettled, `top` + 1 at most."""
        unsettled = self.unsettled
        if not unsettled:
            self._lowest = top + 1
            return self._lowest
        lowest = self._lowest
        if lowest in unsettled:
            return lowest
        if top - lowest > _MAX_SCAN + 2 * len(unsettled):
            lowest = min(unsettled)
        while lowest <= top and lowest not in unsettled:
            lowest += 1
        self._lowest = max(self._lowest, min(lowest, top + 1))
        return lowest
