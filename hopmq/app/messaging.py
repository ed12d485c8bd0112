"""What applications need of a broker: a pool has it, and a connection can be given it."""

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from hopmq.client.channel import Channel
from hopmq.client.consumer import Consumer
from hopmq.client.handlers import Handler
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange, Queue, QueueInfo
from hopmq.typedefs import Body, FieldTable
from hopmq.wire import Properties


class Messaging(Protocol):
    """Publishing, consuming and declaring, as `hopmq.Pool` does it; see there for each."""

    async def publish(
        self,
        body: Body,
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        headers: FieldTable | None = None,
        mandatory: bool = False,
        persistent: bool = True,
        content_type: str | None = None,
        expiration: float | timedelta | None = None,
        priority: int | None = None,
        correlation_id: str | None = None,
        reply_to: str | None = None,
        message_id: str | None = None,
        properties: Properties | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
    ) -> Receipt:
        """Publish a message and wait until the broker has it."""

    def channel(
        self, *, confirms: bool = True, prefetch: int = 100, consuming: bool = False
    ) -> AbstractAsyncContextManager[Channel]:
        """Have a channel to oneself for a block."""

    def consume(
        self,
        queue: Queue | str,
        handler: Handler | None = None,
        *,
        prefetch: int = 100,
        concurrency: int = 1,
        no_ack: bool = False,
        exclusive: bool = False,
        priority: int | None = None,
        consumer_tag: str | None = None,
        arguments: FieldTable | None = None,
    ) -> Awaitable[Consumer]:
        """Subscribe to a queue, on a channel of the consumer's own."""

    async def server_properties(self) -> FieldTable:
        """Return what the broker says of itself: product, version, capabilities."""

    async def declare_queue(self, queue: Queue | str, *, passive: bool = False) -> QueueInfo:
        """Create a queue unless it exists."""

    async def declare_exchange(
        self, exchange: Exchange | str, *, passive: bool = False
    ) -> Exchange:
        """Create an exchange unless it exists."""

    async def bind(
        self,
        queue: Queue | str,
        exchange: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Let messages of `exchange` that match reach `queue`."""

    async def bind_exchange(
        self,
        destination: Exchange | str,
        source: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Let messages of `source` that match reach `destination`."""

    async def purge(self, queue: Queue | str) -> int:
        """Drop the messages that are ready in `queue`."""

    async def delete_queue(
        self, queue: Queue | str, *, if_unused: bool = False, if_empty: bool = False
    ) -> int:
        """Delete a queue."""
