"""What becomes of the messages that one channel publishes: routed, returned, confirmed."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hopmq.broker.message import DELIVERY_MODE, EXPIRATION, REPLY_TO, USER_ID, with_properties
from hopmq.broker.refusal import Refusal
from hopmq.broker.reply_to import PSEUDO_QUEUE
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.vhost import Target

_NO_ROUTE: Final = 312
_MAX_EXPIRATION: Final = 315_360_000_000
"""Milliseconds: ten years (RabbitMQ, MAX_EXPIRY_TIMER)."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DELIVERY_MODES: Final = (1, 2)


class Publishing:
    """The publishing half of a channel.

    Attributes:
        is_confirming: Whether the channel has confirms.
        tag: The delivery tag of the message published last, in the client's count.
    """

    __slots__ = (
        "_channel",
        "_checked",
        "_epoch",
        "_settled_up_to",
        "_to_examine",
        "_waiting",
        "is_confirming",
        "tag",
    )

    def __init__(self, channel: "BrokerChannel") -> None:
        """Publish for `channel`, without confirms."""
        self._channel = channel
        self.is_confirming: bool = False
        self.tag: int = 0
        self._settled_up_to = 0
        self._waiting: list[int] = []
        # Exchanges that the user may write to, as long as nobody's permissions change.
        self._checked: set[str] = set()
        self._epoch = -1
        # Flags of the properties that are looked at.
        self._to_examine = EXPIRATION | REPLY_TO
        if channel.vhost.emulation.checks_delivery_modes:
            self._to_examine |= DELIVERY_MODE

    def receive(self, message: Published) -> None:
        """Take a message from the client.

        Raises:
            Refusal: It must not be published so.
        """
        message = self._checked_message(message)
        if self._channel.transaction is not None:
            queues = [queue.name for queue in self._channel.vhost.route(message)]
            self._channel.transaction.add_publish(message, queues)
            return
        if not self.is_confirming:
            self.publish(message)
            return
        tag = self.tag = self.tag + 1
        accepted = self.publish(message)
        if accepted:
            self.confirm(tag)
        else:
            self.nack(tag)

    def publish(self, message: Published) -> bool:
        """Put a message into the queues it is for; False when one of them refuses it."""
        return self.hand_out(message, self._channel.vhost.route(message))

    def hand_out(self, message: Published, queues: "Sequence[Target]") -> bool:
        """Put a message into these queues; False when one of them refuses it."""
        if not queues:
            if message.mandatory:
                self.give_back(message)
            return True
        if len(queues) == 1:
            return queues[0].publish(message)
        return self._publish_to_all(queues, message)

    def _publish_to_all(self, queues: "Sequence[Target]", message: Published) -> bool:
        accepted = True
        for queue in queues:
            accepted = queue.publish(message) and accepted
        return accepted

    # --- confirms --------------------------------------------------------------------------

    def flush_acks(self) -> None:
        """Send the confirms that are due, as few as mean the same."""
        waiting = self._waiting
        if not waiting:
            return
        self._waiting = []
        channel = self._channel
        connection = channel.connection
        count = len(waiting)
        last = waiting[-1]
        if last - self._settled_up_to == count:
            self._settled_up_to = last
            connection.write(connection.codec.encode_ack(channel.number, last, count > 1))
            return
        for tag in waiting:
            connection.write(connection.codec.encode_ack(channel.number, tag, False))

    def confirm(self, tag: int) -> None:
        """Confirm a message; the frame goes out with the others of this turn."""
        if not self._waiting:
            self._channel.connection.has_acks(self)
        self._waiting.append(tag)

    def nack(self, tag: int) -> None:
        """Refuse a message."""
        self.flush_acks()
        if self._settled_up_to == tag - 1:
            self._settled_up_to = tag
        channel = self._channel
        channel.connection.write(
            channel.connection.codec.encode_nack(channel.number, tag, False, False)
        )

    # --- returns ---------------------------------------------------------------------------

    def give_back(self, message: Published) -> None:
        """Return a message that no queue has taken."""
        channel = self._channel
        connection = channel.connection
        connection.wrote(
            connection.codec.append_return(
                connection.out,
                channel.number,
                _NO_ROUTE,
                "NO_ROUTE",
                message.exchange,
                message.routing_key,
                message.raw_properties,
                message.body,
                connection.frame_max,
            )
        )

    # --- checks ----------------------------------------------------------------------------

    def _checked_message(self, message: Published) -> Published:
        """Return what is published: the message, if it may be, with its reply address filled in."""
        channel = self._channel
        access = channel.peer.access
        if self._epoch != access.epoch:
            self._epoch = access.epoch
            self._checked.clear()
        if message.immediate:
            raise Refusal(540, "NOT_IMPLEMENTED - immediate=true")
        if message.exchange not in self._checked:
            self._check_exchange(message.exchange)
        raw = message.raw_properties
        if raw[0] & self._to_examine or raw[1] & USER_ID:
            return self._examined(message)
        return message

    def _check_exchange(self, name: str) -> None:
        channel = self._channel
        channel.peer.require("write", "exchange", name)
        exchange = channel.vhost.exchange(name)
        if exchange.internal:
            raise Refusal(
                403,
                f"ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost "
                f"'{channel.vhost.name}'",
            )
        self._checked.add(name)

    def _examined(self, message: Published) -> Published:
        properties = message.properties
        user = self._channel.peer.username
        if properties.user_id is not None and properties.user_id != user:
            raise Refusal(
                406,
                f"PRECONDITION_FAILED - user_id property set to '{properties.user_id}' but "
                f"authenticated user was '{user}'",
            )
        emulation = self._channel.vhost.emulation
        if properties.expiration is not None:
            milliseconds = str(_milliseconds(properties.expiration))
            if milliseconds != properties.expiration and emulation.rewrites_expirations:
                message = _changed(message, expiration=milliseconds)
        mode = properties.delivery_mode
        if emulation.checks_delivery_modes and mode is not None and mode not in _DELIVERY_MODES:
            text = f"invalid message: {{delivery_mode_unknown,{mode}}}"
            raise Refusal(406, f"PRECONDITION_FAILED - {text}")
        if properties.reply_to == PSEUDO_QUEUE:
            address = self._channel.reply_address
            if address is None:
                raise Refusal(406, "PRECONDITION_FAILED - fast reply consumer does not exist")
            message = _changed(message, reply_to=address.name)
        return message


def _changed(message: Published, **properties: str) -> Published:
    mandatory = message.mandatory
    message = with_properties(message, **properties)
    message.mandatory = mandatory
    return message


def _milliseconds(text: str) -> int:
    """Read an expiration as Erlang reads integers."""
    found = _INTEGER.match(text)
    milliseconds = int(found.group()) if found else 0
    if found is None:
        fault = "no_integer"
    elif found.end() != len(text):
        fault = f'{{leftover_string,"{text[found.end() :]}"}}'
    elif milliseconds < 0:
        fault = f"{{value_negative,{milliseconds}}}"
    elif milliseconds > _MAX_EXPIRATION:
        fault = f"{{value_too_large,{milliseconds}}}"
    else:
        return milliseconds
    raise Refusal(406, f"PRECONDITION_FAILED - invalid expiration '{text}': {fault}")
