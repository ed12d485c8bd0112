"""Messages inside the broker, and their places in queues.

A message is the `Published` event that the decoder made: it is never copied or changed. What
differs from queue to queue stands in an `Entry`.
"""

from dataclasses import replace
from typing import Final

from hopmq.wire import Properties, Published, active

PERSISTENT: Final = 2
OVERHEAD: Final = 400
"""Bytes that a queued message takes beside its body, roughly, for the memory limit."""

# Flags of a property list (AMQP 0-9-1, 4.2.6.1), in its first and its second octet.
HEADERS: Final = 0x20
DELIVERY_MODE: Final = 0x10
PRIORITY: Final = 0x08
REPLY_TO: Final = 0x02
EXPIRATION: Final = 0x01
USER_ID: Final = 0x10


class Annotations:
    """What the broker knows of a message beside its bytes; the message's `context`.

    Attributes:
        keys: The keys it is routed by.
        died: Whether it is a dead letter, so that its header `x-death` is the broker's own.
    """

    __slots__ = ("died", "keys")

    def __init__(self, keys: tuple[str, ...], *, died: bool = False) -> None:
        """Know this."""
        self.keys: tuple[str, ...] = keys
        self.died: bool = died


class Entry:
    """A message's place in one queue.

    Attributes:
        message: What was published.
        position: Its place in the queue's order; smaller is older.
        redelivered: Whether it was delivered before.
        expires_at: When it expires, on the broker's clock; None for never.
        deliveries: How often its delivery has failed (quorum queues).
        acquired: How often it came back from a consumer (quorum queues). Negative in either for
            what was counted in the queue that it died in: shown once, then counted anew.
    """

    __slots__ = ("acquired", "deliveries", "expires_at", "message", "position", "redelivered")

    def __init__(self, message: Published, position: int, expires_at: float | None) -> None:
        """Stand at `position`, not delivered yet."""
        self.message: Published = message
        self.position: int = position
        self.redelivered: bool = False
        self.expires_at: float | None = expires_at
        self.deliveries: int = 0
        self.acquired: int = 0

    def go_on_from(self, past: "Entry") -> None:
        """Know of the deliveries in another queue, where the message died."""
        self.redelivered = past.redelivered
        self.deliveries = past.deliveries
        self.acquired = past.acquired

    def __lt__(self, other: "Entry") -> bool:
        """Order by position."""
        return self.position < other.position

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.message.body)


def priority_of(message: Published) -> int:
    """Return the priority; 0 when the message names none."""
    if not message.raw_properties[0] & PRIORITY:
        return 0
    return message.properties.priority or 0


def time_to_live(message: Published) -> float | None:
    """Return the seconds of property `expiration`; None when there is none."""
    if not message.raw_properties[0] & EXPIRATION:
        return None
    expiration = message.properties.expiration
    return None if expiration is None else int(expiration) / 1000


def is_persistent(message: Published) -> bool:
    """Return whether the message outlives its broker in a durable queue."""
    if not message.raw_properties[0] & DELIVERY_MODE:
        return False
    return message.properties.delivery_mode == PERSISTENT


def with_properties(message: Published, **changes: object) -> Published:
    """Return the same message with other properties."""
    return rewritten(message, replace(message.properties, **changes))  # type: ignore[arg-type]


def rewritten(
    message: Published,
    properties: Properties,
    *,
    exchange: str | None = None,
    routing_key: str | None = None,
) -> Published:
    """Return a message of the same body with what is given."""
    return Published(
        message.channel,
        message.exchange if exchange is None else exchange,
        message.routing_key if routing_key is None else routing_key,
        message.body,
        active.encode_properties(properties),
    )
