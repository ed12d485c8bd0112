"""Put back on a link what is wanted and missing: each by itself, all of it pipelined."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from pamqp.commands import Basic, Exchange as ExchangeMethods, Queue as QueueMethods

from hopmq.bindings import Binding
from hopmq.client import topology_requests as requests
from hopmq.client.channel import Channel
from hopmq.client.consumer import Consumer
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel
from hopmq.entities import Exchange, Queue
from hopmq.errors import (
    ChannelClosed,
    ConnectionClosed,
    HopMQError,
    NotFoundError,
    RequestTimeoutError,
)
from hopmq.events import ConsumerLost, ConsumerRestored, EntityFailed, QueueRenamed
from hopmq.resilience.backoff import Backoff
from hopmq.resilience.ledger import TopologyLedger, WantedQueue
from hopmq.resilience.missing import MissingTopology
from hopmq.resilience.patience import Patience
from hopmq.resilience.reopening import Reopening

logger: logging.Logger = logging.getLogger("hopmq.connection")

T = TypeVar("T")

_AT_ONCE: Final = 500
"""Requests in flight: a refusal makes those behind it go again."""


class Restoration:
    """What is wanted on a connection and not there.

    A pass tries all of it once: exchanges, queues, bindings, channels, consumers. What fails is
    told once for each reason and tried again in the next pass; the rest lives.
    """

    def __init__(
        self,
        session: Session,
        topology: TopologyChannel,
        ledger: TopologyLedger,
        backoff: Backoff,
        reopening: Reopening,
    ) -> None:
        """Miss nothing yet."""
        self._session = session
        self._topology = topology
        self._ledger = ledger
        self._backoff = backoff
        self._reopening = reopening
        self._missing = MissingTopology(ledger)
        self._refused: set[Consumer] = set()
        self._lost: set[Consumer] = set()
        self._patience = Patience(session.request_timeout)
        self._reasons: dict[object, str] = {}
        self._woken = asyncio.Event()

    # --- what is missing ---------------------------------------------------------------------

    def begin(self) -> None:
        """Miss everything: the link is new."""
        self._missing.add_all()
        self._refused.clear()
        self._reasons.clear()

    def miss_consumer(self, consumer: Consumer, error: HopMQError) -> None:
        """Take note that a consumer is lost: its queue may be gone, and its bindings with it."""
        self._missing.add_queue(consumer.queue)
        self._consumer_lost(consumer, error)

    def has_cost(self, channel: Channel, error: ChannelClosed) -> bool:
        """Return whether a channel was closed for a consumer that was being brought back."""
        method = error.class_id << 16 | error.method_id
        return method == Basic.Consume.index and any(
            consumer.is_wanted and not consumer.is_active for consumer in channel.consumers()
        )

    def wake(self) -> None:
        """Try again at once."""
        self._woken.set()

    # --- passes ------------------------------------------------------------------------------

    async def complete(self) -> None:
        """Try until nothing is missing; return early when the link ends."""
        failures = 0
        begun = self._session.loop.time()
        try:
            while not await self.attempt():
                delay = self._backoff.delay(failures, self._session.loop.time() - begun)
                if delay is None:
                    return
                failures += 1
                await self._pause(delay)
        except ConnectionClosed:
            return

    async def attempt(self) -> bool:
        """Try everything that is missing once; return whether it is all there.

        Raises:
            ConnectionClosed: The link has ended.
        """
        await self.rebuild()
        return await self.start_consumers()

    async def rebuild(self) -> None:
        """Try once what consumers and publishers stand on: topology, then channels.

        Raises:
            ConnectionClosed: The link has ended.
        """
        self._woken.clear()
        await self._each(list(self._missing.exchanges.values()), self._restore_exchange)
        await self._each(list(self._missing.queues.values()), self._restore_queue)
        await self._each(list(self._missing.bindings), self._restore_binding)
        self._give_up_deaf_channels()
        await self._each(self._channels_to_open(), self._reopen)

    async def start_consumers(self) -> bool:
        """Try once the consumers that are missing; return whether nothing is missing any more.

        Raises:
            ConnectionClosed: The link has ended.
        """
        await self._restore_consumers()
        return not (self._missing or self._session.suspended() or self._missing_consumers())

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _each(self, wanted: list[T], restore: Callable[[T], Awaitable[None]]) -> None:
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            outcomes = await asyncio.gather(*map(restore, some), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    # --- topology ----------------------------------------------------------------------------

    async def _restore_exchange(self, missing: Exchange) -> None:
        exchange = self._ledger.exchange(missing.name)  # perhaps declared anew meanwhile
        if exchange is None:
            self._missing.exchanges.pop(missing.name, None)  # deleted meanwhile
            return
        request = requests.declare_exchange(exchange)
        asking = self._topology.ask(request, ExchangeMethods.DeclareOk)
        if await self._try(exchange, asking, key=("exchange", exchange.name)) is not None:
            self._missing.exchanges.pop(exchange.name, None)

    async def _restore_queue(self, missing: WantedQueue) -> None:
        wanted = self._ledger.queue(missing.name)
        if wanted is None:
            self._missing.queues.pop(missing.name, None)
            return
        if wanted.queue.kind == "stream":
            await self._look_for_stream(wanted.name)
        request = requests.declare_queue(wanted.queue)
        reply = await self._try(
            wanted.queue, self._topology.ask(request, QueueMethods.DeclareOk), key=wanted.name
        )
        if reply is None:
            return
        self._missing.queues.pop(wanted.name, None)
        if wanted.is_server_named and reply.queue != wanted.name:
            self._rename(wanted.name, reply.queue)

    async def _look_for_stream(self, name: str) -> None:
        """Have a stream that is to be made anew read from its beginning."""
        request = requests.declare_queue(Queue(name), passive=True)
        try:
            await self._topology.ask(request, QueueMethods.DeclareOk)
        except ConnectionClosed:
            raise
        except HopMQError as error:
            if _is_absent(error):
                for _, consumer in self._missing_consumers():
                    if self._queue_of(consumer) == name:
                        consumer.begin_anew()

    def _rename(self, before: str, after: str) -> None:
        for binding in self._ledger.bindings_to(before):
            self._missing.bindings.pop(binding, None)
        self._ledger.renamed(before, after)
        self._missing.bindings.update(dict.fromkeys(self._ledger.bindings_to(after)))
        self._session.lifecycle.tell(
            QueueRenamed(connection=self._session.label, before=before, after=after)
        )

    async def _restore_binding(self, binding: Binding) -> None:
        if binding not in self._ledger:
            self._missing.bindings.pop(binding, None)
            return
        if binding.source in self._missing.exchanges:
            return  # its exchange is missing still
        if binding.destination in (
            self._missing.queues if binding.kind == "queue" else self._missing.exchanges
        ):
            return
        asking = self._topology.ask(*requests.bind(binding))
        if await self._try(binding, asking, key=binding) is not None:
            self._missing.bindings.pop(binding, None)

    async def _try(
        self, entity: Exchange | Queue | Binding, asking: Awaitable[Any], key: object
    ) -> Any:
        """Return the broker's reply; None, and the reason told, where it refused."""
        try:
            reply = await asking
        except ConnectionClosed:
            raise
        except HopMQError as error:
            if self._is_news(key, error):
                logger.warning("%s: cannot restore %r: %s", self._session.label, entity, error)
                self._session.lifecycle.tell(
                    EntityFailed(connection=self._session.label, entity=entity, error=error)
                )
            if isinstance(entity, Binding) and isinstance(error, NotFoundError):
                self._missing.add_end(entity, queue=_is_absent(error))
            return None
        self._reasons.pop(key, None)
        return reply

    def _is_news(self, key: object, error: HopMQError) -> bool:
        reason = str(error)
        known = self._reasons.get(key) == reason
        self._reasons[key] = reason
        return not known

    # --- channels and consumers --------------------------------------------------------------

    def _channels_to_open(self) -> list[Channel]:
        now = self._session.loop.time()
        channels = (each for each in self._session.suspended() if isinstance(each, Channel))
        return [channel for channel in channels if self._reopening.is_due(channel, now)]

    async def _reopen(self, channel: Channel) -> None:
        try:
            await channel.reopen()
        except ConnectionClosed:
            raise
        except HopMQError as error:
            if self._is_news(channel, error):
                logger.warning("%s: cannot open %r again: %s", self._session.label, channel, error)
        else:
            self._reasons.pop(channel, None)
            self._reopening.opened(channel, self._session.loop.time())

    def _missing_consumers(self) -> list[tuple[Channel, Consumer]]:
        channels = (each for each in self._session.listeners() if isinstance(each, Channel))
        return [
            (channel, consumer)
            for channel in channels
            for consumer in channel.consumers()
            if not consumer.is_active
        ]

    def _give_up_deaf_channels(self) -> None:
        """Have channels replaced on which the broker does not answer basic.consume."""
        now = self._session.loop.time()
        for channel, consumer in self._missing_consumers():
            if channel.is_open and consumer.is_starting and self._patience.is_over(consumer, now):
                channel.replace("basic.consume was not answered on it")

    async def _restore_consumers(self) -> None:
        missing = [
            (channel, consumer)
            for channel, consumer in self._missing_consumers()
            if channel.is_open and not consumer.is_starting
        ]
        absent = await self._absent_queues(consumer for _, consumer in missing)
        await self._each(
            [each for each in missing if self._queue_of(each[1]) not in absent],
            self._restore_consumer,
        )
        # An answer may have come late, and behind the consumer's loss.
        for consumer in [each for each in self._lost if not each.is_wanted or each.is_active]:
            self._consumer_is_back(consumer)

    def _queue_of(self, consumer: Consumer) -> str:
        return self._ledger.current_name(consumer.queue)

    async def _absent_queues(self, consumers: Iterable[Consumer]) -> set[str]:
        """Ask for queues that were not declared here: consuming from none costs a channel."""
        absent = set(self._missing.queues)
        unknown: dict[str, list[Consumer]] = {}
        for consumer in consumers:
            name = self._queue_of(consumer)
            if self._ledger.queue(name) is None:
                unknown.setdefault(name, []).append(consumer)

        async def look(name: str) -> None:
            request = requests.declare_queue(Queue(name), passive=True)
            try:
                await self._topology.ask(request, QueueMethods.DeclareOk)
            except ConnectionClosed:
                raise
            except HopMQError as error:
                absent.add(name)
                for consumer in unknown[name]:
                    if _is_absent(error):
                        consumer.begin_anew()
                    self._consumer_lost(consumer, error)

        await self._each(list(unknown), look)
        return absent

    async def _restore_consumer(self, place: tuple[Channel, Consumer]) -> None:
        channel, consumer = place
        if not self._is_missing(channel, consumer):
            return
        try:
            if consumer in self._refused:
                await channel.try_consumer(consumer)
                if not self._is_missing(channel, consumer):
                    return  # ended meanwhile
            await channel.start_consumer(consumer)
        except ConnectionClosed:
            raise
        except ChannelClosed as error:
            if error.unprocessed:
                return
            if isinstance(error, NotFoundError):
                # A queue that is being deleted can still be declared.
                self._missing.add_queue(consumer.queue)
            self._refused.add(consumer)
            self._consumer_lost(consumer, error)
        except HopMQError as error:
            if isinstance(error, RequestTimeoutError):
                self._patience.begin(consumer, self._session.loop.time())
            self._consumer_lost(consumer, error)
        else:
            self._consumer_is_back(consumer)

    @staticmethod
    def _is_missing(channel: Channel, consumer: Consumer) -> bool:
        return channel.is_open and consumer.is_wanted and not consumer.is_active

    def _consumer_lost(self, consumer: Consumer, error: HopMQError) -> None:
        if not consumer.is_wanted:
            return  # ended meanwhile
        self._lost.add(consumer)
        if not self._is_news(consumer, error):
            return
        logger.warning("%s: lost %r: %s", self._session.label, consumer, error)
        self._session.lifecycle.tell(
            ConsumerLost(
                connection=self._session.label,
                consumer_tag=consumer.consumer_tag,
                queue=consumer.queue,
                error=error,
            )
        )

    def _consumer_is_back(self, consumer: Consumer) -> None:
        self._reasons.pop(consumer, None)
        self._refused.discard(consumer)
        self._patience.forget(consumer)
        was_lost = consumer in self._lost
        self._lost.discard(consumer)
        if was_lost and consumer.is_active:
            self._session.lifecycle.tell(
                ConsumerRestored(
                    connection=self._session.label,
                    consumer_tag=consumer.consumer_tag,
                    queue=consumer.queue,
                )
            )


def _is_absent(error: HopMQError) -> bool:
    """Return whether a queue is not there: one whose node is down is "not found" as well."""
    return isinstance(error, NotFoundError) and "no queue" in error.reply_text
