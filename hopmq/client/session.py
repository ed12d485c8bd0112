"""The inside of a connection: core, link and whoever listens to its events."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from hopmq.client.inbox import ReadingBudget
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    ChannelEnded,
    ConnectionBlocked,
    ConnectionEnded,
    ConnectionOpened,
    ConnectionRefused,
    ConnectionUnblocked,
    ConsumerCancelled,
    CoreEvent,
    FlowChanged,
    MessageReturned,
    MessageSkipped,
)
from hopmq.core.replies import NOBODY
from hopmq.core.states import ConnectionState
from hopmq.errors import ClosedError, ConnectionClosed, RequestTimeoutError
from hopmq.transport.link import Link
from hopmq.wire import Returned

logger: logging.Logger = logging.getLogger("hopmq.connection")

R = TypeVar("R")

_FLUSH_AT: Final = 256 * 1024
"""Bytes queued in one turn of the loop after which they are handed to the socket."""


class ChannelListener(Protocol):
    """What a session tells a channel."""

    def channel_ended(self, error: ClosedError) -> None:
        """The channel or its connection is gone."""

    def consumer_cancelled(self, consumer_tag: str) -> None:
        """The broker ended a consumer."""

    def message_returned(self, message: Returned) -> None:
        """A mandatory message came back."""

    def resume_publishing(self) -> None:
        """What held publishes back may be over."""


class Session:
    """One link to a broker and everything that waits on it.

    Attributes:
        core, link: The state machine and its socket.
        label: Connection name and peer, for logs and errors.
        blocked: Why the broker takes no publishes, or None.
        opened: Done when the handshake is.
        budget: Bounds what consumers have not read yet.
        flushed_early: Set when more was queued in one turn of the loop than is left for its end.
    """

    def __init__(
        self,
        core: ConnectionCore,
        loop: asyncio.AbstractEventLoop,
        label: str,
        request_timeout: float,
        max_unread_size: int,
    ) -> None:
        """Prepare a link; nothing is connected yet."""
        self.core: ConnectionCore = core
        self.loop: asyncio.AbstractEventLoop = loop
        self.label: str = label
        self.link: Link = Link(core, loop, self._on_events, self._resume_publishing, label)
        self.blocked: str | None = None
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[ConnectionClosed] = loop.create_future()
        self.request_timeout: float = request_timeout
        self.flushed_early: bool = False
        self.budget: ReadingBudget = ReadingBudget(
            max_unread_size, self.link.pause_reading, self.link.resume_reading, self._is_awaiting
        )
        self._listeners: dict[int, ChannelListener] = {}
        self._requests = 0

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

    def abandon(self) -> None:
        """Drop a link whose handshake nobody waits for any more."""
        self.opened.cancel()
        self.link.abort()

    async def open_channel(self) -> ChannelCore:
        """Return a new open channel."""
        waiter: asyncio.Future[Any] = self.loop.create_future()
        channel = self.core.open_channel(waiter)
        await self.wait(waiter, "Channel.Open", lambda _: channel.close(NOBODY))
        return channel

    def listen(self, channel: ChannelCore, listener: ChannelListener) -> None:
        """Tell `listener` what happens on `channel`."""
        self._listeners[channel.channel_id] = listener

    def forget(self, channel: ChannelCore) -> None:
        """Stop telling about a channel that was closed from here."""
        self._listeners.pop(channel.channel_id, None)

    def held_back(self) -> str | None:
        """Say why nothing may be published on this connection now; None when it may."""
        if self.blocked is not None:
            return f"the broker has blocked publishing on this connection ({self.blocked})"
        if self.core.out_size > _FLUSH_AT:
            self.link.flush()  # so that the transport can say whether it keeps up
            self.flushed_early = True
        if self.link.write_paused:
            return "the socket takes no more bytes"
        return None

    def listeners(self) -> list[ChannelListener]:
        """Return the listeners of all channels."""
        return list(self._listeners.values())

    # --- inside ------------------------------------------------------------------------------

    def _is_awaiting(self) -> bool:
        """Return whether an answer is due that stopping to read would hold back."""
        if self._requests:
            return True
        channels = self.core.channels.values()
        return any(channel.confirms is not None and len(channel.confirms) for channel in channels)

    def _resume_publishing(self) -> None:
        for listener in self.listeners():
            listener.resume_publishing()

    def _on_events(self, events: list[CoreEvent]) -> None:
        for event in events:
            self._on_event(event)

    def _on_event(self, event: CoreEvent) -> None:
        match event:
            case ConnectionOpened():
                if not self.opened.done():
                    self.opened.set_result(None)
            case ConnectionRefused():
                if not self.opened.done():
                    self.opened.set_exception(event.error)
            case ConnectionEnded():
                self._connection_ended(event.error)
            case ConnectionBlocked():
                logger.warning("%s: blocked by the broker: %s", self.label, event.reason)
                self.blocked = event.reason
            case ConnectionUnblocked():
                logger.info("%s: unblocked", self.label)
                self.blocked = None
                self._resume_publishing()
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
                    listener.channel_ended(event.error)
            case ConsumerCancelled(channel=channel) if channel in self._listeners:
                self._listeners[channel].consumer_cancelled(event.consumer_tag)
            case MessageReturned(channel=channel) if channel in self._listeners:
                self._listeners[channel].message_returned(event.message)
            case FlowChanged(channel=channel) if channel in self._listeners:
                logger.info("%s: channel %d flow %s", self.label, channel, event.active)
                self._listeners[channel].resume_publishing()
            case MessageSkipped():
                logger.warning("%s: dropped a message of %d bytes", self.label, event.size)

    def _connection_ended(self, error: ConnectionClosed) -> None:
        if error.reply_code == 200 and not error.by_peer:  # reply-success
            logger.info("%s: closed", self.label)
        else:
            logger.warning("%s: connection ended: %s", self.label, error)
        self.blocked = None
        if not self.ended.done():
            self.ended.set_result(error)
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.channel_ended(error)

    def is_open(self) -> bool:
        """Return whether requests can be sent."""
        return self.core.state is ConnectionState.OPEN


def has_result(future: asyncio.Future[Any]) -> bool:
    """Return whether `future` ended with a result."""
    return future.done() and not future.cancelled() and future.exception() is None
