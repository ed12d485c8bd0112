"""Connections as users meet them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from pamqp.base import Frame
from pamqp.commands import Connection as ConnectionMethods

from hopmq.client.channel import Channel, OnReturn
from hopmq.client.connect_options import check_timeout
from hopmq.client.consuming import check_prefetch
from hopmq.client.health import DEFAULT_LIMITS, Health, HealthLimits
from hopmq.client.keeping import TopologyRecord
from hopmq.client.lifecycle import Counters, Listener, State
from hopmq.client.opening import Opening
from hopmq.client.persisting import persist
from hopmq.client.publishing import OnDisconnect, check_on_disconnect
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel, TopologyOperations
from hopmq.client.window import Window
from hopmq.core.connection import ConnectionCore
from hopmq.errors import ClosedError, ConnectionClosed, ForkedError, NotAllowedError
from hopmq.events import ConnectionEvent
from hopmq.typedefs import FieldTable
from hopmq.wire import new_method

logger: logging.Logger = logging.getLogger("hopmq.connection")

R = TypeVar("R")


class Connection(TopologyOperations):
    """An open connection to a broker, made by `hopmq.connect`.

    It may be shared by any number of tasks of one event loop. When its link ends, it connects
    again, and what was declared and consumed on it is restored; see `hopmq.Recovery`.
    """

    def __init__(
        self,
        session: Session,
        topology: TopologyChannel,
        name: str,
        publish_timeout: float,
        on_disconnect: OnDisconnect,
    ) -> None:
        """Wrap a session whose handshake is complete."""
        self._session = session
        self._topology = topology
        self._publish_timeout = publish_timeout
        self._on_disconnect: OnDisconnect = on_disconnect
        self.name: str = name

    def __repr__(self) -> str:
        """Show name, peer and state."""
        return f"<Connection {self._session.label} {self.state}>"

    # --- what it is --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """`open`, `blocked`, `recovering`, `closing` or `closed`."""
        state = self._session.lifecycle.state
        if state == "closing" and self._session.link.lost.done():
            return "closed"
        if state in {"open", "blocked"} and not self._session.is_open():
            return "closed"  # in a process that was forked from this one
        return state

    @property
    def is_open(self) -> bool:
        """Whether it can be used at once; also while blocked, but not while it recovers."""
        return self.state in {"open", "blocked"}

    @property
    def counters(self) -> Counters:
        """What has happened to it so far, counted; a snapshot."""
        return replace(self._session.lifecycle.counters)

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes no publishes because of an alarm; they are held here."""
        return self._session.blocked is not None

    @property
    def server_properties(self) -> FieldTable:
        """What the broker says of itself."""
        properties: FieldTable = getattr(self._core.opening.handshake, "server_properties", {})
        return properties

    @property
    def capabilities(self) -> frozenset[str]:
        """The optional features the broker has; empty for brokers that announce none."""
        table = self.server_properties.get("capabilities")
        if not isinstance(table, dict):
            return frozenset()
        return frozenset(name for name, present in table.items() if present is True)

    @property
    def product(self) -> str:
        """The broker's product name."""
        return _text(self.server_properties.get("product"))

    @property
    def version(self) -> str:
        """The broker's version."""
        return _text(self.server_properties.get("version"))

    @property
    def heartbeat(self) -> int:
        """The negotiated heartbeat interval in seconds; 0 when off."""
        return self._core.tuning.heartbeat

    @property
    def frame_max(self) -> int:
        """The negotiated size of the largest frame in bytes."""
        return self._core.tuning.frame_max

    @property
    def channel_max(self) -> int:
        """The negotiated number of channels."""
        return self._core.tuning.channel_max

    # --- what happens to it ------------------------------------------------------------------

    async def wait_for(self, *states: State, timeout: float | None = None) -> State:  # noqa: ASYNC109  # named in the error
        """Wait until the state is one of these; return it.

        Args:
            states: Such as `"open"`, or `"open", "blocked"`.
            timeout: Seconds to wait; None for as long as it takes.

        Raises:
            RequestTimeoutError: It was none of them in time.
            ConnectionClosed: It has ended for good, and `"closed"` was not among them.
        """
        state = await self._session.lifecycle.wait_for(states, timeout)
        if state not in states:
            raise self._session.ended.reason().again()
        return state

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each event, at once and within the reader: it must not block.

        Returns:
            What removes it again.
        """
        return self._session.lifecycle.add_listener(listener)

    def events(self) -> AsyncIterator[ConnectionEvent]:
        """Iterate over what happens to the connection from now on; `Closed` is the last.

        A reader that does not keep up loses the oldest of a thousand events.
        """
        return self._session.lifecycle.events()

    def health(self, limits: HealthLimits = DEFAULT_LIMITS) -> Health:
        """Say how it is doing, at once and without asking the broker; for probes.

        Args:
            limits: What it is judged by.
        """
        session = self._session
        now = session.loop.time()
        channels = self.channels()
        consumers = [consumer for channel in channels for consumer in channel.consumers()]
        begun = [channel.oldest_undecided for channel in channels]
        return Health(
            state=self.state,
            connected=self.is_open,
            blocked=session.blocked,
            wanted_consumers=len(consumers),
            live_consumers=sum(consumer.is_active for consumer in consumers),
            oldest_unconfirmed=max((now - each for each in begun if each is not None), default=0.0),
            loop_lag=session.loop_lag(),
            disconnected_for=0.0 if session.lost_at is None else now - session.lost_at,
            limits=limits,
        )

    def channels(self) -> list[Channel]:
        """List the channels that have not ended."""
        listeners = self._session.listeners()
        return [listener for listener in listeners if isinstance(listener, Channel)]

    # --- channels ----------------------------------------------------------------------------

    def channel(
        self,
        *,
        prefetch: int = 100,
        confirms: bool = True,
        max_unconfirmed: int = 1000,
        max_unconfirmed_size: int = 64 * 1024 * 1024,
        publish_timeout: float | None = None,
        on_disconnect: OnDisconnect | None = None,
        on_return: OnReturn | None = None,
    ) -> Opening[Channel]:
        """Open a channel: `await` it, or use it as `async with`.

        Args:
            prefetch: Unsettled messages each consumer may have; 0 is no bound.
            confirms: Whether publishes wait for the broker's confirm.
            max_unconfirmed: Messages that may be unconfirmed at once; publishing waits beyond.
            max_unconfirmed_size: Bytes of bodies that may be unconfirmed at once.
            publish_timeout: Seconds a publish may take; the connection's by default.
            on_disconnect: What publishes do while the connection recovers; the connection's by
                default.
            on_return: Called with each mandatory message that comes back.

        Raises:
            UsageError: A bound that cannot be meant.
            NoChannelAvailableError: All `channel_max` channels are in use.
            ConnectionClosed: The connection has ended.
        """
        check_prefetch(prefetch)
        if publish_timeout is not None:
            check_timeout("publish_timeout", publish_timeout)
        if on_disconnect is not None:
            check_on_disconnect(on_disconnect)
        window = Window(messages=max_unconfirmed, size=max_unconfirmed_size)
        timeout = self._publish_timeout if publish_timeout is None else publish_timeout
        policy = self._on_disconnect if on_disconnect is None else on_disconnect

        async def opened() -> Channel:
            channel = Channel(
                self._session,
                await self._session.open_channel(),
                self._topology,
                confirms=confirms,
                prefetch=prefetch,
                window=window,
                publish_timeout=timeout,
                on_disconnect=policy,
            )
            channel.on_return = on_return
            await channel.start()
            return channel

        # RabbitMQ closes the connection of a user who has as many channels as he may.
        return Opening(lambda: persist(self._session, opened, unless=(NotAllowedError,)))

    async def update_secret(self, secret: str, reason: str = "refresh") -> None:
        """Give the broker a fresh password or token (RabbitMQ, connection.update-secret)."""
        method = new_method(ConnectionMethods.UpdateSecret, new_secret=secret, reason=reason)

        async def update() -> None:
            waiter: asyncio.Future[Any] = self._session.loop.create_future()
            self._core.request(waiter, method, ConnectionMethods.UpdateSecretOk)
            await self._session.wait(waiter, "Connection.UpdateSecret")

        await persist(self._session, update)

    # --- ending ------------------------------------------------------------------------------

    async def wait_closed(self) -> ConnectionClosed:
        """Wait until the connection has ended; return why."""
        return await self._session.ended.wait()

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  # part of the contract
        """Close at once: publishes without a confirm end as unknown. Idempotent.

        Args:
            timeout: Seconds the broker has to agree; then the socket is dropped.
        """
        session = self._session
        session.close()
        if isinstance(self._core.error, ForkedError):
            return  # what there is to wait for is the parent's
        await session.keeper.stop()
        link = session.link
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(link.lost)
        except TimeoutError:
            link.abort()
            await asyncio.shield(link.lost)

    async def drain(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109  # bounds several waits
        """Stop consumers, let handlers finish, wait for confirms, and close. Idempotent.

        Args:
            timeout: Seconds for all of it; what is unfinished then is cut off.
        """
        try:
            async with asyncio.timeout(timeout):
                # Handlers may publish on any channel: all of them finish before one is closed.
                channels = self.channels()
                await asyncio.gather(*(channel.stop_consuming() for channel in channels))
                for channel in channels:
                    await channel.drain()
        except TimeoutError:
            logger.warning("%s: drain timed out after %g seconds", self._session.label, timeout)
        except ClosedError as error:
            logger.info("%s: ended while draining: %s", self._session.label, error)
        finally:
            await self.close()

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain; after an error, close at once."""
        if error is None:
            await self.drain()
        else:
            await self.close()

    # --- inside ------------------------------------------------------------------------------

    @property
    def _core(self) -> ConnectionCore:
        return self._session.core

    @property
    def _record(self) -> TopologyRecord:
        return self._session.keeper.record

    async def _ask_topology(self, method: Frame, reply: type[R]) -> R:
        async def ask() -> R:
            self._core.check_open()
            return await self._topology.ask(method, reply)

        return await persist(self._session, ask)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
