"""Connections as users meet them."""

import asyncio
import logging
from types import TracebackType
from typing import Any, Self, TypeVar

from pamqp.base import Frame
from pamqp.commands import Connection as ConnectionMethods

from hopmq.client.channel import Channel, OnReturn, check_prefetch
from hopmq.client.connect_options import check_timeout
from hopmq.client.opening import Opening
from hopmq.client.publishing import Window
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel, TopologyOperations
from hopmq.core.states import ConnectionState
from hopmq.errors import ClosedError, ConnectionClosed
from hopmq.typedefs import FieldTable
from hopmq.wire import new_method

logger: logging.Logger = logging.getLogger("hopmq.connection")

R = TypeVar("R")


class Connection(TopologyOperations):
    """An open connection to a broker, made by `hopmq.connect`.

    It may be shared by any number of tasks of one event loop.
    """

    def __init__(self, session: Session, name: str, publish_timeout: float) -> None:
        """Wrap a session whose handshake is complete."""
        self._session = session
        self._core = session.core
        self._topology = TopologyChannel(session.open_channel, session.wait)
        self._publish_timeout = publish_timeout
        self.name: str = name

    def __repr__(self) -> str:
        """Show name, peer and state."""
        return f"<Connection {self._session.label} {self.state}>"

    # --- what it is --------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """`open`, `blocked`, `closing` or `closed`."""
        if self.is_blocked:
            return "blocked"
        return self._core.state.value

    @property
    def is_open(self) -> bool:
        """Whether it can be used; also while blocked."""
        return self._core.state is ConnectionState.OPEN

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes no publishes because of an alarm; they are held here."""
        return self._session.blocked is not None

    @property
    def server_properties(self) -> FieldTable:
        """What the broker says of itself."""
        properties: FieldTable = getattr(self._core.handshake, "server_properties", {})
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

    # --- channels ----------------------------------------------------------------------------

    def channel(
        self,
        *,
        prefetch: int = 100,
        confirms: bool = True,
        max_unconfirmed: int = 1000,
        max_unconfirmed_size: int = 64 * 1024 * 1024,
        publish_timeout: float | None = None,
        on_return: OnReturn | None = None,
    ) -> Opening[Channel]:
        """Open a channel: `await` it, or use it as `async with`.

        Args:
            prefetch: Unsettled messages each consumer may have; 0 is no bound.
            confirms: Whether publishes wait for the broker's confirm.
            max_unconfirmed: Messages that may be unconfirmed at once; publishing waits beyond.
            max_unconfirmed_size: Bytes of bodies that may be unconfirmed at once.
            publish_timeout: Seconds a publish may take; the connection's by default.
            on_return: Called with each mandatory message that comes back.

        Raises:
            UsageError: A bound that cannot be meant.
            NoChannelAvailableError: All `channel_max` channels are in use.
            ConnectionClosed: The connection has ended.
        """
        check_prefetch(prefetch)
        if publish_timeout is not None:
            check_timeout("publish_timeout", publish_timeout)
        window = Window(messages=max_unconfirmed, size=max_unconfirmed_size)
        timeout = self._publish_timeout if publish_timeout is None else publish_timeout

        async def opened() -> Channel:
            core = await self._session.open_channel()
            channel = Channel(
                self._session, core, self._topology, window=window, publish_timeout=timeout
            )
            channel.on_return = on_return
            await channel.start(confirms, prefetch)
            return channel

        return Opening(opened)

    async def update_secret(self, secret: str, reason: str = "refresh") -> None:
        """Give the broker a fresh password or token (RabbitMQ, connection.update-secret)."""
        waiter: asyncio.Future[Any] = self._session.loop.create_future()
        method = new_method(ConnectionMethods.UpdateSecret, new_secret=secret, reason=reason)
        self._core.request(waiter, method, ConnectionMethods.UpdateSecretOk)
        await self._session.wait(waiter, "Connection.UpdateSecret")

    # --- ending ------------------------------------------------------------------------------

    async def wait_closed(self) -> ConnectionClosed:
        """Wait until the connection has ended; return why."""
        return await asyncio.shield(self._session.ended)

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  # part of the contract
        """Close at once: publishes without a confirm end as unknown. Idempotent.

        Args:
            timeout: Seconds the broker has to agree; then the socket is dropped.
        """
        link = self._session.link
        link.close()
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
                channels = [
                    listener
                    for listener in self._session.listeners()
                    if isinstance(listener, Channel)
                ]
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

    async def _ask_topology(self, method: Frame, reply: type[R]) -> R:
        self._core.check_open()
        return await self._topology.ask(method, reply)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
