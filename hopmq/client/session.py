"""The inside of a connection: its link, and whoever waits for something on it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from hopmq.client.channel_listener import ChannelListener
from hopmq.client.ending import Ending
from hopmq.client.inbox import ReadingBudget
from hopmq.client.keeping import Keeper
from hopmq.client.lifecycle import Lifecycle
from hopmq.client.new_link import NewLink
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    ChannelEnded,
    ConnectionBlocked,
    ConnectionEnded,
    ConnectionUnblocked,
    ConsumerCancelled,
    CoreEvent,
    FlowChanged,
    MessageReturned,
    MessageSkipped,
)
from hopmq.core.replies import NOBODY
from hopmq.core.states import ConnectionState
from hopmq.errors import (
    ConnectionClosed,
    RequestTimeoutError,
    connection_closed,
)
from hopmq.events import Blocked, Closed, Connected, Recovering, Unblocked
from hopmq.transport import inheritance
from hopmq.transport.link import Link

logger: logging.Logger = logging.getLogger("hopmq.connection")

R = TypeVar("R")


class Session:
    """What channels share: the link of the moment and its successors.

    Attributes:
        core, link: The state machine of the link and its socket.
        label: Connection name and peer, for logs and errors.
        lifecycle: Where the connection stands.
        keeper: Decides what outlives the link.
        blocked: Why the broker takes no publishes, or None.
        ended: Why the connection has ended for good, once it has.
        budget: Bounds what consumers have not read yet.
        flushed_early: Set when more was queued in one turn of the loop than is left for its end.
        lost_at: When the link was lost whose successor is not restored yet, on the loop's clock.
        loop_lag: Returns the seconds by which the event loop is late, where it is watched.
    """

    __slots__ = (
        "__weakref__",
        "_listeners",
        "_ready",
        "_requests",
        "_suspended",
        "blocked",
        "budget",
        "core",
        "ended",
        "flushed_early",
        "keeper",
        "label",
        "lifecycle",
        "link",
        "loop",
        "loop_lag",
        "lost_at",
        "request_timeout",
    )

    def __init__(
        self,
        new_link: NewLink,
        loop: asyncio.AbstractEventLoop,
        keeper: Keeper,
        request_timeout: float,
        max_unread_size: int,
    ) -> None:
        """Know the first link; `begin` takes it over."""
        self.loop: asyncio.AbstractEventLoop = loop
        self.keeper: Keeper = keeper
        self.lifecycle: Lifecycle = Lifecycle()
        self.core: ConnectionCore = new_link.core
        self.link: Link = new_link.link
        self.label: str = new_link.label
        self.blocked: str | None = None
        self.ended: Ending[ConnectionClosed] = Ending()
        self.request_timeout: float = request_timeout
        self.flushed_early: bool = False
        self.lost_at: float | None = None
        self.loop_lag: Callable[[], float] = float
        self.budget: ReadingBudget = ReadingBudget(max_unread_size, self)
        self._listeners: dict[int, ChannelListener] = {}
        self._suspended: dict[ChannelListener, None] = {}
        self._requests = 0
        self._ready: asyncio.Future[None] | None = None

    # --- links -------------------------------------------------------------------------------

    def begin(self, new_link: NewLink) -> None:
        """Take over the first link; its handshake is complete."""
        self.attach(new_link)
        if self.is_open():
            self.lifecycle.move("blocked" if self.blocked is not None else "open")

    def attach(self, new_link: NewLink) -> None:
        """Work on this link from now on; its handshake is complete."""
        self.core = new_link.core
        self.link = new_link.link
        self.label = new_link.label
        self.blocked = None
        self.budget.paused = False
        self.lifecycle.tell(Connected(connection=self.label))
        new_link.hand_over(self._on_events, self._resume_publishing)

    def restored(self) -> None:
        """Let requests go on: what stood on the last link stands on this one."""
        inheritance.release(self)
        self.lost_at = None
        self.lifecycle.move("blocked" if self.blocked is not None else "open")
        ready, self._ready = self._ready, None
        if ready is not None and not ready.done():
            ready.set_result(None)

    @property
    def is_recovering(self) -> bool:
        """Whether the link has ended, and its successor is not restored yet."""
        return self._ready is not None

    async def ready(self) -> None:
        """Wait while the connection recovers, or ends for good, for as long as a request may take.

        Raises:
            RequestTimeoutError: It did neither in time.
        """
        if self._ready is None:
            return
        try:
            async with asyncio.timeout(self.request_timeout):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise self.not_ready() from None
        if self.ended.done():
            raise self.ended.reason().again()

    def not_ready(self) -> RequestTimeoutError:
        """Return what is raised of a request that no link came for in time."""
        return RequestTimeoutError(
            f"{self.label}: not sent: the connection is still recovering after "
            f"{self.request_timeout:g} seconds"
        )

    def end(self, error: ConnectionClosed) -> None:
        """End the connection for good, with everything that is suspended."""
        if self.ended.done():
            return
        self.blocked = None
        if self.core.state is ConnectionState.CLOSED:
            self.core.error = error  # what ended its last link is not what ended it
        self.ended.come(error)
        inheritance.release(self)
        listeners = [*self._listeners.values(), *self._suspended]
        self._listeners, self._suspended = {}, {}
        for listener in listeners:
            listener.channel_ended(error)
        ready, self._ready = self._ready, None
        if ready is not None and not ready.done():
            ready.set_result(None)  # each who waits finds the end, and has an error of their own
        self.lifecycle.tell(Closed(connection=self.label, error=error))
        self.lifecycle.move("closing")
        self.link.lost.add_done_callback(lambda _: self.lifecycle.move("closed"))

    def socket_number(self) -> int | None:
        """Return None: the socket is the link's."""

    def disown(self) -> None:
        """End in a child of the process, if there is no link that ends there."""
        if self.is_recovering:
            with suppress(RuntimeError):  # the loop is closed, or not this thread's
                self.end(inheritance.forked())

    def close(self) -> None:
        """Begin to close; whoever waits is told now, not when the peer has answered."""
        if self.ended.done():
            return
        self.lifecycle.move("closing")
        self.link.close()
        self.end(connection_closed(200, "closed", by_peer=False))

    # --- requests ----------------------------------------------------------------------------

    async def wait(
        self,
        reply: asyncio.Future[R],
        what: str,
        on_abandoned: Callable[[R], None] | None = None,
    ) -> R:
        """Wait for the reply to a request that was just sent.

        Args:
            reply: Where it arrives.
            what: The request's name.
            on_abandoned: Called with a reply that came when this wait had just been cancelled.

        Raises:
            RequestTimeoutError: None came within `request_timeout`. A late one is absorbed.
            ClosedError: The channel or the connection ended first.
        """
        if self.budget.paused:
            self.budget.awaiting()
        self._requests += 1
        try:
            async with asyncio.timeout(self.request_timeout):
                return await reply
        except TimeoutError:
            if reply.done() and not reply.cancelled():
                return reply.result()  # it came in the turn in which the time was up
            raise RequestTimeoutError(
                f"{self.label}: no answer to {what} within {self.request_timeout:g} seconds; "
                "the broker may be overloaded, or the network stalled"
            ) from None
        except asyncio.CancelledError:
            if on_abandoned is not None and has_result(reply):
                on_abandoned(reply.result())
            raise
        finally:
            self._requests -= 1

    async def open_channel(self) -> ChannelCore:
        """Return a new open channel."""
        waiter: asyncio.Future[Any] = self.loop.create_future()
        channel = self.core.open_channel(waiter)
        await self.wait(waiter, "Channel.Open", lambda _: channel.close(NOBODY))
        return channel

    def listen(self, channel: ChannelCore, listener: ChannelListener) -> None:
        """Tell `listener` what happens on `channel`."""
        self._suspended.pop(listener, None)
        self._listeners[channel.channel_id] = listener

    def forget(self, channel: ChannelCore, listener: ChannelListener) -> None:
        """Stop telling about a channel that was closed from here."""
        if self._listeners.get(channel.channel_id) is listener:
            del self._listeners[channel.channel_id]
        self._suspended.pop(listener, None)

    def suspended(self) -> list[ChannelListener]:
        """Return the channels that wait for a link, or for their turn on it."""
        return list(self._suspended)

    def suspend(self, listener: ChannelListener) -> None:
        """Let a channel wait for its turn to be opened again."""
        self._suspended[listener] = None

    def held_back(self) -> str | None:
        """Say why nothing may be published on this connection now; None when it may."""
        if self.blocked is not None:
            return f"the broker has blocked publishing on this connection ({self.blocked})"
        if self.link.write_paused:
            return "the socket takes no more bytes"
        return None

    def flush_early(self) -> None:
        """Write what there is, so that the transport can say whether it keeps up."""
        self.link.flush()
        self.flushed_early = True

    def listeners(self) -> list[ChannelListener]:
        """Return the listeners of all channels, suspended ones too."""
        return [*self._listeners.values(), *self._suspended]

    # --- inside ------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Leave messages to the network."""
        self.link.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self.link.resume_reading()

    def expect_output(self) -> None:
        """Write what those who were just woken will have to send."""
        self.link.expect_output()

    def is_awaiting(self) -> bool:
        """Return whether an answer is due that stopping to read would hold back."""
        if self._requests:
            return True
        return any(listener.is_awaiting() for listener in self._listeners.values())

    def _resume_publishing(self) -> None:
        for listener in list(self._listeners.values()):
            listener.resume_publishing()

    def _on_events(self, events: list[CoreEvent]) -> None:
        for event in events:
            self._on_event(event)

    def _on_event(self, event: CoreEvent) -> None:
        match event:
            case ConnectionEnded():
                self._connection_ended(event.error)
            case ConnectionBlocked():
                self._blocked(event.reason)
            case ConnectionUnblocked():
                self._unblocked()
            case _:
                self._on_channel_event(event)

    def _on_channel_event(self, event: CoreEvent) -> None:
        match event:
            case ChannelEnded():
                listener = self._listeners.pop(event.channel, None)
                # Without a listener its end concerns only the request that caused it.
                level = logging.DEBUG if listener is None else logging.WARNING
                logger.log(
                    level, "%s: channel %d closed: %s", self.label, event.channel, event.error
                )
                if listener is not None:
                    listener.channel_refused(event.error)
            case ConsumerCancelled(channel=channel) if channel in self._listeners:
                self._listeners[channel].consumer_cancelled(event.consumer_tag)
            case MessageReturned(channel=channel) if channel in self._listeners:
                self._listeners[channel].message_returned(event.message)
            case FlowChanged(channel=channel) if channel in self._listeners:
                logger.info("%s: channel %d flow %s", self.label, channel, event.active)
                self._listeners[channel].resume_publishing()
            case MessageSkipped():
                logger.warning("%s: dropped a message of %d bytes", self.label, event.size)

    def _blocked(self, reason: str) -> None:
        logger.warning("%s: blocked by the broker: %s", self.label, reason)
        self.blocked = reason
        if self.lifecycle.state == "open":
            self.lifecycle.move("blocked")
        self.lifecycle.tell(Blocked(connection=self.label, reason=reason))

    def _unblocked(self) -> None:
        logger.info("%s: unblocked", self.label)
        self.blocked = None
        if self.lifecycle.state == "blocked":
            self.lifecycle.move("open")
        self.lifecycle.tell(Unblocked(connection=self.label))
        self._resume_publishing()

    def _connection_ended(self, error: ConnectionClosed) -> None:
        if error.reply_code == 200 and not error.by_peer:  # reply-success
            logger.info("%s: closed", self.label)
        else:
            logger.warning("%s: connection ended: %s", self.label, error)
        wanted = not self.ended.done() and self.lifecycle.state != "closing"
        if not wanted or not self.keeper.keep_connection(error):
            self.end(error)
            return
        self.blocked = None
        if self._ready is None:
            self._ready = self.loop.create_future()
            inheritance.guard(self)  # with a link, that is guarded
            self.lost_at = self.loop.time()
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            self._suspended[listener] = None
            listener.suspend(error)
        self.lifecycle.move("recovering")
        self.lifecycle.tell(Recovering(connection=self.label, error=error))

    def is_open(self) -> bool:
        """Return whether requests can be sent."""
        return self.core.state is ConnectionState.OPEN


def has_result(future: asyncio.Future[Any]) -> bool:
    """Return whether `future` ended with a result."""
    return future.done() and not future.cancelled() and future.exception() is None
