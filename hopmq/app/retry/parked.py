"""Where messages are parked: the queue, its exchange, and what a parked message says of itself."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final

from hopmq.app import header_names as names
from hopmq.app.errors import DeclarationError
from hopmq.app.retry.copies import OF_BROKER, count_of, forgiven
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from hopmq.client.message import Message
from hopmq.entities import Exchange, Queue
from hopmq.typedefs import FieldTable
from hopmq.values import Value

PARKING: Final = "hopmq.parking"
"""The exchange of all parking queues: by header, so that routing keys stay as they are."""
_SUFFIX: Final = ".parked"
_NO_LIMIT: Final = 1_000_000_000
"""Looking at a message returns it, which counts as a delivery. With a limit, however high, RabbitMQ 3.10
puts what is returned first again."""


def parked_queue(queue: str) -> Queue:
    """Return where messages of `queue` are parked.

    Raises:
        DeclarationError: The name of `queue` is too long to be followed by `.parked`.
    """
    name = queue + _SUFFIX
    if len(name.encode()) > 255:  # AMQP 0-9-1, 3.1.1: a name is a short string
        raise DeclarationError(f"the name of queue {queue!r} is too long for {_SUFFIX} behind it")
    return Queue.quorum(name, delivery_limit=_NO_LIMIT)


def parking_of(queue: str) -> Topology:
    """Return what has to be there for messages of `queue` to be parked."""
    parked = parked_queue(queue)
    arguments: FieldTable = {"x-match": "all", names.PARK_TO: parked.name}
    return Topology(
        exchanges=(Exchange.headers(PARKING),),
        queues=(parked,),
        bindings=(Binding(PARKING, parked.name, arguments=arguments),),
    )


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Parked(Value):
    """A parked message.

    Attributes:
        id: What it is called here.
        reason: Why its last attempt failed.
        error: The type of the exception.
        attempts: How many attempts have failed.
        first_failed: When the first of them did; None where nobody knows.
        last_failed: When the last of them did.
        exchange: Where it was published to at first.
        routing_key: With which key.
        body: The payload.
        headers: All headers, as they are in the parking queue, but for what the broker counts.
    """

    id: str
    reason: str
    error: str
    attempts: int
    first_failed: datetime | None
    last_failed: datetime | None
    exchange: str
    routing_key: str
    body: bytes
    headers: FieldTable


def parked_of(message: Message) -> Parked:
    """Read a message of a parking queue, whoever has put it there."""
    headers = message.headers
    return Parked(
        id=id_of(message),
        reason=str(headers.get(names.REASON, "")),
        error=str(headers.get(names.ERROR, "")),
        attempts=count_of(headers.get(names.ATTEMPTS)),
        first_failed=_moment(headers, names.FIRST_FAILED),
        last_failed=_moment(headers, names.LAST_FAILED),
        exchange=str(headers.get(names.EXCHANGE, message.exchange)),
        routing_key=message.routing_key,
        body=message.body,
        headers={name: headers[name] for name in headers if name not in OF_BROKER},
    )


def id_of(message: Message) -> str:
    """Return what a parked message is called; one that has no name is called by what it says."""
    given = message.headers.get(names.PARKED_ID)
    if isinstance(given, str) and given:
        return given
    said = repr(
        (message.message_id, message.routing_key, sorted(forgiven(message.headers).items()))
    )
    return blake2b(message.body + said.encode(), digest_size=16).hexdigest()


def _moment(headers: FieldTable, name: str) -> datetime | None:
    value = headers.get(name)
    return value if isinstance(value, datetime) else None
