"""Consuming as users meet it: subscriptions, single messages, prefetch."""

import asyncio
import os
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pamqp.base import Frame
from pamqp.commands import Basic, Channel as ChannelMethods

from hopmq.client.consumer import Consumer
from hopmq.client.handlers import Handler
from hopmq.client.message import FetchedMessage, Message
from hopmq.client.opening import Opening
from hopmq.client.session import Session
from hopmq.client.stream_reading import OFFSET
from hopmq.client.subscription import NO_ARGUMENTS, RECOGNISE, Recognise, Subscription
from hopmq.core.channel import ChannelCore
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState
from hopmq.entities import Queue, name_of
from hopmq.errors import EncodeError, UsageError
from hopmq.typedefs import FieldTable
from hopmq.wire import new_method

R = TypeVar("R")

_MAX_PREFETCH: Final = 65_535


class ConsumeOperations:
    """What a channel offers for consuming."""

    _session: Session
    _core: ChannelCore
    _consumers: dict[str, Consumer]
    _prefetch: int
    _prefetch_on_wire: int

    @abstractmethod
    async def _persist(self, attempt: Callable[[ChannelCore], Awaitable[R]]) -> R:
        """Return what `attempt` does on the channel of the moment, or of the next link."""

    def consume(
        self,
        queue: Queue | str,
        handler: Handler | None = None,
        *,
        concurrency: int = 1,
        no_ack: bool = False,
        exclusive: bool = False,
        priority: int | None = None,
        consumer_tag: str | None = None,
        recognise: Recognise | None = None,
        arguments: FieldTable | None = None,
    ) -> Opening[Consumer]:
        """Subscribe to a queue (AMQP 0-9-1, basic.consume).

        Without a handler, iterate over the consumer. With one, it is called with each message;
        one that raises is logged and its message goes back to the queue.

        Handlers outlive the connection. What one works on when the link ends cannot be settled
        any more and is delivered again, to any consumer of the queue; this one keeps what is
        delivered again until such handlers have ended, so that it never works on a message twice
        at once. A consumer of a stream reads on behind what was settled, and passes over nothing.

        Args:
            queue: What to read.
            handler: A coroutine function, run in `concurrency` long-lived tasks; or a plain
                function, called in the reader itself, which must not block.
            concurrency: How many messages a coroutine handler works on at once; at 1 their
                order is kept.
            no_ack: Take messages without settling them: what is lost on the way, or in this
                process, is lost.
            exclusive: Refuse, and be refused, other consumers.
            priority: Consumers of higher priority are served first (RabbitMQ).
            consumer_tag: Its name; unique on this channel.
            recognise: `"message_id"` where publishers give each message an id of its own. A
                message that comes again then is settled as its first delivery is: acknowledged
                without another run once the handler that was at work has acknowledged it.
            arguments: Any others, such as `x-stream-offset`.

        Raises:
            NotFoundError: The queue does not exist. The broker closes this channel for it.
            AccessRefusedError: The user may not read it, or another consumer is exclusive.
        """
        if concurrency < 1:
            raise UsageError("concurrency is at least 1")
        if handler is not None and not callable(handler):
            raise UsageError(f"a handler is called with each message; {handler!r} cannot be")
        if recognise is not None and recognise not in RECOGNISE:
            raise UsageError(f"recognise is None or 'message_id', not {recognise!r}")
        table = dict(arguments or {})
        if priority is not None:
            table["x-priority"] = priority
        tag = consumer_tag or f"hopmq-{os.urandom(8).hex()}"
        wanted = Subscription(
            queue=name_of(queue),
            consumer_tag=tag,
            no_ack=no_ack,
            exclusive=exclusive,
            arguments=table or NO_ARGUMENTS,
            recognise=None if no_ack else recognise,
            may_read_stream=OFFSET in table or self._is_stream(queue),
        )
        return Opening(lambda: self._consume(wanted, handler, concurrency))

    async def get(self, queue: Queue | str, *, no_ack: bool = False) -> Message | None:
        """Fetch one message; None when the queue is empty. Consuming is far cheaper.

        Raises:
            NotFoundError: The queue does not exist. The broker closes this channel for it.
        """
        return await self._persist(lambda core: self._get(core, name_of(queue), no_ack))

    async def set_prefetch(self, count: int) -> None:
        """Bound the unsettled messages of each consumer started from now on; 0 is no bound.

        RabbitMQ reads basic.qos this way: the count holds per consumer.
        """
        check_prefetch(count)
        await self._persist(lambda core: self._set_prefetch(core, count))
        self._prefetch = count

    async def flow(self, active: bool) -> bool:
        """Ask the broker to send deliveries on this channel (AMQP 0-9-1, channel.flow).

        What the broker asks of us by the same method is followed without further ado.

        Returns:
            Whether the broker sends them.

        Raises:
            UsageError: `active` is False. RabbitMQ does not implement that, and closes the
                connection for it (540); bound the flow by prefetch, or cancel the consumer.
        """
        if not active:
            raise UsageError(
                "RabbitMQ does not implement channel.flow(active=False): "
                "set a prefetch, or cancel the consumer"
            )
        method = new_method(ChannelMethods.Flow, active=active)
        reply = await self._persist(lambda core: self._ask_on(core, method, ChannelMethods.FlowOk))
        return bool(reply.active)

    async def recover(self) -> None:
        """Have every unsettled message of this channel delivered again, perhaps elsewhere.

        Messages already handed out are stale from now on: settling them does nothing.
        """
        await self._persist(self._recover)

    # --- for whoever brings consumers back ---------------------------------------------------

    async def start_consumer(self, consumer: Consumer) -> None:
        """Subscribe on the channel of the moment; a late answer counts as well.

        Raises:
            ChannelClosed: The broker refused, and has closed the channel.
        """
        core = self._core
        core.check_open()
        if consumer.prefetch != self._prefetch_on_wire:
            # Its answer comes first. Waiting for that would let another consumer's come between.
            self._prefetch_on_wire = consumer.prefetch
            qos = new_method(Basic.Qos, prefetch_count=consumer.prefetch)
            core.request(NOBODY, qos, Basic.QosOk)
        method = consumer.begin_on(core, self._session.keeper.record.current_name)
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        try:
            core.request(
                waiter,
                method,
                Basic.ConsumeOk,
                before_reply=lambda _: consumer.started(core),
                on_abandoned=lambda _: consumer.stop_unwanted(core),
            )
        except EncodeError:
            del core.consumers[consumer.consumer_tag]  # nothing was sent
            raise
        await self._session.wait(
            waiter, method.name, on_abandoned=lambda _: consumer.stop_unwanted(core)
        )

    async def try_consumer(self, consumer: Consumer) -> None:
        """Subscribe on a channel that it can cost, and close that.

        Raises:
            ChannelClosed: The broker refuses.
        """
        method = consumer.request(self._session.keeper.record.current_name)
        method.no_ack = False  # what is delivered there goes back
        core = await self._session.open_channel()
        core.consumers[consumer.consumer_tag] = lambda _: None
        try:
            await self._ask_on(core, new_method(Basic.Qos, prefetch_count=1), Basic.QosOk)
            await self._ask_on(core, method, Basic.ConsumeOk)
        except BaseException:
            if core.state is ChannelState.OPEN:
                core.close(NOBODY)
            raise
        # Until the broker has closed it, an exclusive consumer would stand in its own way.
        closed: asyncio.Future[Any] = self._session.loop.create_future()
        core.close(closed)
        await self._session.wait(closed, "Channel.Close")

    # --- inside ------------------------------------------------------------------------------

    async def _consume(
        self, wanted: Subscription, handler: Handler | None, concurrency: int
    ) -> Consumer:
        tag = wanted.consumer_tag
        session = self._session
        await self._persist(_is_open)
        if tag in self._consumers or tag in self._core.consumers:
            # RabbitMQ closes the whole connection for this (530).
            raise UsageError(f"consumer tag {tag!r} is in use on this channel")
        consumer = Consumer(wanted, self._core, self._prefetch, session, self._forget_consumer)
        consumer.deliver_to(handler, concurrency)
        self._consumers[tag] = consumer
        started = False
        try:
            await self._persist(lambda _: self.start_consumer(consumer))
            consumer.adopt()
            session.keeper.record.consumer_started(consumer.queue)
            started = True
        finally:
            if not started:
                consumer.abandon()
        return consumer

    def _is_stream(self, queue: Queue | str) -> bool:
        if isinstance(queue, Queue) and queue.kind is not None:
            return queue.kind == "stream"
        return self._session.keeper.record.is_stream(name_of(queue))

    def _forget_consumer(self, consumer: Consumer) -> None:
        if self._consumers.get(consumer.consumer_tag) is consumer:
            del self._consumers[consumer.consumer_tag]
        if consumer.was_cancelled:
            self._session.keeper.record.consumer_ended(consumer.queue)

    async def _get(self, core: ChannelCore, queue: str, no_ack: bool) -> Message | None:
        fetched = self._session.core.codec.Fetched
        queue = self._session.keeper.record.current_name(queue)
        method = new_method(Basic.Get, queue=queue, no_ack=no_ack)

        def admit(reply: Any) -> None:
            # At once: an ack of a later message in the same turn must not reach over this one.
            if isinstance(reply, fetched) and not no_ack:
                core.deliveries.unsettled.add(reply.delivery_tag)

        def give_back(reply: Any) -> None:
            if isinstance(reply, fetched) and not no_ack:
                core.nack(reply.delivery_tag, requeue=True)

        reply = await self._ask_on(
            core, method, fetched, Basic.GetEmpty, before_reply=admit, on_abandoned=give_back
        )
        if not isinstance(reply, FetchedMessage):
            return None
        reply.context = core
        return reply

    async def _set_prefetch(self, core: ChannelCore, count: int) -> None:
        self._prefetch_on_wire = count
        await self._ask_on(core, new_method(Basic.Qos, prefetch_count=count), Basic.QosOk)

    async def _recover(self, core: ChannelCore) -> None:
        core.check_open()
        # What is read of a stream stays read; RabbitMQ brings none of it again.
        settling = [each for each in self._consumers.values() if each.is_brought_again]
        for consumer in settling:
            consumer.requeued(core.deliveries.unsettled)
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        core.recover(waiter, [consumer.consumer_tag for consumer in settling])
        await self._session.wait(waiter, "Basic.Recover")

    async def _ask_on(
        self,
        core: ChannelCore,
        method: Frame,
        *replies: type,
        before_reply: Callable[[Any], None] | None = None,
        on_abandoned: Callable[[Any], None] | None = None,
    ) -> Any:  # the reply is one of `replies`
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        core.request(waiter, method, *replies, before_reply=before_reply, on_abandoned=on_abandoned)
        return await self._session.wait(waiter, method.name, on_abandoned)


async def _is_open(core: ChannelCore) -> None:
    core.check_open()


def check_prefetch(count: object) -> None:
    """Refuse a prefetch that basic.qos cannot carry."""
    if not isinstance(count, int) or not 0 <= count <= _MAX_PREFETCH:
        raise UsageError(f"prefetch is 0 to {_MAX_PREFETCH}, not {count!r}")
