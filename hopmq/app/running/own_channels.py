"""A single connection, used as a pool is: a channel for each consumer, one for publishing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from hopmq.client.channel import Channel
from hopmq.client.connection import Connection
from hopmq.client.consumer import Consumer
from hopmq.client.handlers import Handler
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange, Queue, QueueInfo
from hopmq.typedefs import Body, FieldTable
from hopmq.wire import Properties


class OwnChannels:
    """Publishing, consuming and declaring by one connection; a `Messaging`."""

    def __init__(self, connection: Connection) -> None:
        """Use `connection`, and leave it open in the end."""
        self.connection: Connection = connection
        self._publishing: Channel | None = None
        self._opening = asyncio.Lock()
        self._consuming: list[tuple[int, Channel]] = []

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
        """Publish by a channel that is kept for it; see `Channel.publish`."""
        channel = self._publishing
        if channel is None or not (channel.is_open or channel.is_recovering):
            channel = await self._open()
        return await channel.publish(
            body,
            exchange=exchange,
            routing_key=routing_key,
            headers=headers,
            mandatory=mandatory,
            persistent=persistent,
            content_type=content_type,
            expiration=expiration,
            priority=priority,
            correlation_id=correlation_id,
            reply_to=reply_to,
            message_id=message_id,
            properties=properties,
            timeout=timeout,
        )

    async def _open(self) -> Channel:
        async with self._opening:
            channel = self._publishing
            if channel is None or not (channel.is_open or channel.is_recovering):
                channel = self._publishing = await self.connection.channel()
            return channel

    @asynccontextmanager
    async def channel(
        self, *, confirms: bool = True, prefetch: int = 100, consuming: bool = False
    ) -> AsyncIterator[Channel]:
        """Open a channel for a block."""
        async with self.connection.channel(confirms=confirms, prefetch=prefetch) as channel:
            yield channel

    async def consume(
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
    ) -> Consumer:
        """Subscribe to a queue, on a channel of the consumer's own; see `Channel.consume`."""
        channel = await self._free(prefetch)
        return await channel.consume(
            queue,
            handler,
            concurrency=concurrency,
            no_ack=no_ack,
            exclusive=exclusive,
            priority=priority,
            consumer_tag=consumer_tag,
            arguments=arguments,
        )

    async def _free(self, prefetch: int) -> Channel:
        """Return a channel without a consumer: one whose consumer has ended, or a new one."""
        alive = [each for each in self._consuming if each[1].is_open or each[1].is_recovering]
        self._consuming = alive
        for bound, channel in alive:
            if bound == prefetch and channel.is_open and not channel.consumers():
                return channel
        channel = await self.connection.channel(confirms=False, prefetch=prefetch)
        self._consuming.append((prefetch, channel))
        return channel

    async def server_properties(self) -> FieldTable:
        """See `Connection.server_properties`."""
        return self.connection.server_properties

    async def declare_queue(self, queue: Queue | str, *, passive: bool = False) -> QueueInfo:
        """See `Channel.declare_queue`."""
        return await self.connection.declare_queue(queue, passive=passive)

    async def declare_exchange(
        self, exchange: Exchange | str, *, passive: bool = False
    ) -> Exchange:
        """See `Channel.declare_exchange`."""
        return await self.connection.declare_exchange(exchange, passive=passive)

    async def bind(
        self,
        queue: Queue | str,
        exchange: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """See `Channel.bind`."""
        await self.connection.bind(queue, exchange, routing_key, arguments=arguments)

    async def bind_exchange(
        self,
        destination: Exchange | str,
        source: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """See `Channel.bind_exchange`."""
        await self.connection.bind_exchange(destination, source, routing_key, arguments=arguments)

    async def purge(self, queue: Queue | str) -> int:
        """See `Channel.purge`."""
        return await self.connection.purge(queue)

    async def delete_queue(
        self, queue: Queue | str, *, if_unused: bool = False, if_empty: bool = False
    ) -> int:
        """See `Channel.delete_queue`."""
        return await self.connection.delete_queue(queue, if_unused=if_unused, if_empty=if_empty)

    async def end(self) -> None:
        """Close the channels that were opened here; the connection stays."""
        channels = [channel for _, channel in self._consuming]
        self._consuming = []
        if self._publishing is not None:
            channels.append(self._publishing)
        await asyncio.gather(*(channel.drain() for channel in channels if channel.is_open))
