"""What a connection core tells its owner; everything rarer than a delivery or a confirm."""

from dataclasses import dataclass, field
from typing import TypeAlias

from pamqp.base import Frame

from hopmq.errors import ChannelClosed, ConnectError, ConnectionClosed
from hopmq.typedefs import FieldTable
from hopmq.values import Value
from hopmq.wire import Ack, Nack, Published, Reject, Returned


@dataclass(slots=True, eq=False, repr=False)
class ConnectionOpened(Value):
    """The handshake is complete."""


@dataclass(slots=True, eq=False, repr=False)
class ConnectionRefused(Value):
    """The handshake failed; the link is of no more use."""

    error: ConnectError


@dataclass(slots=True, eq=False, repr=False)
class ConnectionEnded(Value):
    """An open connection has ended; every channel ended before it."""

    error: ConnectionClosed


@dataclass(slots=True, eq=False, repr=False)
class ConnectionBlocked(Value):
    """The broker stopped reading publishes: an alarm (RabbitMQ, connection.blocked)."""

    reason: str


@dataclass(slots=True, eq=False, repr=False)
class ConnectionUnblocked(Value):
    """All alarms are cleared."""


@dataclass(slots=True, eq=False, repr=False)
class ChannelOpened(Value):
    """The peer opened a channel (server role)."""

    channel: int


@dataclass(slots=True, eq=False, repr=False)
class ChannelEnded(Value):
    """A channel ended other than by our own close."""

    channel: int
    error: ChannelClosed


@dataclass(slots=True, eq=False, repr=False)
class ConsumerCancelled(Value):
    """The broker ended a consumer."""

    channel: int
    consumer_tag: str


@dataclass(slots=True, eq=False, repr=False)
class FlowChanged(Value):
    """The peer asked us to stop or go on sending content on a channel."""

    channel: int
    active: bool


@dataclass(slots=True, eq=False, repr=False)
class MessageReturned(Value):
    """A mandatory message came back."""

    channel: int
    message: Returned


@dataclass(slots=True, eq=False, repr=False)
class MessageSkipped(Value):
    """A message above max_message_size was dropped and its channel is being closed."""

    channel: int
    size: int


@dataclass(slots=True, eq=False, repr=False)
class AuthenticationRequested(Value):
    """A client presents itself; answer with `accept_login`, `challenge` or `reject`."""

    mechanism: str
    response: bytes = field(repr=False)
    client_properties: FieldTable


@dataclass(slots=True, eq=False, repr=False)
class ChallengeAnswered(Value):
    """A client answered a SASL challenge."""

    response: bytes = field(repr=False)


@dataclass(slots=True, eq=False, repr=False)
class VhostRequested(Value):
    """A client wants a virtual host; answer with `accept_vhost` or `reject`."""

    virtual_host: str


@dataclass(slots=True, eq=False, repr=False)
class SecretUpdated(Value):
    """A client sent fresh credentials; answer by a method or a close (server role)."""

    secret: bytes = field(repr=False)
    reason: str


@dataclass(slots=True, eq=False, repr=False)
class MethodReceived(Value):
    """A method for the layer above to act on (server role)."""

    channel: int
    method: Frame


@dataclass(slots=True, eq=False, repr=False)
class MessagePublished(Value):
    """A client published (server role)."""

    channel: int
    message: Published


@dataclass(slots=True, eq=False, repr=False)
class MessageSettled(Value):
    """A client acknowledged or rejected (server role)."""

    channel: int
    settlement: Ack | Nack | Reject


CoreEvent: TypeAlias = (
    ConnectionOpened
    | ConnectionRefused
    | ConnectionEnded
    | ConnectionBlocked
    | ConnectionUnblocked
    | ChannelOpened
    | ChannelEnded
    | ConsumerCancelled
    | FlowChanged
    | MessageReturned
    | MessageSkipped
    | AuthenticationRequested
    | ChallengeAnswered
    | VhostRequested
    | SecretUpdated
    | MethodReceived
    | MessagePublished
    | MessageSettled
)
