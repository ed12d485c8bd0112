"""Keep a connection alive beyond its link."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from hopmq.client.channel import Channel
from hopmq.client.consumer import Consumer
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel
from hopmq.errors import (
    ChannelClosed,
    ConnectError,
    ConnectionClosed,
    ConnectionLostError,
    ConsumerCancelledError,
)
from hopmq.events import AttemptFailed, ChannelLost, Recovered
from hopmq.resilience.ledger import TopologyLedger
from hopmq.resilience.policy import Recovery, outlives, reopens
from hopmq.resilience.reconnector import Reconnector
from hopmq.resilience.reopening import Reopening
from hopmq.resilience.restoration import Restoration

logger: logging.Logger = logging.getLogger("hopmq.connection")

_PATIENCE: Final = 1.0
"""Seconds that a consumer which the broker does not answer may hold up other requests."""


class ConnectionKeeper:
    """Bring a connection back, and what was on it; the client's `Keeper`.

    One task at a time does the work, and none is there while there is nothing to do. Idle
    connections are many, so what this takes is made when it is needed first.
    """

    __slots__ = (
        "_ending",
        "_lost_at",
        "_lost_by",
        "_reconnector",
        "_record",
        "_recovery",
        "_reopening",
        "_restoration",
        "_session",
        "_task",
        "_topology",
    )

    def __init__(self, recovery: Recovery, reconnector: Reconnector) -> None:
        """Wait for a connection to look after."""
        self._recovery = recovery
        self._reconnector = reconnector
        self._session: Session
        self._topology: TopologyChannel
        self._record: TopologyLedger | None = None
        self._restoration: Restoration | None = None
        self._reopening: Reopening | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: list[asyncio.Task[None]] = []
        self._lost_at = 0.0
        self._lost_by: ConnectionClosed | None = None

    def look_after(self, session: Session, topology: TopologyChannel) -> None:
        """Keep this connection."""
        self._session = session
        self._topology = topology

    @property
    def record(self) -> TopologyLedger:
        """What the connection has declared."""
        if self._record is None:
            self._record = TopologyLedger(self._recovery.recover)
        return self._record

    @property
    def reopening(self) -> Reopening:
        """When channels that were closed for a mistake are opened again."""
        if self._reopening is None:
            recovery = self._recovery
            self._reopening = Reopening(recovery.entity_backoff, recovery.stable_after)
        return self._reopening

    @property
    def restoration(self) -> Restoration:
        """What is missing."""
        if self._restoration is None:
            self._restoration = Restoration(
                self._session,
                self._topology,
                self.record,
                self._recovery.entity_backoff,
                self.reopening,
            )
        return self._restoration

    # --- for the connection ------------------------------------------------------------------

    def keep_connection(self, error: ConnectionClosed) -> bool:
        """Connect again, unless it was closed here or for a mistake of ours."""
        if not outlives(error):
            return False
        if not self._session.is_recovering:
            self._lost_at = self._session.loop.time()
            self._lost_by = error
        self._reconnector.lost()
        self._start(self._recover())
        return True

    def keep_channel(self, channel: Channel, error: ChannelClosed) -> bool:
        """Open it again where a consumer that was brought back cost it, or as it is wished."""
        reopened = self.restoration.has_cost(channel, error) or (
            reopens(self._recovery, error)
            and self.reopening.lost(channel, self._session.loop.time())
        )
        self._session.lifecycle.tell(
            ChannelLost(
                connection=self._session.label,
                channel=channel.number,
                error=error,
                reopened=reopened,
            )
        )
        if reopened:
            self._heal()
        return reopened

    def keep_consumer(self, consumer: Consumer, error: ConsumerCancelledError) -> bool:
        """Declare its queue again, if it was declared here, and subscribe again.

        Unless the queue was deleted from here.
        """
        if self.record.is_doomed(consumer.queue):
            return False
        self.restoration.miss_consumer(consumer, error)
        self._heal()
        return True

    async def stop(self) -> None:
        """Bring nothing back any more."""
        self._cancel()
        while self._ending:
            await asyncio.wait(self._ending)

    # --- inside ------------------------------------------------------------------------------

    def _heal(self) -> None:
        """See to what is missing, now; a recovery under way will come to it."""
        # A task that is done has looked for the last time, though nobody was told so yet.
        if self._task is None or self._task.done():
            self._start(self.restoration.complete())
        else:
            self.restoration.wake()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._cancel()
        name = f"hopmq recovery of {self._session.label}"
        self._task = task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._done)

    def _cancel(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            self._ending.append(task)
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        if task in self._ending:
            self._ending.remove(task)
        if self._task is task:
            self._task = None
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.error("%s: recovery failed", self._session.label, exc_info=error)
        self._session.link.abort()
        self._session.end(ConnectionLostError(f"its recovery failed: {error!r}"))

    async def _recover(self) -> None:
        session = self._session
        new_link = await self._reconnector.again(self._attempt_failed)
        if new_link is None:
            session.end(self._given_up())
            return
        session.attach(new_link)
        self.restoration.begin()
        try:
            complete = await self._restore()
        except ConnectionClosed:
            return  # this link has ended too, and another task sees to it
        if not session.is_open():
            return
        seconds = session.loop.time() - self._lost_at
        logger.info(
            "%s: recovered after %.1f seconds%s",
            session.label,
            seconds,
            "" if complete else ", but for what is missing still",
        )
        session.lifecycle.tell(
            Recovered(
                connection=session.label, seconds=seconds, attempts=self._reconnector.attempts
            )
        )
        if not complete:
            await self.restoration.complete()

    async def _restore(self) -> bool:
        await self.restoration.rebuild()
        resuming = self._session.loop.call_later(_PATIENCE, self._resume)
        try:
            complete = await self.restoration.start_consumers()
        finally:
            resuming.cancel()
        self._resume()
        return complete

    def _resume(self) -> None:
        if self._session.is_open() and self._session.is_recovering:
            self._session.restored()

    def _attempt_failed(self, address: str, error: ConnectError, refused: bool) -> None:
        self._session.lifecycle.tell(
            AttemptFailed(
                connection=self._session.label, address=address, error=error, refused=refused
            )
        )

    def _given_up(self) -> ConnectionClosed:
        last, attempts = self._reconnector.last_error, self._reconnector.attempts
        tried = f"given up after {attempts} attempts to connect again" if attempts else "given up"
        error = ConnectionLostError(
            f"{self._lost_by}; {tried}" if last is None else f"{self._lost_by}; {tried}: {last}"
        )
        error.__cause__ = last
        return error
