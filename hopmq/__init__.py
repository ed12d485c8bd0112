"""HopMQ: an async RabbitMQ client for Python that is fast and does not lose messages.

async with hopmq.connect("amqp://localhost") as connection:
    async with connection.channel() as channel:
        await channel.declare_queue("hello")
        await channel.publish(b"hi", routing_key="hello")
"""

from hopmq import errors
from hopmq._version import __version__
from hopmq.client.channel import Channel
from hopmq.client.connect import connect
from hopmq.client.connection import Connection
from hopmq.client.consumer import Consumer
from hopmq.client.message import Message
from hopmq.client.outcome import PublishHandle, Receipt
from hopmq.client.transaction import Transaction
from hopmq.core.channel import Settlement
from hopmq.entities import Exchange, Queue, QueueInfo
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
    "EncodeError",
    "Exchange",
    "FieldTable",
    "FieldValue",
    "HandshakeError",
    "HopMQError",
    "Message",
    "NoChannelAvailableError",
    "NotFoundError",
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
