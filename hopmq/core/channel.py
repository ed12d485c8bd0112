"""One channel: its state, its unanswered requests, its consumers and its ledgers."""

from collections.abc import Callable, Collection
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm

from hopmq.core.closing import closing_method
from hopmq.core.confirms import ConfirmLedger, PendingPublish, confirm_ledger
from hopmq.core.deliveries import DeliveryLedger
from hopmq.core.replies import NOBODY, Reply, ReplyQueue, ReplySlot, Waiter
from hopmq.core.states import CHANNEL_MOVES, CHANNEL_OPEN, ChannelState
from hopmq.errors import AlreadySettledError, ChannelClosed, ClosedError, UsageError
from hopmq.typedefs import Body
from hopmq.wire import Ack, Nack, Properties, Published, Reject, new_method

if TYPE_CHECKING:
    from hopmq.core.connection import ConnectionCore

RETURN_TOKEN: Final = "x-hopmq-return-token"  # noqa: S105  # names a header, guards nothing
"""Header that a mandatory publish carries so that a return finds its publish by delivery tag."""


class Settlement(Enum):
    """What became of an ack, nack or reject.

    Attributes:
        SENT: It is on its way to the broker.
        STALE: The broker has taken the message back, because its channel is gone or by
            `recover`. Nothing was sent; it is delivered again.
        DEFERRED: As stale, but it will be recognised when it is delivered again, and settled
            this way then.
    """

    SENT = "sent"
    STALE = "stale"
    DEFERRED = "deferred"

    def __bool__(self) -> bool:
        """Return True unless the message will come again for all that."""
        return self is not Settlement.STALE


_SENT: Final = Settlement.SENT


