"""Channels as users meet them: what they share, consuming, and their end."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pamqp.base import Frame
from pamqp.commands import Basic, Channel as ChannelMethods

from hopmq.client.consumer import Consumer, Handler
from hopmq.client.message import FetchedMessage, Message
from hopmq.client.opening import Opening
from hopmq.client.publisher import PublishOperations
from hopmq.client.publishing import Publishing, Window
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel, TopologyOperations
from hopmq.client.transaction import Transaction
from hopmq.core.channel import ChannelCore
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState
from hopmq.entities import Queue, name_of
from hopmq.errors import ClosedError, EncodeError, RequestTimeoutError, UsageError
from hopmq.typedefs import FieldTable
from hopmq.wire import Returned, new_method

logger: logging.Logger = logging.getLogger("hopmq.client")

R = TypeVar("R")

_MAX_PREFETCH: Final = 65_535

OnReturn = Callable[[Returned], None]


class Channel(PublishOperations, TopologyOperations):
    """A channel: the unit of ordering, prefetch, confirms and transactions.

    Made by `connection.channel()`. A channel may be shared by any number of tasks. Declaring and
    binding run beside it, so that a refusal never closes it.

    Attributes:
        on_return: Called with each mandatory message that came back; publishes on a channel
            with confirms also raise `PublishReturnedError`.
    """

    def __init__(
        self,
        session: Session,
        core: ChannelCore,
        topology: TopologyChannel,
        *,
        window: Window,
        publish_timeout: float,
    ) -> None:
        """Wrap an open channel of `session`."""
        self.on_return: OnReturn | None = None
        self._session = session
        self._core = core
        self._topology = topology
        self._publish_timeout = publish_timeout
        self._publishing = Publishing(core, window, session.held_back, session.loop)
        self._consumers: dict[str, Consumer] = {}
        session.listen(core, self)

    def __repr__(self) -> str:
        """Show number, state and connection."""
        return f"<Channel {self.number} {self._core.state.value} of {self._session.label}>"

    @property
    def number(self) -> int:
        """The channel's id on the wire."""
        return self._core.channel_id

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._core.state is ChannelState.OPEN

    @property
    def unconfirmed(self) -> int:
        """How many publishes await their confirm."""
        confirms = self._core.confirms
        return 0 if confirms is None else len(confirms)

    # --- consuming ---------------------------------------------------------------------------

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
        arguments: FieldTable | None = None,
    ) -> Opening[Consumer]:
        """Subscribe to a queue (AMQP 0-9-1, basic.consume).

        Without a handler, iterate over the consumer. With one, it is called with each message;
        one that raises is logged and its message goes back to the queue.

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
            arguments: Any others, such as `x-stream-offset`.

        Raises:
            NotFoundError: The queue does not exist. The broker closes this channel for it.
            AccessRefusedError: The user may not read it, or another consumer is exclusive.
        """
        if concurrency < 1:
            raise UsageError("concurrency is at least 1")
        if handler is not None and not callable(handler):
            raise UsageError(f"a handler is called with each message; {handler!r} cannot be")
        table = dict(arguments or {})
        if priority is not None:
            table["x-priority"] = priority
        tag = consumer_tag or f"hopmq-{secrets.token_hex(8)}"
        method = new_method(
            Basic.Consume,
            queue=name_of(queue),
            consumer_tag=tag,
            no_ack=no_ack,
            exclusive=exclusive,
            arguments=table,
        )
        return Opening(lambda: self._consume(method, handler, concurrency))

    async def get(self, queue: Queue | str, *, no_ack: bool = False) -> Message | None:
        """Fetch one message; None when the queue is empty. Consuming is far cheaper.

        Raises:
            NotFoundError: The queue does not exist. The broker closes this channel for it.
        """
        fetched = self._session.core.codec.Fetched
        method = new_method(Basic.Get, queue=name_of(queue), no_ack=no_ack)

        def admit(reply: Any) -> None:
            # At once: an ack of a later message in the same turn must not reach over this one.
            if isinstance(reply, fetched) and not no_ack:
                self._core.deliveries.unsettled.add(reply.delivery_tag)

        def give_back(reply: Any) -> None:
            if isinstance(reply, fetched) and not no_ack:
                self._core.reject(reply.delivery_tag, requeue=True)

        reply = await self._ask(
            method, fetched, Basic.GetEmpty, before_reply=admit, on_abandoned=give_back
        )
        if not isinstance(reply, FetchedMessage):
            return None
        reply.context = self._core
        return reply

    async def set_prefetch(self, count: int) -> None:
        """Bound the unsettled messages of each consumer started from now on; 0 is no bound.

        RabbitMQ reads basic.qos this way: the count holds per consumer.
        """
        check_prefetch(count)
        await self._ask(new_method(Basic.Qos, prefetch_count=count), Basic.QosOk)

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
        reply = await self._ask(
            new_method(ChannelMethods.Flow, active=active), ChannelMethods.FlowOk
        )
        return bool(reply.active)

    async def recover(self) -> None:
        """Have every unsettled message of this channel delivered again, perhaps elsewhere.

        Messages already handed out are stale from now on: settling them does nothing.
        """
        settling = [consumer for consumer in self._consumers.values() if not consumer.no_ack]
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        self._core.recover(waiter, [consumer.consumer_tag for consumer in settling])
        for consumer in settling:
            consumer.discard_unread()
        await self._session.wait(waiter, "Basic.Recover")

    def transaction(self) -> Transaction:
        """Return a block whose publishes and acks take effect together.

        Raises:
            UsageError: The channel has confirms; open one with `confirms=False`.
        """
        if self._core.confirms is not None:
            raise UsageError(
                "a channel has confirms or transactions, not both: "
                "open one with connection.channel(confirms=False)"
            )
        return Transaction(self._ask, self._core, self._publishing)

    # --- ending ------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the channel; unsettled messages go back to their queues. Idempotent."""
        if self._core.state is not ChannelState.OPEN:
            return
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        self._core.close(waiter)
        self._session.forget(self._core)
        assert self._core.error is not None
        self.channel_ended(self._core.error)
        try:
            await self._session.wait(waiter, "Channel.Close")
        except ClosedError:
            return  # the connection went first, and the channel with it

    async def drain(self) -> None:
        """Stop consuming, let handlers finish, wait for confirms, and close."""
        await self.stop_consuming()
        await self.wait_for_confirms()
        await self.close()

    async def stop_consuming(self) -> None:
        """Cancel every consumer of this channel and let its handlers finish."""
        consumers = list(self._consumers.values())
        await asyncio.gather(*(consumer.cancel() for consumer in consumers))

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for confirms, unless an error is on its way, and close."""
        if error is None:
            await self.wait_for_confirms()
            await self.close()
            return
        with contextlib.suppress(RequestTimeoutError):
            await self.close()

    # --- for the session ---------------------------------------------------------------------

    def channel_ended(self, error: ClosedError) -> None:
        """Pass the end on to publishers and consumers."""
        self._publishing.end(error)
        for consumer in list(self._consumers.values()):
            consumer.channel_ended(error)

    def consumer_cancelled(self, consumer_tag: str) -> None:
        """Pass the broker's cancel on."""
        consumer = self._consumers.get(consumer_tag)
        if consumer is not None:
            consumer.cancelled_by_broker()

    def message_returned(self, message: Returned) -> None:
        """Pass a return on; with confirms its publish knows already."""
        if self.on_return is not None:
            self._call_on_return(self.on_return, message)
        elif self._core.confirms is None:
            logger.warning(
                "%r: a mandatory message came back: %d %s; set on_return, or use confirms",
                self,
                message.reply_code,
                message.reply_text,
            )

    def resume_publishing(self) -> None:
        """Write what was held back."""
        self._publishing.resume()

    async def start(self, confirms: bool, prefetch: int) -> None:
        """Set the new channel up, in one round trip; close it if that fails."""
        requests = [self.set_prefetch(prefetch)] if prefetch else []
        if confirms:
            requests.append(self._select_confirms())
        try:
            await asyncio.gather(*requests)
        except BaseException:
            self._session.forget(self._core)
            if self._core.state is ChannelState.OPEN:
                self._core.close(NOBODY)
            raise

    # --- inside ------------------------------------------------------------------------------

    def _call_on_return(self, on_return: OnReturn, message: Returned) -> None:
        try:
            on_return(message)
        except (Exception, asyncio.CancelledError):
            # The callback is the user's: nothing may pass the reader.
            logger.exception("%r: on_return failed", self)

    async def _select_confirms(self) -> None:
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        self._core.select_confirms(waiter)
        await self._session.wait(waiter, "Confirm.Select")

    async def _ask(
        self,
        method: Frame,
        *replies: type,
        before_reply: Callable[[Any], None] | None = None,
        on_abandoned: Callable[[Any], None] | None = None,
    ) -> Any:  # the reply is one of `replies`
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        self._core.request(
            waiter, method, *replies, before_reply=before_reply, on_abandoned=on_abandoned
        )
        return await self._session.wait(waiter, method.name, on_abandoned)

    async def _ask_topology(self, method: Frame, reply: type[R]) -> R:
        self._core.check_open()
        return await self._topology.ask(method, reply)

    async def _consume(
        self, method: Basic.Consume, handler: Handler | None, concurrency: int
    ) -> Consumer:
        tag = method.consumer_tag
        core = self._core
        if tag in core.consumers:
            # RabbitMQ closes the whole connection for this (530).
            raise UsageError(f"consumer tag {tag!r} is in use on this channel")
        session = self._session
        consumer = Consumer(
            core,
            method.queue,
            tag,
            method.no_ack,
            session.budget,
            session.wait,
            lambda tag: self._consumers.pop(tag, None),
        )
        core.check_open()
        core.consumers[tag] = consumer.deliver_to(handler, concurrency)
        self._consumers[tag] = consumer
        started = False
        try:
            await self._ask(
                method, Basic.ConsumeOk, on_abandoned=lambda _: consumer.stop_unwanted()
            )
            started = True
        except EncodeError:
            del core.consumers[tag]  # nothing was sent
            raise
        finally:
            if not started:
                consumer.abandon()
        return consumer


def check_prefetch(count: object) -> None:
    """Refuse a prefetch that basic.qos cannot carry."""
    if not isinstance(count, int) or not 0 <= count <= _MAX_PREFETCH:
        raise UsageError(f"prefetch is 0 to {_MAX_PREFETCH}, not {count!r}")
