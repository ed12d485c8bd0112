"""One channel of one client: what it has published, been sent, and not settled."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from pamqp.base import Frame
from pamqp.commands import Basic

from hopmq.broker.consumer import Consumer
from hopmq.broker.message import Entry
from hopmq.broker.operations import OPERATIONS
from hopmq.broker.patience import LAPSED, Lapsed, Patience
from hopmq.broker.publishing import Publishing
from hopmq.broker.queues.queue import Comeback, Queue
from hopmq.broker.refusal import Refusal
from hopmq.broker.reply_to import ReplyAddress
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.errors import channel_closed
from hopmq.wire import Ack, Nack, Published, Reject, new_method

if TYPE_CHECKING:
    from hopmq.broker.operations.transactions import Transaction
    from hopmq.broker.peer import Peer
    from hopmq.broker.vhost import VirtualHost

_T = TypeVar("_T")

Unsettled: TypeAlias = tuple[Entry, Queue | Lapsed, Consumer | None]


class Verdict(Enum):
    """What a client says of a delivery."""

    ACKNOWLEDGED = "acknowledged"
    NACKED = "to be delivered again: the client could not take it"
    REJECTED = "to be delivered again: it failed"
    DISCARDED = "to be dropped, or to go where dead messages go"


ACKNOWLEDGED: Final = Verdict.ACKNOWLEDGED

_INTERNAL_ERROR: Final = 541
_PUBLISH_INDEX: Final = Basic.Publish.index
_SETTLE_INDEX: Final[Mapping[str, int]] = {
    "Ack": Basic.Ack.index,
    "Nack": Basic.Nack.index,
    "Reject": Basic.Reject.index,
}


class BrokerChannel:
    """The broker's end of a channel.

    Attributes:
        peer: The client.
        number: The channel's number.
        connection: The client's connection, to write to.
        vhost: The client's virtual host.
        publishing: What becomes of the messages it publishes.
        consumers: By tag.
        unsettled: What it was sent and has not settled, by delivery tag, oldest first.
        last_tag: The delivery tag used last.
        outstanding: How many messages its consumers have not settled.
        prefetch: Bound on `outstanding`; 0 for none (basic.qos with global).
        consumer_prefetch: Bound for each consumer that is still to come.
        last_queue: The queue declared last, which an empty name stands for.
        transaction: What waits for tx.commit; None on a channel without transactions.
        reply_address: Where replies without a queue reach it.
        patience: How long it may leave deliveries unsettled.
    """

    __slots__ = (
        "_core",
        "connection",
        "consumer_prefetch",
        "consumers",
        "last_queue",
        "last_tag",
        "number",
        "outstanding",
        "patience",
        "peer",
        "prefetch",
        "publishing",
        "reply_address",
        "transaction",
        "unsettled",
        "vhost",
    )

    def __init__(self, peer: "Peer", vhost: "VirtualHost", core: ChannelCore) -> None:
        """Take what the client sends on this channel from now on."""
        self.peer: Peer = peer
        self.vhost: VirtualHost = vhost
        self.number: int = core.channel_id
        self.connection: ConnectionCore = peer.core
        self.publishing: Publishing = Publishing(self)
        self.consumers: dict[str, Consumer] = {}
        self.unsettled: dict[int, Unsettled] = {}
        self.last_tag: int = 0
        self.outstanding: int = 0
        self.prefetch: int = 0
        self.consumer_prefetch: int = 0
        self.last_queue: str = ""
        self.transaction: Transaction | None = None
        self.reply_address: ReplyAddress | None = None
        self.patience: Patience = Patience(self)
        self._core = core
        core.on_method = self.receive_method
        core.on_published = self.receive_published
        core.on_settled = self.receive_settled

    # --- receiving -------------------------------------------------------------------------

    def receive_method(self, method: Frame) -> None:
        """Do what a method asks for."""
        if self.peer.is_blocked:
            self._put_off(self.receive_method, method)
            return
        operation: Callable[[BrokerChannel, Any], None] = OPERATIONS.get(type(method), _unknown)
        try:
            operation(self, method)
        except Refusal as refusal:
            self.refuse(refusal, method.index)

    def receive_published(self, message: Published) -> None:
        """Take a message; during an alarm it waits, and all that follows it on the connection."""
        if self.vhost.memory.alarmed or self.peer.is_blocked:
            self.peer.block()
            self._put_off(self.receive_published, message)
            return
        try:
            self.publishing.receive(message)
        except Refusal as refusal:
            self.refuse(refusal, _PUBLISH_INDEX)

    def receive_settled(self, settlement: Ack | Nack | Reject) -> None:
        """Take an acknowledgement or a refusal."""
        if self.peer.is_blocked:
            self._put_off(self.receive_settled, settlement)
            return
        # By its fields: its class is that of the connection's codec, whichever that is.
        multiple: bool = getattr(settlement, "multiple", False)
        try:
            verdict = self._verdict(settlement)
            if self.transaction is not None:
                self.transaction.add_settlement(self, settlement.delivery_tag, multiple, verdict)
            else:
                self.settle(self.covered(settlement.delivery_tag, multiple), verdict)
        except Refusal as refusal:
            self.refuse(refusal, _SETTLE_INDEX[type(settlement).__name__])

    def _put_off(self, receive: Callable[[_T], None], what: _T) -> None:
        """Take something when the alarm is over, if the channel is still open by then."""

        def later() -> None:
            if self.peer.channels.get(self.number) is self:
                receive(what)

        self.peer.put_off(later)

    def _verdict(self, settlement: Ack | Nack | Reject) -> Verdict:
        codec = self.connection.codec
        if type(settlement) is codec.Ack:
            return ACKNOWLEDGED
        if not getattr(settlement, "requeue", False):
            return Verdict.DISCARDED
        return Verdict.REJECTED if type(settlement) is codec.Reject else Verdict.NACKED

    # --- settling --------------------------------------------------------------------------

    def covered(self, tag: int, multiple: bool) -> list[int]:
        """Return the unsettled delivery tags that `tag` means.

        Raises:
            Refusal: There are none (406).
        """
        unsettled = self.unsettled
        if not multiple:
            if tag not in unsettled:
                raise _unknown_tag(tag)
            return [tag]
        if tag == 0:
            return list(unsettled)
        if tag not in unsettled:
            raise _unknown_tag(tag)
        covered = []
        for each in unsettled:
            if each > tag:
                break
            covered.append(each)
        return covered

    def settle(self, tags: list[int], verdict: Verdict) -> None:
        """Settle the deliveries of `tags`."""
        if verdict is ACKNOWLEDGED:
            self._acknowledge(tags)
        elif verdict is Verdict.DISCARDED:
            self._discard(tags)
        else:
            rejected = verdict is Verdict.REJECTED
            self.take_back(tags, Comeback.REJECTED if rejected else Comeback.NACKED)

    def _acknowledge(self, tags: list[int]) -> None:
        queues: dict[Queue | Lapsed, None] = {}
        pop = self.unsettled.pop
        for tag in tags:
            entry, queue, consumer = pop(tag)
            queue.settle(entry)
            self._released(consumer)
            queues[queue] = None
        for queue in queues:
            if queue.ready:
                queue.dispatch()

    def _discard(self, tags: list[int]) -> None:
        for tag in tags:
            entry, queue, consumer = self.unsettled.pop(tag)
            self._released(consumer)
            queue.discard(entry)
            queue.dispatch()

    def take_back(self, tags: list[int], how: Comeback) -> None:
        """Put deliveries back into their queues."""
        returned: dict[Queue | Lapsed, list[Entry]] = {}
        for tag in tags:
            entry, queue, consumer = self.unsettled.pop(tag)
            self._released(consumer)
            returned.setdefault(queue, []).append(entry)
        for queue, entries in returned.items():
            queue.take_back(entries, how)

    def _released(self, consumer: Consumer | None) -> None:
        """Take note that a delivery is settled, so that there is room for another."""
        if consumer is None:
            return
        self.outstanding -= 1
        consumer.settled()
        if self.prefetch:
            for other in self.consumers.values():
                if other.parked:
                    other.queue.roster.unpark(other)
                    if other.queue is not consumer.queue:
                        other.queue.dispatch()

    # --- sending ---------------------------------------------------------------------------

    def reply(self, method: Frame) -> None:
        """Send a method, after the confirms of what came before."""
        self.publishing.flush_acks()
        self.send(method)

    def send(self, method: Frame) -> None:
        """Send a method."""
        connection = self.connection
        connection.write(connection.codec.encode_method(self.number, method, connection.frame_max))

    def deliver_reply(self, tag: str, entry: Entry) -> None:
        """Send a message that came without a queue; before 4.3 its delivery tag stays free."""
        delivery_tag = self.last_tag + 1
        if self.vhost.emulation.volatile_queues:
            self.last_tag = delivery_tag
        message = entry.message
        connection = self.connection
        connection.wrote(
            connection.codec.append_deliver(
                connection.out,
                self.number,
                tag,
                delivery_tag,
                False,
                message.exchange,
                message.routing_key,
                message.raw_properties,
                message.body,
                connection.frame_max,
            )
        )

    def refuse(self, refusal: Refusal, index: int) -> None:
        """Close the channel, or the connection, and say why."""
        self.publishing.flush_acks()
        if refusal.closes_connection:
            # What breaks inside of RabbitMQ is blamed on no method.
            self.peer.refuse(refusal, 0 if refusal.code == _INTERNAL_ERROR else index)
            return
        error = channel_closed(
            refusal.code,
            refusal.text,
            class_id=index >> 16,
            method_id=index & 0xFFFF,
            by_peer=False,
        )
        self.peer.log_channel_error(self.number, refusal)
        self._core.abort(error)
        self.end()

    # --- consumers -------------------------------------------------------------------------

    def cancel_consumer(self, consumer: Consumer) -> None:
        """Tell the client that its consumer is gone (RabbitMQ, consumer cancel notification)."""
        self.consumers.pop(consumer.tag, None)
        if self.peer.has_capability("consumer_cancel_notify"):
            self.send(new_method(Basic.Cancel, consumer_tag=consumer.tag, nowait=True))

    def lapse(self, consumer: Consumer, tags: list[int]) -> None:
        """Take deliveries away from a consumer that has not settled them in time, and end it.

        To settle them later means nothing, and is no mistake.
        """
        if self.consumers.get(consumer.tag) is consumer:
            self.cancel_consumer(consumer)
        consumer.queue.remove_consumer(consumer)
        unsettled = {tag: self.unsettled[tag][0] for tag in tags}
        self.take_back(tags, Comeback.NACKED)
        for tag, entry in unsettled.items():
            self.unsettled[tag] = (entry, LAPSED, None)
        self.unsettled = dict(sorted(self.unsettled.items()))

    def end(self) -> None:
        """Let go of everything: the channel is closed."""
        self.peer.channels.pop(self.number, None)
        self.patience.stop()
        consumers, self.consumers = self.consumers, {}
        for consumer in consumers.values():
            consumer.queue.roster.remove(consumer)
        if self.reply_address is not None:
            self.vhost.replies.remove(self.reply_address)
        self.take_back(list(self.unsettled), Comeback.ABANDONED)
        for consumer in consumers.values():
            consumer.queue.remove_consumer(consumer)


def _unknown(_channel: BrokerChannel, _method: Frame) -> None:
    raise Refusal(503, "COMMAND_INVALID - unimplemented method")


def _unknown_tag(tag: int) -> Refusal:
    return Refusal(406, f"PRECONDITION_FAILED - unknown delivery tag {tag}")
