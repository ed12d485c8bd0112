"""One consumer: how many messages it may have, and how they reach it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hopmq.broker.message import Entry

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.queues.queue import Queue


class Consumer:
    """A subscription of a channel to a queue.

    Attributes:
        channel, queue: What it connects.
        tag: Its name, unique on its channel.
        no_ack: Whether a message counts as settled once it is sent.
        exclusive: Whether no other consumer is allowed beside it.
        priority: Higher ones are served first.
        prefetch: Unsettled messages it may have; 0 for any number.
        arguments: Those of its `basic.consume`.
        outstanding: Unsettled messages it has.
        parked: Whether the queue has passed it over for want of room.
    """

    __slots__ = (
        "arguments",
        "channel",
        "exclusive",
        "no_ack",
        "outstanding",
        "parked",
        "prefetch",
        "priority",
        "queue",
        "tag",
    )

    def __init__(
        self,
        channel: "BrokerChannel",
        queue: "Queue",
        tag: str,
        *,
        no_ack: bool,
        exclusive: bool,
        priority: int,
        prefetch: int,
        arguments: Mapping[str, Any],
    ) -> None:
        """Have nothing outstanding."""
        self.channel: BrokerChannel = channel
        self.queue: Queue = queue
        self.tag: str = tag
        self.no_ack: bool = no_ack
        self.exclusive: bool = exclusive
        self.priority: int = priority
        self.prefetch: int = prefetch
        self.arguments: Mapping[str, Any] = arguments
        self.outstanding: int = 0
        self.parked: bool = False

    def has_room(self) -> bool:
        """Return whether it may be sent another message now."""
        channel = self.channel
        if channel.peer.held:
            return False
        if self.no_ack:
            return True
        if self.prefetch and self.outstanding >= self.prefetch:
            return False
        return not channel.prefetch or channel.outstanding < channel.prefetch

    def deliver(self, entry: Entry, properties: bytes) -> None:
        """Send a message, under the next delivery tag of the channel."""
        channel = self.channel
        tag = channel.last_tag = channel.last_tag + 1
        if not self.no_ack:
            channel.unsettled[tag] = (entry, self.queue, self)
            self.outstanding += 1
            channel.outstanding += 1
        message = entry.message
        connection = channel.connection
        written = connection.codec.append_deliver(
            connection.out,
            channel.number,
            self.tag,
            tag,
            entry.redelivered,
            message.exchange,
            message.routing_key,
            properties,
            message.body,
            connection.frame_max,
        )
        connection.wrote(written)
        if connection.out_size > channel.peer.turn_size:
            channel.peer.hold()

    def settled(self) -> None:
        """Take note that it has room for one message more."""
        self.outstanding -= 1
        if self.parked:
            self.queue.roster.unpark(self)
