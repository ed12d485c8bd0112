"""One side of a pool at work: it does what the sizing decides, and tells it what came of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import inf
from typing import Any, Final

from hopmq.client.channel import Channel
from hopmq.client.connection import Connection
from hopmq.errors import (
    ConnectionClosed,
    ConnectionLimitError,
    HopMQError,
    NoChannelAvailableError,
    PoolTimeoutError,
)
from hopmq.events import ConnectionEvent, Recovered, Recovering
from hopmq.resilience.backoff import Backoff
from hopmq.resilience.policy import is_refusal
from hopmq.resilience.pool.allowance import ChannelAllowance
from hopmq.resilience.pool.entries import (
    Action,
    ChannelSettings,
    ChannelStage,
    CloseChannel,
    Connect,
    ConnectionStage,
    Disconnect,
    Lend,
    OpenChannel,
)
from hopmq.resilience.pool.lease import Lease
from hopmq.resilience.pool.limits import PoolLimits
from hopmq.resilience.pool.scarcity import channel_limit, pool_closed, why_none
from hopmq.resilience.pool.sizing import Sizing
from hopmq.resilience.pool.statistics import SideStatistics

logger: logging.Logger = logging.getLogger("hopmq.pool")

_MAX_REFUSALS: Final = 3
"""Refusals in a row that end the wait for a connection; a link that is cut looks like one as well."""

_AFTER_GIVING_UP: Final = 60.0
"""Seconds to the next attempt where the back-off says that there is none."""

_CLOSED_IN_ORDER: Final = 200
_ENDING: Final = ("closing", "closed")


@dataclass(slots=True)
class _Counts:
    opened: int = 0
    lost: int = 0
    failed: int = 0
    timeouts: int = 0


class Side:
    """The connections of a pool for publishing, or those for consuming.

    Attributes:
        name: Which of both.
        last_failure: Why the last attempt to connect failed; None once one has succeeded.
        sizing: What decides.
        connections: Those that are open, by their number within the pool, oldest first.
        on_connection_end: Called with the number of a connection that has ended.
    """

    def __init__(
        self,
        name: str,
        limits: PoolLimits,
        allowance: ChannelAllowance,
        connect: Callable[[str], Awaitable[Connection]],
        open_channel: Callable[[Connection, ChannelSettings], Awaitable[Channel]],
        backoff: Backoff,
        *,
        spread: bool = False,
    ) -> None:
        """Be empty; nothing is connected before `begin` or `acquire`."""
        self.name: str = name
        self.sizing: Sizing = Sizing(limits, allowance, spread=spread)
        self.connections: dict[int, Connection] = {}
        self.last_failure: HopMQError | None = None
        self.on_connection_end: Callable[[int], None] = lambda _: None
        self._limits = limits
        self._allowance = allowance
        self._connect_to_broker = connect
        self._open_on = open_channel
        self._backoff = backoff
        self._loop = asyncio.get_running_loop()
        self._waiters: dict[int, asyncio.Future[Lease]] = {}
        self._channels: dict[int, Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._serial = count(1)
        self._failures = 0
        self._refusals = 0
        self._failing_since = 0.0
        self._counts = _Counts()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._is_closed = False

    # --- borrowing ---------------------------------------------------------------------------

    async def acquire(
        self,
        settings: ChannelSettings,
        timeout: float | None,  # noqa: ASYNC109  # named in the error
        *,
        connection: int | None = None,
    ) -> Lease:
        """Wait for a channel; whatever ends the wait, none is lost.

        Raises:
            PoolTimeoutError: There was none in time.
            ConnectionClosed: The pool is closed.
            ConnectError: There is no connection, and none can be had.
        """
        if self._is_closed:
            raise pool_closed()
        waiter: asyncio.Future[Lease] = self._loop.create_future()
        ticket = self.sizing.ask(settings, self._loop.time(), connection=connection)
        self._waiters[ticket] = waiter
        self._perform()
        if waiter.done():  # there was one to spare
            del self._waiters[ticket]
            return waiter.result()
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                return waiter.result()  # it came in the turn in which the time was up
            self._counts.timeouts += 1
            why = why_none(self.sizing.books, self._limits, self._allowance, self.last_failure)
            raise PoolTimeoutError(
                f"no channel for {self.name} within {timeout:g} seconds: {why}"
            ) from self.last_failure
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result(), clean=True)
            raise
        finally:
            del self._waiters[ticket]
            if waiter.cancelled():
                self.sizing.withdraw(ticket, self._loop.time())
                self._perform()

    def give_back(self, lease: Lease, *, clean: bool) -> None:
        """Return a channel; one that is not as it was lent is closed."""
        channel = lease.channel
        channel.on_return = channel.on_loss = channel.awaits_replies = None
        self.sizing.give_back(lease.number, self._loop.time(), clean=clean)
        self._perform()

    def begin(self) -> None:
        """Open the minimum of connections, and keep them."""
        self.sizing.begin(self._loop.time())
        self._perform()

    def could_grow(self, settings: ChannelSettings) -> bool:
        """Return whether one more channel could be had without anybody's loss."""
        return not self._is_closed and self.sizing.could_grow(settings, self._loop.time())

    # --- what it is --------------------------------------------------------------------------

    def statistics(self) -> SideStatistics:
        """Return what it is doing."""
        books = self.sizing.books
        return SideStatistics(
            connections=books.count(ConnectionStage.OPEN),
            connecting=books.count(ConnectionStage.CONNECTING),
            recovering=books.count(ConnectionStage.AWAY),
            lent=books.at(ChannelStage.LENT),
            idle=books.at(ChannelStage.IDLE),
            waiting=len(self._waiters),
            opened=self._counts.opened,
            lost=self._counts.lost,
            failed=self._counts.failed,
            timeouts=self._counts.timeouts,
        )

    @property
    def is_cut_off(self) -> bool:
        """Whether there is no connection because none could be had."""
        return not self.connections and self.last_failure is not None

    # --- ending ------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Lend nothing any more; whoever waits is told."""
        self._is_closed = True
        for ticket in self.sizing.stop():
            self._fail(ticket, pool_closed())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  # passed on
        """Close every connection and end every task."""
        self.refuse()
        connections = list(self.connections.values())
        try:
            await asyncio.gather(*(connection.close(timeout) for connection in connections))
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    # --- actions -----------------------------------------------------------------------------

    def _perform(self) -> None:
        """Do what the sizing wants done."""
        sizing = self.sizing
        while sizing.actions:
            actions, sizing.actions = sizing.actions, []
            for action in actions:
                self._do(action)
        self._arm()

    def _do(self, action: Action) -> None:
        match action:
            case Lend(ticket, channel):
                self._lend(ticket, channel)
            case Connect(connection):
                self._start(self._connect(connection), f"connection {connection}")
            case OpenChannel(channel, connection, settings):
                opening = self._open(channel, connection, self.connections[connection], settings)
                self._start(opening, f"channel {channel}")
            case CloseChannel(channel):
                closing = self._close_channel(channel, self._channels.pop(channel))
                self._start(closing, f"end of channel {channel}")
            case Disconnect(connection):
                self._start(self.connections[connection].close(), f"end of {connection}")

    def _start(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = self._loop.create_task(work, name=f"hopmq pool, {self.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lend(self, ticket: int, number: int) -> None:
        entry = self.sizing.books.channels[number]
        lease = Lease(
            number=number,
            connection=entry.connection,
            channel=self._channels[number],
            settings=entry.settings,
        )
        waiter = self._waiters.get(ticket)
        now = self._loop.time()
        if waiter is None or waiter.done():  # it was cancelled in this very turn
            self.sizing.give_back(number, now, clean=lease.channel.is_open)
        elif not lease.channel.is_open:
            self.sizing.was_dead(number, now)
        else:
            waiter.set_result(lease)

    async def _connect(self, number: int) -> None:
        """Open a connection and stay with it until its end."""
        try:
            connection = await self._connect_to_broker(f"{self.name} {next(self._serial)}")
        except HopMQError as error:
            self._not_connected(number, error)
            return
        if self._is_closed:
            await connection.close()
            return
        self.last_failure = None
        self._failures = self._refusals = 0
        self._counts.opened += 1
        self.connections[number] = connection
        # One number is left for the channel on which the connection declares and binds.
        capacity = max(1, connection.channel_max - 1)
        self.sizing.connected(number, capacity, self._loop.time())
        connection.add_listener(partial(self._on_event, number))
        self._perform()
        ended = await connection.wait_closed()
        if ended.by_peer or ended.reply_code != _CLOSED_IN_ORDER:
            self._counts.lost += 1
            logger.warning("%s: lost connection %s: %s", self.name, connection.name, ended)
        self._disconnected(number)

    def _on_event(self, number: int, event: ConnectionEvent) -> None:
        """Lend no channel of a connection that seeks another link."""
        if isinstance(event, Recovering):
            self.sizing.recovering(number, self._loop.time())
            self._perform()
        elif isinstance(event, Recovered):
            self.sizing.recovered(number, self._loop.time())
            self._perform()

    def _not_connected(self, number: int, error: HopMQError) -> None:
        now = self._loop.time()
        is_first = not self._failures
        if is_first:
            self._failing_since = now
        delay = self._backoff.delay(self._failures, now - self._failing_since)
        was_never_connected = not self._counts.opened
        self.last_failure = error
        self._failures += 1
        self._counts.failed += 1
        self._refusals = self._refusals + 1 if is_refusal(error) else 0
        is_hopeless = self._refusals >= _MAX_REFUSALS or isinstance(error, ConnectionLimitError)
        gives_up = not self.connections and (was_never_connected or is_hopeless)
        refused = self.sizing.refuse_all() if gives_up else []
        for ticket in refused:
            self._fail(ticket, error)
        if is_first:
            level = logging.INFO if refused else logging.WARNING  # those who wait get the error
            logger.log(level, "%s: cannot connect: %s", self.name, error)
        retry_at = now + (_AFTER_GIVING_UP if delay is None else delay)
        self.sizing.not_connected(number, retry_at, now)
        self._perform()

    def _disconnected(self, number: int) -> None:
        if self.connections.pop(number, None) is None:
            return
        self.sizing.disconnected(number, self._loop.time())
        self._channels = {
            channel: self._channels[channel]
            for channel in self.sizing.books.channels
            if channel in self._channels
        }
        self.on_connection_end(number)
        self._perform()

    async def _open(
        self, number: int, of: int, connection: Connection, settings: ChannelSettings
    ) -> None:
        try:
            channel = await self._open_on(connection, settings)
        except HopMQError as error:
            self._not_opened(number, of, error)
            return
        if number not in self.sizing.books.channels:  # its connection has ended in this turn
            return
        self._channels[number] = channel
        self.sizing.opened(number, self._loop.time())
        self._perform()

    def _not_opened(self, number: int, connection: int, error: HopMQError) -> None:
        """Pass a refusal on to whom it concerns; a lost connection is no reason to give up."""
        now = self._loop.time()
        limit = channel_limit(error)
        known = self.connections.get(connection)
        has_ended = known is None or known.state in _ENDING
        if has_ended and limit is None:
            self._disconnected(connection)
            return
        if limit is not None:
            self._allowance.limit = max(1, min(limit, self._allowance.used - 1))
        if isinstance(error, NoChannelAvailableError):
            refused = self.sizing.no_number_free(number, now)
        else:
            was_lost = isinstance(error, ConnectionClosed) and limit is None
            refused = self.sizing.not_opened(number, now, again=was_lost)
            refused = None if was_lost else refused
        if refused is not None:
            self._fail(refused.ticket, error)
        self._perform()
        if has_ended:
            self._disconnected(connection)

    async def _close_channel(self, number: int, channel: Channel) -> None:
        try:
            await channel.close()
        except HopMQError as error:
            logger.info("%s: %r was not closed in order: %s", self.name, channel, error)
        self.sizing.closed(number, self._loop.time())
        self._perform()

    # --- inside ------------------------------------------------------------------------------

    def _fail(self, ticket: int, error: HopMQError) -> None:
        waiter = self._waiters.get(ticket)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _arm(self) -> None:
        """Have a timer in time; one that comes early does nothing but set the next."""
        deadline = inf if self._is_closed else self.sizing.next_deadline()
        if deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._on_time)

    def _on_time(self) -> None:
        # The loop may call a timer slightly early.
        now = max(self._loop.time(), self._timer_at)
        self._timer, self._timer_at = None, inf
        self.sizing.handle_time(now)
        self._perform()
