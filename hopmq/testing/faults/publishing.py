"""Faults of publishing: refused, never confirmed, late, out of order, twice, returned."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from pamqp.commands import Basic

from hopmq.broker.clock import Clock
from hopmq.broker.publishing import Publishing
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.selection import Selection
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.peer import Peer
    from hopmq.testing.faults.seams import Seams


class PublishFault(Fault):
    """A fault that happens to certain publishes.

    Attributes:
        loses: Whether the message reaches no queue.
    """

    loses: ClassVar[bool] = False

    def confirm(self, publishing: "TamperedPublishing", tag: int) -> None:
        """Do in place of a confirm what the fault wants."""
        publishing.confirm_later(tag)

    def return_to(self, publishing: "TamperedPublishing", message: Published) -> None:
        """Say to the publisher of a lost message that no queue has taken it, if it asked."""


class Nacked(PublishFault):
    """Refuse messages."""

    loses = True

    def confirm(self, publishing: "TamperedPublishing", tag: int) -> None:
        """Say no."""
        publishing.nack(tag)


class Unroutable(PublishFault):
    """Be as if no queue were bound."""

    loses = True

    def return_to(self, publishing: "TamperedPublishing", message: Published) -> None:
        """Return what is mandatory."""
        if message.mandatory:
            publishing.give_back(message)


class Withheld(PublishFault):
    """Take messages and do not confirm them, or only later.

    Attributes:
        seconds: How long confirms are held; None until they are released.
    """

    def __init__(
        self, where: Selection, *, nth: int, times: int | None, seconds: float | None
    ) -> None:
        """Hold none yet."""
        super().__init__("confirms withheld", where, nth=nth, times=times)
        self.seconds: float | None = seconds
        self._held: dict[tuple[TamperedPublishing, int], None] = {}

    def confirm(self, publishing: "TamperedPublishing", tag: int) -> None:
        """Hold the confirm back."""
        self._held[publishing, tag] = None
        if self.seconds is not None:
            clock = publishing.clock
            clock.call_at(clock.time() + self.seconds, lambda: self._let_go(publishing, tag))

    def release(self) -> None:
        """Confirm what was held back."""
        for publishing, tag in list(self._held):
            self._let_go(publishing, tag)

    def cancel(self) -> None:
        """Hold back no more; what is held now is never confirmed."""
        self._held.clear()
        super().cancel()

    def _let_go(self, publishing: "TamperedPublishing", tag: int) -> None:
        if (publishing, tag) in self._held:
            del self._held[publishing, tag]
            publishing.confirm_later(tag)


class Reordered(PublishFault):
    """Confirm so many messages of a channel in the opposite order."""

    def __init__(self, where: Selection, *, nth: int, count: int) -> None:
        """Wait for `count` messages."""
        super().__init__(f"{count} confirms in the opposite order", where, nth=nth, times=count)
        self._count = count
        self._held: dict[TamperedPublishing, list[int]] = {}

    def confirm(self, publishing: "TamperedPublishing", tag: int) -> None:
        """Confirm when all have come."""
        held = self._held.setdefault(publishing, [])
        held.append(tag)
        if len(held) == self._count:
            del self._held[publishing]
            publishing.confirm_singly(reversed(held))

    def release(self) -> None:
        """Confirm what waits for others, though they have not come."""
        held, self._held = self._held, {}
        for publishing, tags in held.items():
            publishing.confirm_singly(reversed(tags))


class Duplicated(PublishFault):
    """Confirm messages twice."""

    def confirm(self, publishing: "TamperedPublishing", tag: int) -> None:
        """Say it again."""
        publishing.confirm_singly((tag, tag))


class Blocked(Fault):
    """Block connections, as an alarm of the broker does."""

    def __init__(self, where: Selection, *, reason: str) -> None:
        """Give a reason."""
        super().__init__("block", where, times=None)
        self._reason = reason
        self._peers: WeakKeyDictionary[Peer, None] = WeakKeyDictionary()

    def block(self, peer: "Peer") -> None:
        """Block a connection, unless it is blocked already."""
        if peer not in self._peers and self.where.has_peer(peer):
            self._peers[peer] = None
            peer.block(self._reason)
            self.hit()

    def release(self) -> None:
        """Unblock whom it has blocked."""
        for peer in list(self._peers):
            peer.unblock()
        self._peers.clear()


class TamperedPublishing(Publishing):
    """The publishing half of a channel, with faults."""

    __slots__ = ("_fault", "_seams")

    def __init__(self, publishing: Publishing, channel: "BrokerChannel", seams: "Seams") -> None:
        """Go on where `publishing` is."""
        super().__init__(channel)
        publishing.flush_acks()
        for name in Publishing.__slots__:
            setattr(self, name, getattr(publishing, name))
        self._seams = seams
        self._fault: PublishFault | None = None

    @property
    def clock(self) -> Clock:
        """The broker's clock."""
        return self._seams.clock

    def receive(self, message: Published) -> None:
        """Take a message, unless a fault has other plans for it."""
        channel = self._channel
        queue = None if message.exchange else message.routing_key
        self._seams.refuse_request(channel, Basic.Publish.name, queue)
        self._fault = self._seams.publish_fault(channel, queue)
        try:
            super().receive(message)
        finally:
            self._fault = None

    def publish(self, message: Published) -> bool:
        """Put a message into the queues it is for, or lose it."""
        if self._fault is None or not self._fault.loses:
            return super().publish(message)
        self._fault.return_to(self, message)
        return True

    def confirm(self, tag: int) -> None:
        """Confirm a message, or do what a fault does in place of that."""
        if self._fault is None:
            super().confirm(tag)
        else:
            self._fault.confirm(self, tag)

    def confirm_later(self, tag: int) -> None:
        """Confirm a message, now that its fault is over, if the channel is still there."""
        if self._is_open:
            super().confirm(tag)

    def confirm_singly(self, tags: Iterable[int]) -> None:
        """Write a confirm for each of these tags, in that order."""
        if not self._is_open:
            return
        self.flush_acks()
        connection = self._channel.connection
        for tag in tags:
            connection.write(connection.codec.encode_ack(self._channel.number, tag, False))

    @property
    def _is_open(self) -> bool:
        channel = self._channel
        return channel.peer.channels.get(channel.number) is channel
