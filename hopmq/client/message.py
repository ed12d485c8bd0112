"""Messages that came from the broker."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from hopmq.core.channel import RETURN_TOKEN, Settlement
from hopmq.typedefs import FieldTable, Timestamp
from hopmq.wire import Codec, Delivery, Fetched, Properties

logger: logging.Logger = logging.getLogger("hopmq.client")


class Settling(Protocol):
    """What a message is settled by: its channel, most often."""

    def is_unsettled(self, tag: int) -> bool:
        """Return whether a delivery waits for its settlement."""

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """Acknowledge a delivery, or with `multiple` every unsettled one up to it."""

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """Refuse a delivery, or with `multiple` every unsettled one up to it."""

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """Refuse a delivery."""


class Message:
    """A message from the broker.

    Attributes:
        body: The payload.
        exchange: Where it was published to; `""` for the default exchange.
        routing_key: The key it was published with.
        redelivered: True when it may have been delivered before.
        delivery_tag: Its number on the channel it came by.

    Settle each message once, by `ack`, `nack`, `reject` or `process`, unless it was consumed
    with `no_ack`. A settle whose channel or connection is gone sends nothing and returns
    `Settlement.STALE`: the broker delivers such a message again.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        body: bytes
        raw_properties: bytes
        exchange: str
        routing_key: str
        redelivered: bool
        delivery_tag: int
        octets: Callable[[], int]
        admit: Callable[[Settling, set[int] | None], None]
        context: Any  # a Settling; the wire layer, which owns the slot, does not know the type

    # Wire events compare by content and have no hash; a message is itself and nothing else, so
    # that it can stand in sets and dictionaries.
    def __eq__(self, other: object) -> bool:
        """Compare by identity."""
        return self is other

    def __hash__(self) -> int:
        """Hash by identity."""
        return object.__hash__(self)

    @property
    def properties(self) -> Properties:
        """All properties, decoded at first use."""
        properties: Properties = super().properties  # type: ignore[misc]
        headers = properties.headers
        if headers and RETURN_TOKEN in headers:
            properties.headers = {
                name: value for name, value in headers.items() if name != RETURN_TOKEN
            }
        return properties

    @property
    def headers(self) -> FieldTable:
        """The headers; empty when there are none."""
        return self.properties.headers or {}

    @property
    def content_type(self) -> str | None:
        """MIME type of the body."""
        return self.properties.content_type

    @property
    def content_encoding(self) -> str | None:
        """MIME encoding of the body."""
        return self.properties.content_encoding

    @property
    def correlation_id(self) -> str | None:
        """What request this answers."""
        return self.properties.correlation_id

    @property
    def reply_to(self) -> str | None:
        """Queue that replies go to."""
        return self.properties.reply_to

    @property
    def message_id(self) -> str | None:
        """The application's name for the message."""
        return self.properties.message_id

    @property
    def timestamp(self) -> datetime | Timestamp | None:
        """When the application made it."""
        return self.properties.timestamp

    @property
    def persistent(self) -> bool:
        """Whether it survives a broker restart in a durable queue (delivery mode 2)."""
        return self.properties.delivery_mode == 2  # AMQP 0-9-1, delivery-mode

    @property
    def settled(self) -> bool:
        """Whether it needs no ack, nack or reject (any more)."""
        settling: Settling = self.context
        return not settling.is_unsettled(self.delivery_tag)

    def ack(self, *, multiple: bool = False) -> Settlement:
        """Tell the broker that the message is done.

        Args:
            multiple: Also settle every earlier unsettled message of this channel.

        Raises:
            AlreadySettledError: It was settled before, or taken with `no_ack`. The broker would
                close the channel for it.
        """
        settling: Settling = self.context
        return settling.ack(self.delivery_tag, multiple)

    def nack(self, *, multiple: bool = False, requeue: bool = True) -> Settlement:
        """Refuse the message; see `reject`, and `ack` for `multiple`.

        From RabbitMQ 4.3 on a nack does not count towards a quorum queue's delivery limit.
        """
        settling: Settling = self.context
        return settling.nack(self.delivery_tag, multiple, requeue)

    def reject(self, *, requeue: bool = False) -> Settlement:
        """Refuse the message.

        Args:
            requeue: True returns it to its queue; False drops it, or dead-letters it where the
                queue says so.

        Raises:
            AlreadySettledError: It was settled before, or taken with `no_ack`.
        """
        settling: Settling = self.context
        return settling.reject(self.delivery_tag, requeue)

    def process(self, *, requeue: bool = True) -> "Processing":
        """Settle by how a block ends: `async with message.process(): ...`.

        The message is acknowledged when the block ends well and rejected when it raises or is
        cancelled, unless the block has settled it itself.

        Args:
            requeue: What a rejection asks for; False drops or dead-letters the message.
        """
        return Processing(self, requeue)


class Processing:
    """The block of `Message.process`."""

    __slots__ = ("_message", "_requeue")

    def __init__(self, message: Message, requeue: bool) -> None:
        """Settle `message` at the end."""
        self._message = message
        self._requeue = requeue

    async def __aenter__(self) -> Message:
        """Begin."""
        return self._message

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle."""
        settle_by_outcome(self._message, error, self._requeue)

    def __enter__(self) -> Message:
        """Begin."""
        return self._message

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle."""
        settle_by_outcome(self._message, error, self._requeue)


def settle_by_outcome(message: Message, error: BaseException | None, requeue: bool) -> None:
    """Acknowledge after success, reject after `error`; leave a settled message alone."""
    if message.settled:
        return
    if error is None:
        message.ack()
    else:
        message.reject(requeue=requeue)


class DeliveredMessage(Message):
    """A message that a consumer received.

    Attributes:
        consumer_tag: The consumer it came by.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        consumer_tag: str


class FetchedMessage(Message):
    """A message that `get` fetched.

    Attributes:
        message_count: Messages left in the queue.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        message_count: int


@cache
def message_types(codec: Codec) -> tuple[type[Delivery], type[Fetched]]:
    """Return the classes whose instances the decoder of `codec` makes: one object per message."""
    delivered: Any = type("DeliveredMessage", (DeliveredMessage, codec.Delivery), {"__slots__": ()})
    fetched: Any = type("FetchedMessage", (FetchedMessage, codec.Fetched), {"__slots__": ()})
    for kind in (delivered, fetched):
        kind.__module__ = "hopmq"
    return delivered, fetched
