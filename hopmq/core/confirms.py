"""Which publishes still wait for the broker's confirm."""

from collections.abc import Callable, Iterator
from typing import Protocol

from hopmq.errors import HopMQError
from hopmq.wire import Codec, Returned


class PendingPublish(Protocol):
    """A publish on its way to one outcome; the ledger tells it exactly once."""

    size: int

    def confirmed(self) -> bool:
        """Take note that the broker has it; return whether somebody waited for that."""

    def nacked(self) -> None:
        """Take note that the broker refused it."""

    def returned(self, message: Returned) -> None:
        """Take note that no queue took it; the confirm that follows settles it."""

    def lost(self, error: HopMQError) -> None:
        """Take note that its confirm can no longer come."""


class ConfirmLedger:
    """Match confirms to publishes by delivery tag alone.

    Tags count from 1 on each channel (RabbitMQ, publisher confirms). A confirm may be single or
    `multiple`, in any order; a tag that is unknown or already settled is counted and ignored.

    Attributes:
        outstanding_bytes: The sizes of what is outstanding, together.
        unmatched: Confirms that matched nothing.
        on_room: Called after publishes were settled, while somebody waits for room.
        on_woken: Called after an ack that somebody waited for.
    """

    __slots__ = (
        "_lowest",
        "_next",
        "_outstanding",
        "on_room",
        "on_woken",
        "outstanding_bytes",
        "unmatched",
    )

    def __init__(self) -> None:
        """Start with nothing outstanding."""
        self._outstanding: dict[int, PendingPublish] = {}
        self._next = 1
        self._lowest = 1
        self.outstanding_bytes: int = 0
        self.unmatched: int = 0
        self.on_room: Callable[[], None] | None = None
        self.on_woken: Callable[[], None] | None = None

    def __len__(self) -> int:
        """Return how many publishes are outstanding."""
        return len(self._outstanding)

    def __iter__(self) -> Iterator[PendingPublish]:
        """Iterate over the outstanding publishes, oldest first."""
        return iter(list(self._outstanding.values()))

    @property
    def next_tag(self) -> int:
        """The tag that the next publish on this channel will have."""
        return self._next

    def register(self, publish: PendingPublish) -> int:
        """Add the publish just written and return its delivery tag."""
        tag = self._next
        self._next = tag + 1
        self._outstanding[tag] = publish
        self.outstanding_bytes += publish.size
        return tag

    def acked(self, tag: int, multiple: bool) -> None:
        """Settle what a basic.ack covers."""
        woken = False
        if not multiple:
            publish = self._outstanding.pop(tag, None)
            if publish is None:
                self.unmatched += 1
                return
            self.outstanding_bytes -= publish.size
            woken = publish.confirmed()
        else:
            for publish in self._take_up_to(tag):
                woken |= publish.confirmed()
        if woken and self.on_woken is not None:
            self.on_woken()
        if self.on_room is not None:
            self.on_room()

    def nacked(self, tag: int, multiple: bool) -> None:
        """Settle what a basic.nack covers."""
        if not multiple:
            publish = self._outstanding.pop(tag, None)
            if publish is None:
                self.unmatched += 1
                return
            self.outstanding_bytes -= publish.size
            publish.nacked()
        else:
            for publish in self._take_up_to(tag):
                publish.nacked()
        if self.on_room is not None:
            self.on_room()

    def returned(self, tag: int, message: Returned) -> None:
        """Tell the publish of `tag` that its message came back."""
        publish = self._outstanding.get(tag)
        if publish is None:
            self.unmatched += 1
            return
        publish.returned(message)

    def forget_all(self) -> list[PendingPublish]:
        """Empty the ledger and return what was outstanding, oldest first."""
        left = list(self._outstanding.values())
        self._outstanding.clear()
        self.outstanding_bytes = 0
        return left

    def _take_up_to(self, tag: int) -> list[PendingPublish]:
        """Remove every outstanding publish up to `tag`; 0 means all (AMQP 0-9-1, basic.ack)."""
        last = self._next - 1 if tag == 0 else tag
        if last >= self._next or last < self._lowest:
            self.unmatched += 1
            return []
        taken = []
        # Each tag is passed once in the channel's life, whatever the order of confirms.
        for covered in range(self._lowest, last + 1):
            publish = self._outstanding.pop(covered, None)
            if publish is not None:
                self.outstanding_bytes -= publish.size
                taken.append(publish)
        self._lowest = last + 1
        return taken


def confirm_ledger(codec: Codec) -> ConfirmLedger:
    """Return an empty ledger, of the kind that goes with `codec`."""
    if codec.name == "pure":
        return ConfirmLedger()
    from hopmq._speedups.codec import ConfirmLedger as CompiledLedger

    return CompiledLedger()
