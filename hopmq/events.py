"""What can happen to a connection, as values: see `Connection.events`."""

from dataclasses import dataclass

from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.errors import HopMQError
from hopmq.values import Value


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ConnectionEvent(Value):
    """Something that happened to a connection.

    Attributes:
        connection: Its name and peer.
    """

    connection: str


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Connected(ConnectionEvent):
    """A link to a broker is open; what stood on the one before it is not restored yet."""


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Blocked(ConnectionEvent):
    """The broker takes no publishes because of an alarm.

    Attributes:
        reason: In the broker's words.
    """

    reason: str


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Unblocked(ConnectionEvent):
    """The broker takes publishes again."""


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Recovering(ConnectionEvent):
    """The link has ended and another one is sought.

    Attributes:
        error: What ended it.
    """

    error: HopMQError


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class AttemptFailed(ConnectionEvent):
    """A host could not be connected to; the next attempt follows after a delay.

    Attributes:
        address: Which one.
        error: Why.
        refused: Whether it is a refusal of credentials, virtual host or certificate, which
            waiting does not mend.
    """

    address: str
    error: HopMQError
    refused: bool


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Recovered(ConnectionEvent):
    """The connection is open again, and all was restored but what `EntityFailed` has named.

    Attributes:
        seconds: Since the link had ended.
        attempts: Connections that were tried.
    """

    seconds: float
    attempts: int


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class EntityFailed(ConnectionEvent):
    """A queue, exchange or binding could not be restored; it is tried again.

    Attributes:
        entity: What could not.
        error: What the broker answered.
    """

    entity: Queue | Exchange | Binding
    error: HopMQError


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class QueueRenamed(ConnectionEvent):
    """A queue that the broker names has another name now; bindings and consumers follow it.

    Attributes:
        before: Its name until now.
        after: Its name from now on.
    """

    before: str
    after: str


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ChannelLost(ConnectionEvent):
    """The broker closed a channel; it is opened again only where `reopen_channels` says so.

    Attributes:
        channel: Its number.
        error: Why it was closed.
        reopened: Whether it is opened again.
    """

    channel: int
    error: HopMQError
    reopened: bool


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ConsumerLost(ConnectionEvent):
    """The broker has ended a consumer, or would not have it back; it is tried again.

    Attributes:
        consumer_tag: Which one.
        queue: What it reads.
        error: Why.
    """

    consumer_tag: str
    queue: str
    error: HopMQError


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ConsumerRestored(ConnectionEvent):
    """A consumer that was lost gets messages again.

    Attributes:
        consumer_tag: Which one.
        queue: What it reads.
    """

    consumer_tag: str
    queue: str


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Closed(ConnectionEvent):
    """The connection has ended for good.

    Attributes:
        error: Why; reply code 200 where it was closed here.
    """

    error: HopMQError
