"""An open pool from the inside: both sides, and what goes on beside its users' calls."""

import asyncio
from collections.abc import Awaitable, Callable

from hopmq.client.channel import Channel
from hopmq.client.connection import Connection
from hopmq.client.health import Health, HealthLimits, together
from hopmq.client.window import Window
from hopmq.resilience.backoff import Backoff
from hopmq.resilience.pool.allowance import ChannelAllowance
from hopmq.resilience.pool.consumers import Consumers
from hopmq.resilience.pool.entries import ChannelSettings
from hopmq.resilience.pool.isolation import Isolation
from hopmq.resilience.pool.limits import PoolLimits
from hopmq.resilience.pool.loan import Loans
from hopmq.resilience.pool.shared import SharedChannels
from hopmq.resilience.pool.side import Side
from hopmq.resilience.pool.statistics import PoolStatistics


class Engine:
    """What a pool has from `open` to `close`.

    Attributes:
        publishing, consuming: Its two sides.
        isolation: Which messages go by channels of their own.
        shared: The channels of all publishers.
        isolated: The channel of messages for which the broker might close it.
        consumers: The consumers.
        loans: The channels that are borrowed.
    """

    def __init__(
        self,
        limits: PoolLimits,
        window: Window,
        connect: Callable[[str], Awaitable[Connection]],
        backoff: Backoff,
    ) -> None:
        """Be ready to connect by `connect`, and again after the delays of `backoff`."""

        async def open_channel(connection: Connection, settings: ChannelSettings) -> Channel:
            return await connection.channel(
                confirms=settings.confirms,
                prefetch=settings.prefetch,
                max_unconfirmed=window.messages,
                max_unconfirmed_size=window.size,
            )

        allowance = ChannelAllowance()
        self.publishing: Side = Side(
            "publishing", limits, allowance, connect, open_channel, backoff
        )
        self.consuming: Side = Side(
            "consuming", limits, allowance, connect, open_channel, backoff, spread=True
        )
        self.isolation: Isolation = Isolation()
        self.shared: SharedChannels = SharedChannels(
            self.publishing,
            ChannelSettings(confirms=True, shared=True),
            self.isolation.forget,
            keep=min(1, limits.min_connections),
        )
        self.isolated: SharedChannels = SharedChannels(
            self.publishing, ChannelSettings(confirms=True), keep=0, grows=False
        )
        self.consumers: Consumers = Consumers(self.consuming)
        self.loans: Loans = Loans()
        self._is_lazy = limits.min_connections == 0
        self._max_idle = limits.max_idle
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self.publishing.on_connection_end = lambda _: self.shared.tend()

    def statistics(self) -> PoolStatistics:
        """Return what it is doing."""
        return PoolStatistics(
            publishing=self.publishing.statistics(),
            consuming=self.consuming.statistics(),
            shared=len(self.shared) + len(self.isolated),
            unconfirmed=self.shared.unconfirmed + self.isolated.unconfirmed,
            borrowed=len(self.loans),
            consumers=len(self.consumers),
        )

    def health(self, limits: HealthLimits) -> Health:
        """Say how its connections are doing, together."""
        sides = (self.publishing, self.consuming)
        parts = [each.health(limits) for side in sides for each in side.connections.values()]
        is_whole = not any(side.is_cut_off for side in sides)
        is_well = is_whole and all(part.connected for part in parts)
        return together("open" if is_well else "recovering", is_whole, parts, limits)

    async def open(self) -> None:
        """Connect, so that publishing can begin.

        Raises:
            HopMQError: That did not come about.
        """
        self._timer = self._loop.call_later(self._max_idle, self._look_for_idle)
        if not self._is_lazy:
            self.publishing.begin()
            await self.shared.first()

    async def finish(self) -> None:
        """Let consumers, borrowers and publishers come to their end."""
        # Handlers may publish and borrow, borrowers may publish: one after the other.
        await self.consumers.finish()
        await self.loans.finish()
        await self.shared.wait_for_confirms()
        await self.isolated.wait_for_confirms()

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  # passed on
        """Close all connections and end what goes on in the background; idempotent."""
        self.publishing.refuse()
        self.consuming.refuse()
        if self._timer is not None:
            self._timer.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(timeout))
        # It goes on although one of those who wait for it is cancelled.
        await asyncio.shield(self._closing)

    async def _close(self, timeout: float) -> None:  # noqa: ASYNC109  # passed on
        await asyncio.gather(self.publishing.close(timeout), self.consuming.close(timeout))
        await self.consumers.close()
        await self.shared.close()
        await self.isolated.close()

    def _look_for_idle(self) -> None:
        self.shared.shrink()
        self.isolated.shrink()
        self._timer = self._loop.call_later(self._max_idle, self._look_for_idle)
