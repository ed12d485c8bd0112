"""Declaring, binding, purging and deleting, where a refusal costs nobody a channel."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, TypeVar

from pamqp.base import Frame
from pamqp.commands import Exchange as ExchangeMethods, Queue as QueueMethods

from hopmq.bindings import Binding
from hopmq.client import topology_requests as requests
from hopmq.client.keeping import TopologyRecord
from hopmq.client.session import Session
from hopmq.core.channel import ChannelCore
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState
from hopmq.entities import Exchange, Queue, QueueInfo, name_of
from hopmq.errors import ChannelClosed, RequestTimeoutError
from hopmq.typedefs import FieldTable
from hopmq.wire import new_method

R = TypeVar("R")


class TopologyChannel:
    """A channel of the connection's own for requests that the broker may refuse.

    A refusal (404, 405, 406, 403) closes this channel only; the next request opens another one.
    Requests are pipelined: those behind the refused one, which the broker never saw, go again.
    A request that the broker leaves unanswered holds up those behind it on its channel, so that
    after a timeout new requests go to another channel; the stalled one is closed once it moves.
    """

    __slots__ = ("_channel", "_opening", "_session")

    def __init__(self, session: Session) -> None:
        """Open channels of this session when they are needed."""
        self._session = session
        self._channel: ChannelCore | None = None
        self._opening: asyncio.Lock | None = None

    async def ask(self, method: Frame, reply: type[R]) -> R:
        """Return the broker's reply.

        Raises:
            ChannelClosed: The broker refused; the subclass says how.
        """
        while True:
            try:
                return await self._ask_on(await self._open(), method, reply)
            except ChannelClosed as error:
                if not error.unprocessed:
                    raise

    async def _ask_on(self, channel: ChannelCore, method: Frame, reply: type[R]) -> R:
        waiter: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        channel.request(waiter, method, reply, on_abandoned=lambda _: self._moved(channel))
        try:
            answer: R = await self._session.wait(waiter, method.name)
        except RequestTimeoutError:
            if self._channel is channel:
                self._channel = None
            raise
        self._moved(channel)
        return answer

    def _moved(self, channel: ChannelCore) -> None:
        """Close a channel that had stalled once it has answered everything."""
        is_idle = channel.state is ChannelState.OPEN and not len(channel.replies)
        if is_idle and channel is not self._channel:
            channel.close(NOBODY)

    async def _open(self) -> ChannelCore:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._channel is None or self._channel.state is not ChannelState.OPEN:
                self._channel = await self._session.open_channel()
            return self._channel


class TopologyOperations(ABC):
    """What connections and channels offer alike; no refusal affects either."""

    @property
    @abstractmethod
    def _record(self) -> TopologyRecord:
        """What hears of everything that was declared."""

    @abstractmethod
    async def _ask_topology(self, method: Frame, reply: type[R]) -> R:
        """Return the reply to a request on the topology channel."""

    def _queue_name(self, queue: Queue | str) -> str:
        """Return what a queue is called now."""
        return self._record.current_name(name_of(queue))

    async def declare_queue(
        self,
        queue: Queue | str,
        *,
        durable: bool | None = None,
        exclusive: bool | None = None,
        auto_delete: bool | None = None,
        arguments: FieldTable | None = None,
        passive: bool = False,
    ) -> QueueInfo:
        """Create a queue unless it exists (AMQP 0-9-1, queue.declare).

        Args:
            queue: What to declare, or a name; `""` lets the broker choose the name.
            durable: Overrides what `queue` says; True for a plain name.
            exclusive: Overrides what `queue` says.
            auto_delete: Overrides what `queue` says.
            arguments: Overrides what `queue` says.
            passive: Only ask: raise NotFoundError when it does not exist.

        Raises:
            PreconditionFailedError: It exists with other properties; the text says which.
            ResourceLockedError: It is exclusive to another connection.
            AccessRefusedError: The user may not.
        """
        wanted = queue if isinstance(queue, Queue) else Queue(queue)
        wanted = Queue(
            wanted.name,
            durable=wanted.durable if durable is None else durable,
            exclusive=wanted.exclusive if exclusive is None else exclusive,
            auto_delete=wanted.auto_delete if auto_delete is None else auto_delete,
            arguments=wanted.arguments if arguments is None else arguments,
        )
        reply = await self._ask_topology(
            requests.declare_queue(wanted, passive), QueueMethods.DeclareOk
        )
        name = reply.queue or ""
        if not passive:
            self._record.declared(wanted, name)
        return QueueInfo(name, reply.message_count or 0, reply.consumer_count or 0)

    async def declare_exchange(
        self,
        exchange: Exchange | str,
        type: str | None = None,  # the protocol's own word
        *,
        durable: bool | None = None,
        auto_delete: bool | None = None,
        internal: bool | None = None,
        arguments: FieldTable | None = None,
        passive: bool = False,
    ) -> Exchange:
        """Create an exchange unless it exists (AMQP 0-9-1, exchange.declare).

        Args:
            exchange: What to declare, or a name.
            type: Overrides what `exchange` says; direct for a plain name.
            durable: Overrides what `exchange` says; True for a plain name.
            auto_delete: Overrides what `exchange` says.
            internal: Overrides what `exchange` says.
            arguments: Overrides what `exchange` says.
            passive: Only ask: raise NotFoundError when it does not exist.

        Raises:
            PreconditionFailedError: It exists with other properties; the text says which.
            AccessRefusedError: The user may not, or the name is reserved (`amq.`).
            CommandInvalidError: The broker does not know the type; RabbitMQ before 4.0 closes
                the connection for it.
        """
        wanted = exchange if isinstance(exchange, Exchange) else Exchange(exchange)
        wanted = Exchange(
            wanted.name,
            wanted.type if type is None else type,
            durable=wanted.durable if durable is None else durable,
            auto_delete=wanted.auto_delete if auto_delete is None else auto_delete,
            internal=wanted.internal if internal is None else internal,
            arguments=wanted.arguments if arguments is None else arguments,
        )
        await self._ask_topology(
            requests.declare_exchange(wanted, passive), ExchangeMethods.DeclareOk
        )
        if not passive:
            self._record.declared(wanted)
        return wanted

    async def declare(self, *entities: Queue | Exchange) -> None:
        """Declare several entities, pipelined, in order; raise the first refusal, if any."""
        requests: list[Coroutine[Any, Any, object]] = [
            self.declare_queue(entity)
            if isinstance(entity, Queue)
            else self.declare_exchange(entity)
            for entity in entities
        ]
        for outcome in await asyncio.gather(*requests, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def bind(
        self,
        queue: Queue | str,
        exchange: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Let messages of `exchange` that match reach `queue` (AMQP 0-9-1, queue.bind).

        Raises:
            NotFoundError: One of them does not exist.
        """
        await self._bind(
            Binding(
                name_of(exchange), self._queue_name(queue), "queue", routing_key, arguments or {}
            )
        )

    async def unbind(
        self,
        queue: Queue | str,
        exchange: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Undo a `bind`; one that does not exist is no error in RabbitMQ."""
        await self._unbind(
            Binding(
                name_of(exchange), self._queue_name(queue), "queue", routing_key, arguments or {}
            )
        )

    async def bind_exchange(
        self,
        destination: Exchange | str,
        source: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Let messages of `source` that match reach `destination` (RabbitMQ, exchange.bind)."""
        await self._bind(
            Binding(name_of(source), name_of(destination), "exchange", routing_key, arguments or {})
        )

    async def unbind_exchange(
        self,
        destination: Exchange | str,
        source: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Undo a `bind_exchange`."""
        await self._unbind(
            Binding(name_of(source), name_of(destination), "exchange", routing_key, arguments or {})
        )

    async def purge(self, queue: Queue | str) -> int:
        """Drop the messages that are ready in `queue`; return how many there were."""
        reply = await self._ask_topology(
            new_method(QueueMethods.Purge, queue=self._queue_name(queue)), QueueMethods.PurgeOk
        )
        return reply.message_count or 0

    async def delete_queue(
        self, queue: Queue | str, *, if_unused: bool = False, if_empty: bool = False
    ) -> int:
        """Delete a queue; return how many messages went with it. A missing one is no error.

        Raises:
            PreconditionFailedError: It is in use, or not empty, and the conditions forbid it.
        """
        name = self._queue_name(queue)
        method = new_method(QueueMethods.Delete, queue=name, if_unused=if_unused, if_empty=if_empty)
        # Its consumers may hear of it before we do: they are to end, and not to come back.
        self._record.queue_doomed(name, True)
        try:
            reply = await self._ask_topology(method, QueueMethods.DeleteOk)
        except ChannelClosed:
            self._record.queue_doomed(name, False)
            raise
        self._record.queue_deleted(name)
        return reply.message_count or 0

    async def delete_exchange(self, exchange: Exchange | str, *, if_unused: bool = False) -> None:
        """Delete an exchange. A missing one is no error.

        Raises:
            PreconditionFailedError: It has bindings, and `if_unused` forbids it.
        """
        await self._ask_topology(
            new_method(ExchangeMethods.Delete, exchange=name_of(exchange), if_unused=if_unused),
            ExchangeMethods.DeleteOk,
        )
        self._record.exchange_deleted(name_of(exchange))

    # --- inside ------------------------------------------------------------------------------

    async def _bind(self, binding: Binding) -> None:
        await self._ask_topology(*requests.bind(binding))
        self._record.bound(binding)

    async def _unbind(self, binding: Binding) -> None:
        await self._ask_topology(*requests.unbind(binding))
        self._record.unbound(binding)
