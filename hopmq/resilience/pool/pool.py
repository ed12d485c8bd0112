"""The pool as its users meet it."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Literal, Self

from hopmq.client.channel import Channel
from hopmq.client.connect_options import check_timeout
from hopmq.client.connection import Connection
from hopmq.client.consumer import Consumer
from hopmq.client.consuming import check_prefetch
from hopmq.client.handlers import Handler
from hopmq.client.health import DEFAULT_LIMITS, Health, HealthLimits, together
from hopmq.client.opening import Opening
from hopmq.client.publishing import OnDisconnect
from hopmq.client.subscription import Recognise
from hopmq.client.window import Window
from hopmq.entities import Queue, name_of
from hopmq.errors import ClosedError, PublishNotSentError, UsageError
from hopmq.resilience.backoff import Exponential
from hopmq.resilience.connect import connect
from hopmq.resilience.credentials import CredentialsProvider
from hopmq.resilience.policy import Recovery
from hopmq.resilience.pool.engine import Engine
from hopmq.resilience.pool.entries import ChannelSettings
from hopmq.resilience.pool.limits import PoolLimits
from hopmq.resilience.pool.loan import Loan
from hopmq.resilience.pool.naming import pool_name
from hopmq.resilience.pool.publishing import PooledPublishing
from hopmq.resilience.pool.side import Side
from hopmq.resilience.pool.statistics import PoolStatistics
from hopmq.resilience.pool.topology import PooledTopology
from hopmq.typedefs import FieldTable
from hopmq.url import DEFAULT_URL
from hopmq.wire.limits import DEFAULT_MAX_MESSAGE_SIZE

logger: logging.Logger = logging.getLogger("hopmq.pool")

PoolState = Literal["new", "open", "draining", "closed"]

_DEFAULT_RECOVERY: Final = Recovery()
_IN_ORDER: Final = 5.0
_AFTER_FAILURE: Final = 1.0
"""Seconds the broker has to agree to the end of a pool; and of one that was not opened, or whose time to
drain is up."""


class Pool(PooledPublishing, PooledTopology):
    """Connections and channels that nobody has to look after.

    `async with hopmq.Pool("amqp://localhost") as pool:` and then publish, consume and declare by
    the pool itself. Publishing and consuming have connections of their own, so that a broker that
    has stopped taking messages still gets its acks. A pool belongs to one event loop and may be
    used by any number of its tasks.
    """

    def __init__(
        self,
        urls: str | Sequence[str] = DEFAULT_URL,
        *,
        min_connections: int = 1,
        max_connections: int = 4,
        channels_per_connection: int = 100,
        shared_per_connection: int = 2,
        max_unconfirmed: int = 1000,
        max_unconfirmed_size: int = 16 * 1024 * 1024,
        acquire_timeout: float = 30.0,
        max_idle: float = 60.0,
        name: str | None = None,
        username: str | None = None,
        password: str | None = None,
        vhost: str | None = None,
        heartbeat: int | None = None,
        frame_max: int | None = None,
        channel_max: int | None = None,
        connect_timeout: float | None = None,
        request_timeout: float = 30.0,
        publish_timeout: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        auth_mechanisms: Sequence[str] | None = None,
        client_properties: FieldTable | None = None,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        max_unread_size: int = 64 * 1024 * 1024,
        recovery: Recovery | None = _DEFAULT_RECOVERY,
        on_disconnect: OnDisconnect = "wait",
        credentials: CredentialsProvider | None = None,
        stall_warning: float | None = None,
    ) -> None:
        """Describe a pool; nothing is connected yet.

        What is not explained here is as for `connect`, for each connection.

        Args:
            urls: One URL, or several, as for `connect`.
            min_connections: Connections for publishing that are kept although nobody publishes;
                and for consuming, as soon as something is consumed or declared.
            max_connections: Connections for publishing, at most, and as many for consuming.
            channels_per_connection: Channels of a connection, at most. `channel_max` is kept in
                any case.
            shared_per_connection: Channels of a connection, at most, that publishers share.
            max_unconfirmed: Messages that may be unconfirmed at once on each of these.
            max_unconfirmed_size: Bytes of bodies that may be unconfirmed at once on each of these.
            acquire_timeout: Seconds that a borrower, or a new consumer, waits for a channel.
            max_idle: Seconds after which channels and connections that nobody uses are closed.
            name: What the broker shows for the connections; which of them follows it.
            username: As for `connect`.
            password: As for `connect`.
            vhost: As for `connect`.
            heartbeat: As for `connect`.
            frame_max: As for `connect`.
            channel_max: As for `connect`.
            connect_timeout: As for `connect`.
            request_timeout: As for `connect`.
            publish_timeout: As for `connect`.
            ssl_context: As for `connect`.
            auth_mechanisms: As for `connect`.
            client_properties: As for `connect`.
            max_message_size: As for `connect`.
            max_unread_size: As for `connect`.
            recovery: As for `connect`; without one, a connection that has ended is replaced. Its
                `backoff` holds for connecting anew as well.
            on_disconnect: As for `connect`.
            credentials: As for `connect`.
            stall_warning: As for `connect`.

        Raises:
            UsageError: A value that cannot be meant.
        """
        PooledPublishing.__init__(self, publish_timeout)
        PooledTopology.__init__(self)
        check_timeout("acquire_timeout", acquire_timeout)
        check_timeout("publish_timeout", publish_timeout)
        self._limits = PoolLimits(
            min_connections=min_connections,
            max_connections=max_connections,
            channels_per_connection=channels_per_connection,
            shared_per_connection=shared_per_connection,
            max_idle=max_idle,
        )
        self._window = Window(messages=max_unconfirmed, size=max_unconfirmed_size)
        self._acquire_timeout = acquire_timeout
        self._state: PoolState = "new"
        self._opening = asyncio.Lock()
        self._closed = asyncio.Event()

        shown = pool_name(urls, name)

        def connecting(suffix: str) -> Opening[Connection]:
            return connect(
                urls,
                name=f"{shown} ({suffix})",
                username=username,
                password=password,
                vhost=vhost,
                heartbeat=heartbeat,
                frame_max=frame_max,
                channel_max=channel_max,
                connect_timeout=connect_timeout,
                request_timeout=request_timeout,
                publish_timeout=publish_timeout,
                ssl_context=ssl_context,
                auth_mechanisms=auth_mechanisms,
                client_properties=client_properties,
                max_message_size=max_message_size,
                max_unread_size=max_unread_size,
                recovery=recovery,
                on_disconnect=on_disconnect,
                credentials=credentials,
                stall_warning=stall_warning,
            )

        connecting("to check the options")  # which raises what is wrong with them
        self._backoff = Exponential() if recovery is None else recovery.backoff
        self._connect: Callable[[str], Awaitable[Connection]] = connecting

    def __repr__(self) -> str:
        """Show the state."""
        return f"<Pool {self._state}>"

    # --- what it is --------------------------------------------------------------------------

    @property
    def state(self) -> PoolState:
        """`new`, `open`, `draining` or `closed`."""
        return self._state

    def statistics(self) -> PoolStatistics:
        """Return what it is doing.

        Raises:
            UsageError: It was not opened yet.
        """
        return self._opened().statistics()

    def health(self, limits: HealthLimits = DEFAULT_LIMITS) -> Health:
        """Say how its connections are doing together: as `Connection.health`, of all of them."""
        if self._engine is None or self._state != "open":
            return together(self._state, False, [], limits)
        return self._engine.health(limits)

    # --- channels ----------------------------------------------------------------------------

    def channel(
        self,
        *,
        confirms: bool = True,
        prefetch: int = 100,
        consuming: bool = False,
        timeout: float | None = None,
    ) -> Loan:
        """Borrow a channel for a block: `async with pool.channel() as channel:`.

        It is nobody else's in the meantime: for transactions, for direct reply-to, or to keep
        messages in order. At the end of the block the pool has it back: do not keep it. Windows
        of such a channel are those of the pool's shared ones.

        Args:
            confirms: Whether publishes wait for the broker's confirm; False for transactions.
            prefetch: Unsettled messages each consumer may have; 0 is no bound.
            consuming: Whether it is one of the connections for consuming.
            timeout: Seconds to wait for it; the pool's `acquire_timeout` by default.

        Raises:
            PoolTimeoutError: No channel was to be had in time.
            ConnectionClosed: The pool is closed.
            ConnectError: There is no connection, and none can be had.
        """
        engine = self._opened()
        check_prefetch(prefetch)
        return Loan(
            engine.consuming if consuming else engine.publishing,
            ChannelSettings(confirms=confirms, prefetch=prefetch),
            self._patience(timeout),
            engine.loans,
        )

    def consume(
        self,
        queue: Queue | str,
        handler: Handler | None = None,
        *,
        prefetch: int = 100,
        concurrency: int = 1,
        no_ack: bool = False,
        exclusive: bool = False,
        priority: int | None = None,
        consumer_tag: str | None = None,
        recognise: Recognise | None = None,
        arguments: FieldTable | None = None,
        timeout: float | None = None,
    ) -> Opening[Consumer]:
        """Subscribe to a queue, on a channel of the consumer's own; see `Channel.consume`.

        The channel goes back to the pool when the consumer has ended and its messages are settled.

        Args:
            queue: What to read.
            handler: Called with each message; without one, iterate over the consumer.
            prefetch: Unsettled messages it may have; 0 is no bound.
            concurrency: How many messages a coroutine handler works on at once.
            no_ack: Take messages without settling them.
            exclusive: Refuse, and be refused, other consumers.
            priority: Consumers of higher priority are served first.
            consumer_tag: Its name.
            recognise: See `Channel.consume`.
            arguments: Any others.
            timeout: Seconds to wait for a channel; the pool's `acquire_timeout` by default.

        Raises:
            NotFoundError: The queue does not exist.
            AccessRefusedError: The user may not read it, or another consumer is exclusive.
            PoolTimeoutError: No channel was to be had in time.
            ConnectionClosed: The pool is closed, or draining.
        """
        engine = self._opened()
        check_prefetch(prefetch)
        patience = self._patience(timeout)
        if concurrency < 1:
            raise UsageError("concurrency is at least 1")

        def consume(channel: Channel) -> Awaitable[Consumer]:
            return channel.consume(
                queue,
                handler,
                concurrency=concurrency,
                no_ack=no_ack,
                exclusive=exclusive,
                priority=priority,
                consumer_tag=consumer_tag,
                recognise=recognise,
                arguments=arguments,
            )

        async def started() -> Consumer:
            home = self._home_of(name_of(queue))
            return await engine.consumers.start(prefetch, patience, home, consume)

        return Opening(started)

    # --- beginning and ending ------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, so that publishing can begin. `async with` does it; idempotent.

        Raises:
            ConnectError: The broker cannot be connected to.
            UsageError: The pool was closed.
        """
        async with self._opening:
            if self._state == "new":
                await self._open()
        if self._state != "open":
            raise UsageError("this pool was closed: make another one")

    async def drain(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109  # bounds several waits
        """Stop consumers, let handlers and borrowers finish, wait for confirms, and close.

        Handlers and borrowers may publish until the end. Idempotent.

        Args:
            timeout: Seconds for all of it; what is unfinished then is cut off.
        """
        if self._state == "open":
            self._state = "draining"
        patience = _IN_ORDER
        try:
            async with asyncio.timeout(timeout):
                if self._engine is not None and self._state == "draining":
                    await self._engine.finish()
        except TimeoutError:
            logger.warning("a pool's drain timed out after %g seconds", timeout)
            patience = _AFTER_FAILURE
        except ClosedError as error:
            logger.info("a connection ended while its pool was draining: %s", error)
        finally:
            await self.close(patience)

    async def close(self, timeout: float = _IN_ORDER) -> None:  # noqa: ASYNC109  # part of the contract
        """Close at once: publishes without a confirm end as unknown. Idempotent.

        Args:
            timeout: Seconds the broker has to agree; then the sockets are dropped.
        """
        self._state = "closed"
        try:
            if self._engine is not None:
                await self._engine.close(timeout)
        finally:
            self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until it is closed: connections that end are replaced, and end no pool."""
        await self._closed.wait()

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.open()
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

    async def _open(self) -> None:
        engine = Engine(self._limits, self._window, self._connect, self._backoff)
        engine.consuming.on_connection_end = self._connection_ended
        self._engine = engine
        try:
            await engine.open()
        except BaseException:
            await engine.close(_AFTER_FAILURE)
            raise
        if self._state == "new":
            self._state = "open"

    def _opened(self) -> Engine:
        if self._engine is None:
            raise UsageError("the pool is not open: use it within `async with pool:`")
        return self._engine

    def _patience(self, timeout: float | None) -> float:
        if timeout is None:
            return self._acquire_timeout
        check_timeout("timeout", timeout)
        return timeout

    def _check_publishing(self) -> Engine:
        engine = self._opened()
        if self._state == "closed":
            raise PublishNotSentError("not sent: the pool is closed")
        return engine

    def _consuming_side(self) -> Side:
        return self._opened().consuming

    async def _connected(self) -> None:
        # Borrowing has the errors and the time limit that this wait needs.
        async with self.channel(confirms=False, prefetch=0, consuming=True):
            pass
