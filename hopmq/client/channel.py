"""Channels as users meet them: what they share, and how they end or go on."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pamqp.base import Frame

from hopmq.client.consumer import Consumer
from hopmq.client.consuming import ConsumeOperations
from hopmq.client.keeping import TopologyRecord
from hopmq.client.persisting import persist
from hopmq.client.publisher import PublishOperations
from hopmq.client.publishing import OnDisconnect, Publishing
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel, TopologyOperations
from hopmq.client.transaction import Transaction
from hopmq.client.window import Window
from hopmq.core.channel import ChannelCore
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState
from hopmq.errors import (
    ChannelClosed,
    ClosedError,
    RequestTimeoutError,
    UsageError,
    channel_closed,
)
from hopmq.wire import Returned

logger: logging.Logger = logging.getLogger("hopmq.client")

R = TypeVar("R")

OnReturn = Callable[[Returned], None]
OnLoss = Callable[[ClosedError], None]

_REPLY_TO: Final = "amq.rabbitmq.reply-to"


class Channel(PublishOperations, ConsumeOperations, TopologyOperations):
    """A channel: the unit of ordering, prefetch, confirms and transactions.

    Made by `connection.channel()`. A channel may be shared by any number of tasks. Declaring and
    binding run beside it, so that a refusal never closes it. It lives on when its connection
    recovers, and its consumers with it.

    Attributes:
        on_return: Called with each mandatory message that came back; publishes on a channel
            with confirms also raise `PublishReturnedError`.
        on_loss: Called with the error when what was on its way here is lost: for good, or until
            the channel is open again, as `is_recovering` tells.
        awaits_replies: Asked whether replies are awaited here, as to requests over direct reply-to.
            Then messages of other consumers that nobody reads do not stop the connection's reading.
    """

    def __init__(
        self,
        session: Session,
        core: ChannelCore,
        topology: TopologyChannel,
        *,
        confirms: bool,
        prefetch: int,
        window: Window,
        publish_timeout: float,
        on_disconnect: OnDisconnect,
    ) -> None:
        """Wrap an open channel of `session`."""
        self.on_return: OnReturn | None = None
        self.on_loss: OnLoss | None = None
        self.awaits_replies: Callable[[], bool] | None = None
        self._session = session
        self._core = core
        self._topology = topology
        self._confirms = confirms
        self._prefetch = prefetch
        self._prefetch_on_wire = 0
        self._publish_timeout = publish_timeout
        self._publishing = Publishing(core, window, session, session.loop, on_disconnect)
        self._consumers: dict[str, Consumer] = {}
        self._resumed: asyncio.Future[None] | None = None
        session.listen(core, self)

    def __repr__(self) -> str:
        """Show number, state and connection."""
        state = self._core.state.value if self._resumed is None else "recovering"
        return f"<Channel {self.number} {state} of {self._session.label}>"

    @property
    def number(self) -> int:
        """The channel's id on the wire; another one after a recovery."""
        return self._core.channel_id

    @property
    def is_open(self) -> bool:
        """Whether it can be used at once; False also while it recovers."""
        return self._core.state is ChannelState.OPEN and self._resumed is None

    @property
    def is_recovering(self) -> bool:
        """Whether it waits for its connection, and whatever is asked of it waits as well."""
        return self._resumed is not None

    @property
    def unconfirmed(self) -> int:
        """How many publishes await their confirm."""
        confirms = self._core.confirms
        return 0 if confirms is None else len(confirms)

    @property
    def oldest_undecided(self) -> float | None:
        """When the oldest publish without an outcome was begun, on the loop's clock, if any is."""
        undecided = self._publishing.undecided()
        return min((each.begun for each in undecided if not each.done()), default=None)

    def consumers(self) -> list[Consumer]:
        """List the consumers that were started here and have not ended."""
        return [consumer for consumer in self._consumers.values() if consumer.is_wanted]

    def transaction(self) -> Transaction:
        """Return a block whose publishes and acks take effect together.

        Raises:
            UsageError: The channel has confirms; open one with `confirms=False`.
        """
        if self._core.confirms is not None or (self._confirms and self.is_recovering):
            raise UsageError(
                "a channel has confirms or transactions, not both: "
                "open one with connection.channel(confirms=False)"
            )
        return Transaction(self._persist, self._ask_on, self._core, self._publishing)

    # --- ending ------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the channel; unsettled messages go back to their queues. Idempotent."""
        core = self._core
        if self._resumed is not None:
            self._session.forget(core, self)
            self.channel_ended(channel_closed(200, "closed", by_peer=False))
        if core.state is not ChannelState.OPEN:
            return
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        core.close(waiter)
        self._session.forget(core, self)
        assert core.error is not None
        self.channel_ended(core.error)
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
        if self._core.state is ChannelState.CLOSED:
            self._core.error = error  # what ended its last link is not what ended it
        self._resume_waiters()
        if self.on_loss is not None:
            self._call(self.on_loss, error)

    def channel_refused(self, error: ChannelClosed) -> None:
        """Wait to be opened again, or pass the end on."""
        if self._session.keeper.keep_channel(self, error):
            self._session.suspend(self)
            self.suspend(error)
        else:
            self.channel_ended(error)

    def suspend(self, error: ClosedError) -> None:
        """Hold everything until `reopen`; what was delivered will be delivered again."""
        if self._resumed is None:
            self._resumed = self._session.loop.create_future()
        self._publishing.suspend(error)
        for consumer in list(self._consumers.values()):
            consumer.suspend()
        if self.on_loss is not None:
            self._call(self.on_loss, error)

    def consumer_cancelled(self, consumer_tag: str) -> None:
        """Pass the broker's cancel on, unless the consumer will be back."""
        consumer = self._consumers.get(consumer_tag)
        if consumer is None:
            return
        error = consumer.cancel_error()
        if consumer.is_wanted and self._session.keeper.keep_consumer(consumer, error):
            consumer.interrupt()
        else:
            consumer.cancelled_by_broker(error)

    def message_returned(self, message: Returned) -> None:
        """Pass a return on; with confirms its publish knows already."""
        if self.on_return is not None:
            self._call(self.on_return, message)
        elif self._core.confirms is None:
            logger.warning(
                "%r: a mandatory message came back: %d %s; set on_return, or use confirms",
                self,
                message.reply_code,
                message.reply_text,
            )

    def is_awaiting(self) -> bool:
        """Return whether confirms are awaited here, or replies."""
        if self._core.confirms:
            return True
        return self.awaits_replies is not None and self.awaits_replies()

    def resume_publishing(self) -> None:
        """Write what was held back."""
        self._publishing.resume()

    async def start(self) -> None:
        """Set the new channel up, in one round trip; close it if that fails."""
        core = self._core
        requests = [self._set_prefetch(core, self._prefetch)] if self._prefetch else []
        if self._confirms:
            requests.append(self._select_confirms(core))
        try:
            await asyncio.gather(*requests)
        except BaseException:
            self._session.forget(core, self)
            if core.state is ChannelState.OPEN:
                core.close(NOBODY)
            raise

    async def reopen(self) -> None:
        """Stand on a new channel as before, but for the consumers, and publish again.

        Raises:
            HopMQError: It did not come about; the channel is suspended still.
        """
        core = await self._session.open_channel()
        if not self._awaits_link():  # closed meanwhile
            core.close(NOBODY)
            return
        self._core = core
        self._prefetch_on_wire = 0
        self._session.listen(core, self)
        try:
            await self.start()
            await self._listen_for_replies()
        except BaseException as error:
            if self._awaits_link() and not self._session.ended.done():
                self._session.suspend(self)
            elif isinstance(error, ChannelClosed):
                return  # closed meanwhile, from here or by the broker
            raise
        self._publishing.resume_on(core)
        self._resume_waiters()

    def replace(self, reason: str) -> None:
        """Give up the channel of the moment, and wait to be opened again as another one."""
        core = self._core
        core.close(NOBODY, reply_text=reason)
        self._session.forget(core, self)
        self._session.suspend(self)
        assert core.error is not None
        self.suspend(core.error)

    # --- inside ------------------------------------------------------------------------------

    def _call(self, callback: Callable[[R], None], news: R) -> None:
        try:
            callback(news)
        except (Exception, asyncio.CancelledError):
            # The callback is the user's: nothing may pass the reader.
            logger.exception("%r: %r failed", self, callback)

    async def _listen_for_replies(self) -> None:
        """Be ready for the replies to what is published next: RabbitMQ refuses requests before."""
        for consumer in self.consumers():
            if consumer.queue == _REPLY_TO:
                await self.start_consumer(consumer)

    async def _select_confirms(self, core: ChannelCore) -> None:
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        core.select_confirms(waiter)
        await self._session.wait(waiter, "Confirm.Select")

    def _awaits_link(self) -> bool:
        return self._resumed is not None

    def _resume_waiters(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    async def _usable(self) -> ChannelCore:
        """Return the channel of the moment, after waiting for one if need be."""
        await self._session.ready()
        if self._resumed is not None:
            try:
                async with asyncio.timeout(self._session.request_timeout):
                    await asyncio.shield(self._resumed)
            except TimeoutError:
                raise RequestTimeoutError(
                    f"{self!r}: not sent: it was not open again within "
                    f"{self._session.request_timeout:g} seconds"
                ) from None
        return self._core

    async def _persist(self, attempt: Callable[[ChannelCore], Awaitable[R]]) -> R:
        """Return what `attempt` does on the channel of the moment, or of the next link."""

        async def on_current() -> R:
            return await attempt(await self._usable())

        return await persist(self._session, on_current)

    @property
    def _record(self) -> TopologyRecord:
        return self._session.keeper.record

    async def _ask_topology(self, method: Frame, reply: type[R]) -> R:
        async def ask() -> R:
            (await self._usable()).check_open()
            return await self._topology.ask(method, reply)

        return await persist(self._session, ask)
