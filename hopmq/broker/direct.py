"""Operations of a channel for somebody who has no connection: the management API, definitions.

They are the very operations that clients ask for, with the same checks and the same refusals.
"""

import asyncio
from typing import TYPE_CHECKING

from pamqp.base import Frame
from pamqp.commands import Queue as QueueMethods

from hopmq.broker.access import Operation
from hopmq.broker.channel import BrokerChannel
from hopmq.broker.operations import OPERATIONS
from hopmq.broker.operations.queues import create_queue, readable_queue
from hopmq.broker.peer import Peer
from hopmq.broker.publishing import Publishing
from hopmq.broker.queues.queue import Queue
from hopmq.core.channel import ChannelCore
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.state import BrokerState
    from hopmq.broker.vhost import VirtualHost


class _Actor(Peer):
    """A peer without a socket: a user, or the broker itself, which may do everything."""

    def __init__(self, state: "BrokerState", vhost: "VirtualHost", username: str | None) -> None:
        super().__init__(state, state.settings, asyncio.get_running_loop())
        self.vhost = vhost
        self.username = username or ""
        self._is_broker = username is None

    def require(self, operation: Operation, kind: str, name: str) -> None:
        """Refuse what the user has no permission for (403)."""
        if not self._is_broker:
            super().require(operation, kind, name)


class _Publishing(Publishing):
    """Publishing that keeps what could not be routed, instead of sending it back."""

    __slots__ = ("has_returned",)

    def __init__(self, channel: BrokerChannel) -> None:
        super().__init__(channel)
        self.has_returned = False

    def give_back(self, message: Published) -> None:
        """Take note that no queue has taken the message."""
        self.has_returned = True


class DirectChannel:
    """A channel of the broker itself, or of one of its users, in one virtual host."""

    def __init__(
        self, state: "BrokerState", vhost: "VirtualHost", username: str | None = None
    ) -> None:
        """Act for a user; for the broker itself, without permissions to ask for, when None."""
        peer = _Actor(state, vhost, username)
        self._channel = BrokerChannel(peer, vhost, ChannelCore(peer.core, 1))
        self._publishing = _Publishing(self._channel)
        self._channel.publishing = self._publishing

    def do(self, method: Frame) -> None:
        """Carry out a method.

        Raises:
            Refusal: A client would be refused it.
        """
        OPERATIONS[type(method)](self._channel, method)

    def create_queue(self, method: QueueMethods.Declare) -> None:
        """Create a queue, whatever its name; RabbitMQ's own names are not refused.

        Raises:
            Refusal: The declaration means nothing.
        """
        create_queue(
            self._channel, method.queue, method, method.arguments or {}, server_named=False
        )

    def publish(self, message: Published) -> bool:
        """Publish a message and return whether it was routed anywhere.

        Raises:
            Refusal: A client would be refused it.
        """
        message.mandatory = True
        self._publishing.receive(message)
        return not self._publishing.has_returned

    def readable(self, name: str) -> Queue:
        """Return a queue that may be read.

        Raises:
            Refusal: A client would be refused it.
        """
        return readable_queue(self._channel, name)