class ChannelCore:
    """The state machine of a channel, for either role.

    Attributes:
        channel_id: The number on the wire.
        state: Where it stands.
        error: Why it is closed, once it is.
        consumers: What to call with each delivery, by consumer tag (client role).
        confirms: The publishes that await a confirm; None until confirm mode is on.
        deliveries: What the application has not settled yet.
        left_unsettled: What it had not settled when the channel ended.
        replies: The unanswered requests.
        flowing: False while the peer asks us to hold content back.
        on_published, on_settled, on_method: What to call with each publish, settlement and other
            method, in their order and before the next frame is looked at (server role); without
            one they become events.
    """

    __slots__ = (
        "_connection",
        "channel_id",
        "confirms",
        "consumers",
        "deliveries",
        "error",
        "flowing",
        "left_unsettled",
        "on_method",
        "on_published",
        "on_settled",
        "replies",
        "state",
    )

    def __init__(
        self,
        connection: "ConnectionCore",
        channel_id: int,
        state: ChannelState = ChannelState.OPENING,
    ) -> None:
        """Belong to `connection` as number `channel_id`."""
        self._connection = connection
        self.channel_id: int = channel_id
        self.state: ChannelState = state
        self.error: ClosedError | None = None
        # Any: the owner chose the class that the decoder makes deliveries of.
        self.consumers: dict[str, Callable[[Any], None]] = {}
        self.confirms: ConfirmLedger | None = None
        self.deliveries: DeliveryLedger = DeliveryLedger()
        self.left_unsettled: set[int] = set()
        self.replies: ReplyQueue = ReplyQueue()
        self.flowing: bool = True
        self.on_published: Callable[[Published], None] | None = None
        self.on_settled: Callable[[Ack | Nack | Reject], None] | None = None
        self.on_method: Callable[[Frame], None] | None = None

    # --- sending ---------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise what closed the channel unless it is open."""
        if self.state is ChannelState.OPEN:
            return
        if self.error is not None:
            raise self.error.again()
        raise UsageError(f"channel {self.channel_id} is {self.state.value}")

    def send(self, method: Frame) -> None:
        """Write a method, after the acks that were made before it."""
        self.check_open()
        self._write(method)

    def request(
        self,
        waiter: Waiter,
        method: Frame,
        *replies: type,
        on_abandoned: Callable[[Reply], None] | None = None,
        before_reply: Callable[[Reply], None] | None = None,
    ) -> None:
        """Write a method whose reply, one of `replies`, goes to `waiter`."""
        self.check_open()
        self._write(method)
        self.replies.expect(ReplySlot(waiter, method.index, replies, on_abandoned, before_reply))

    def select_confirms(self, waiter: Waiter) -> None:
        """Turn confirm mode on; tags count from this point (RabbitMQ, publisher confirms)."""
        self.request(waiter, new_method(Confirm.Select), Confirm.SelectOk)
        if self.confirms is None:
            self.confirms = confirm_ledger(self._connection.codec)
            self.confirms.on_woken = self._connection.on_woken

    def publish(
        self,
        pending: PendingPublish | None,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        properties: Properties | bytes | None,
        body: Body,
    ) -> int:
        """Write a message; return its delivery tag, or 0 without confirms.

        Raises:
            EncodeError: A value cannot be encoded; nothing was written.
        """
        if self.state is not CHANNEL_OPEN:
            self.check_open()
        confirms = self.confirms
        if confirms is not None and pending is None:
            raise UsageError("in confirm mode the broker counts every publish")
        connection = self._connection
        append_publish = connection.append_publish
        written = append_publish(
            connection.out,
            self.channel_id,
            exchange,
            routing_key,
            mandatory,
            properties,
            body,
            connection.frame_max,
        )
        if not connection.out_size:
            connection.on_output()
        connection.out_size += written
        if confirms is None or pending is None:
            return 0
        return confirms.register(pending)

    def is_unsettled(self, tag: int) -> bool:
        """Return whether a delivery waits for its settlement."""
        return tag in self.deliveries.unsettled

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """Acknowledge a delivery; the frame goes out with the others of this turn."""
        if multiple:
            return self._settle_up_to(tag, self._write_ack)
        deliveries = self.deliveries
        unsettled = deliveries.unsettled
        if self.state is CHANNEL_OPEN and tag in unsettled and deliveries.uncommitted is None:
            unsettled.remove(tag)
        elif self.state is not CHANNEL_OPEN or not deliveries.settle(tag):
            return self._not_settled(tag)
        pending = deliveries.pending
        if not pending:
            self._connection.has_acks(self)
        pending.append(tag)
        return _SENT

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """Refuse a delivery, or every unsettled one up to it (RabbitMQ, basic.nack)."""

        def write(tag: int, multiple: bool) -> None:
            codec = self._connection.codec
            self._connection.write(codec.encode_nack(self.channel_id, tag, multiple, requeue))

        if multiple:
            return self._settle_up_to(tag, write)
        if not self._strike_out(tag):
            return Settlement.STALE
        write(tag, False)
        return Settlement.SENT

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """Refuse one delivery (AMQP 0-9-1, basic.reject)."""
        if not self._strike_out(tag):
            return Settlement.STALE
        codec = self._connection.codec
        self._connection.write(codec.encode_reject(self.channel_id, tag, requeue))
        return Settlement.SENT

    def recover(self, waiter: Waiter, requeued: Collection[str]) -> None:
        """Have unsettled deliveries taken back and delivered again (AMQP 0-9-1, basic.recover).

        What still arrives before recover-ok is taken back as well, so it is not passed on to the
        consumers named in `requeued`, those that settle their messages.
        """
        passed_on = {tag: self.consumers[tag] for tag in requeued if tag in self.consumers}
        self.request(
            waiter,
            new_method(Basic.Recover, requeue=True),
            Basic.RecoverOk,
            before_reply=lambda _: self._recovered(passed_on),
        )
        self.deliveries.requeue_all()
        for tag in passed_on:
            self.consumers[tag] = self._note_requeued

    def _recovered(self, passed_on: dict[str, Callable[[Any], None]]) -> None:
        self.deliveries.requeue_all()
        for tag, consumer in passed_on.items():
            if self.consumers.get(tag) == self._note_requeued:
                self.consumers[tag] = consumer

    def _note_requeued(self, delivery: Any) -> None:  # of the owner's class
        self.deliveries.unsettled.add(delivery.delivery_tag)

    def flush_acks(self) -> None:
        """Write the acks made so far."""
        if self.state is ChannelState.OPEN:
            self.deliveries.flush(self._write_ack)

    def close(self, waiter: Waiter, reply_code: int = 200, reply_text: str = "closed") -> None:
        """Start closing: everything but close-ok is ignored from now on."""
        self.check_open()
        self.flush_acks()
        self._begin_close(waiter, ChannelClosed(reply_text, reply_code=reply_code, by_peer=False))

    # --- receiving -------------------------------------------------------------------------

    def opened(self) -> None:
        """Take note of open-ok."""
        self.move(ChannelState.OPEN)

    def end(self, error: ClosedError) -> None:
        """Close for good: whoever waits gets `error`."""
        if self.state is not ChannelState.CLOSED:
            self.move(ChannelState.CLOSED)
        self._tell(error)

    def disown(self, error: ClosedError) -> None:
        """Be closed, and tell nobody yet."""
        if self.state is not ChannelState.CLOSED:
            self.move(ChannelState.CLOSED)
        if self.error is None:
            self.error = error

    def abort(self, error: ChannelClosed) -> None:
        """Close the channel for a fault of the peer's, reported as `error`."""
        self._begin_close(NOBODY, error)

    def move(self, state: ChannelState) -> None:
        """Change state, if the table allows it."""
        assert state in CHANNEL_MOVES[self.state], (self.state, state)
        self.state = state

    # --- inside ----------------------------------------------------------------------------

    def _begin_close(self, waiter: Waiter, error: ChannelClosed) -> None:
        self._write(closing_method(Channel.Close, error))
        self.move(ChannelState.CLOSING)
        self._tell(error)
        self.replies.expect(ReplySlot(waiter, Channel.Close.index, (Channel.CloseOk,)))

    def _tell(self, error: ClosedError) -> None:
        """Empty the ledgers and give everybody who waits the reason."""
        if self.error is None:
            self.error = error
        self.consumers.clear()
        self.on_published = self.on_settled = self.on_method = None
        self.left_unsettled |= self.deliveries.unsettled
        self.deliveries = DeliveryLedger()
        self.replies.fail(error)
        confirms, self.confirms = self.confirms, None
        if confirms is not None:
            for publish in confirms.forget_all():
                publish.lost(error)

    def _strike_out(self, tag: int) -> bool:
        """Take `tag` off the ledger; False when settling it would mean nothing any more."""
        if self.state is ChannelState.OPEN and self.deliveries.settle(tag):
            return True
        return bool(self._not_settled(tag))

    def _not_settled(self, tag: int) -> Settlement:
        """Return what becomes of a settlement that there is nothing for on the ledger."""
        if self.state is not ChannelState.OPEN or self.deliveries.was_requeued(tag):
            return Settlement.STALE
        raise AlreadySettledError(
            f"delivery {tag} was settled before, or needs no settling (no_ack)"
        )

    def _settle_up_to(self, tag: int, write: Callable[[int, bool], None]) -> Settlement:
        # First, while `tag` counts as unsettled: so no coalesced ack reaches over it.
        self.flush_acks()
        if not self._strike_out(tag):
            return Settlement.STALE
        self.deliveries.settle_up_to(tag)
        write(tag, True)
        return Settlement.SENT

    def _write(self, method: Frame) -> None:
        connection = self._connection
        data = connection.codec.encode_method(self.channel_id, method, connection.frame_max)
        self.flush_acks()
        connection.write(data)

    def _write_ack(self, tag: int, multiple: bool) -> None:
        connection = self._connection
        connection.write(connection.codec.encode_ack(self.channel_id, tag, multiple))
