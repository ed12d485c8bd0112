"""HopMQ: an async RabbitMQ client for Python that is fast and does not lose messages.

async with hopmq.connect("amqp://localhost") as connection:
    async with connection.channel() as channel:
        await channel.declare_queue("hello")
        await channel.publish(b"hi", routing_key="hello")
"""

from typing import TYPE_CHECKING, Final

from hopmq import errors
from hopmq._version import __version__
from hopmq.deferred import deferred
from hopmq.errors import (
    AccessRefusedError,
    AlreadySettledError,
    AuthenticationError,
    ChannelClosed,
    ClosedError,
    ConnectError,
    ConnectionClosed,
    ConnectionLostError,
    ConnectTimeoutError,
    ConsumerCancelledError,
    EncodeError,
    HandshakeError,
    HopMQError,
    NoChannelAvailableError,
    NotFoundError,
    PreconditionFailedError,
    PublishError,
    PublishManyError,
    PublishNackedError,
    PublishNotSentError,
    PublishReturnedError,
    PublishUnknownError,
    RequestTimeoutError,
    ResourceLockedError,
    UsageError,
    VhostNotFoundError,
)
from hopmq.typedefs import FieldTable, FieldValue, Timestamp
from hopmq.wire import Properties, Returned, active as _codec, reason as speedups_reason

if TYPE_CHECKING:
    # Loaded by __getattr__ when first used.
    from hopmq import (
        broker as broker,
        events as events,
        resilience as resilience,
        testing as testing,
    )
    from hopmq.client.channel import Channel
    from hopmq.client.connection import Connection
    from hopmq.client.consumer import Consumer
    from hopmq.client.message import Message
    from hopmq.client.outcome import PublishHandle
    from hopmq.client.transaction import Transaction
    from hopmq.core.channel import Settlement
    from hopmq.core.pending import Receipt
    from hopmq.entities import Exchange, Queue, QueueInfo
    from hopmq.resilience.connect import connect
    from hopmq.resilience.policy import Recovery
    from hopmq.resilience.pool import Pool
    from hopmq.resilience.signals import DrainOnSignal

speedups_enabled: bool = _codec.name == "cython"
"""Whether the compiled codec is in use; `speedups_reason` says why."""

__all__ = [
    "AccessRefusedError",
    "AlreadySettledError",
    "AuthenticationError",
    "Channel",
    "ChannelClosed",
    "ClosedError",
    "ConnectError",
    "ConnectTimeoutError",
    "Connection",
    "ConnectionClosed",
    "ConnectionLostError",
    "Consumer",
    "ConsumerCancelledError",
    "DrainOnSignal",
    "EncodeError",
    "Exchange",
    "FieldTable",
    "FieldValue",
    "HandshakeError",
    "HopMQError",
    "Message",
    "NoChannelAvailableError",
    "NotFoundError",
    "Pool",
    "PreconditionFailedError",
    "Properties",
    "PublishError",
    "PublishHandle",
    "PublishManyError",
    "PublishNackedError",
    "PublishNotSentError",
    "PublishReturnedError",
    "PublishUnknownError",
    "Queue",
    "QueueInfo",
    "Receipt",
    "Recovery",
    "RequestTimeoutError",
    "ResourceLockedError",
    "Returned",
    "Settlement",
    "Timestamp",
    "Transaction",
    "UsageError",
    "VhostNotFoundError",
    "__version__",
    "connect",
    "errors",
    "speedups_enabled",
    "speedups_reason",
]

_LOADED_WHEN_USED: Final = {
    "Channel": "hopmq.client.channel",
    "Connection": "hopmq.client.connection",
    "Consumer": "hopmq.client.consumer",
    "DrainOnSignal": "hopmq.resilience.signals",
    "Exchange": "hopmq.entities",
    "Message": "hopmq.client.message",
    "Pool": "hopmq.resilience.pool",
    "PublishHandle": "hopmq.client.outcome",
    "Queue": "hopmq.entities",
    "QueueInfo": "hopmq.entities",
    "Receipt": "hopmq.core.pending",
    "Recovery": "hopmq.resilience.policy",
    "Settlement": "hopmq.core.channel",
    "Transaction": "hopmq.client.transaction",
    "broker": "hopmq.broker",
    "connect": "hopmq.resilience.connect",
    "events": "hopmq.events",
    "resilience": "hopmq.resilience",
    "testing": "hopmq.testing",
}
"""All that a program may do without if it never connects, with asyncio; what is here at once is the
codec, whose choice may fail, and the errors."""

if not TYPE_CHECKING:  # type checkers know all of it from above, and that there is nothing else
    __getattr__ = deferred(__name__, _LOADED_WHEN_USED)


def __dir__() -> list[str]:
    """List the names, loaded or not."""
    return sorted(globals().keys() | _LOADED_WHEN_USED.keys())
