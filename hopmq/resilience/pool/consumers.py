"""The consumers of a pool, each on a channel of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hopmq.client.channel import Channel
from hopmq.client.consumer import Consumer
from hopmq.errors import HopMQError, connection_closed
from hopmq.resilience.pool.entries import ChannelSettings
from hopmq.resilience.pool.lease import Lease
from hopmq.resilience.pool.side import Side

_LOOK_AGAIN: Final = (0.05, 1.0)
"""Seconds until it is looked again whether a consumer's messages are settled: at first, at most."""


class Consumers:
    """Starts consumers, and takes their channels back when they have ended."""

    def __init__(self, side: Side) -> None:
        """Have none; their channels come from `side`."""
        self._side = side
        self._consumers: dict[Consumer, asyncio.Task[None]] = {}
        self._is_finishing = False

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._consumers)

    async def start(
        self,
        prefetch: int,
        timeout: float,  # noqa: ASYNC109  # passed on
        connection: int | None,
        consume: Callable[[Channel], Awaitable[Consumer]],
    ) -> Consumer:
        """Return what `consume` has started, on a channel of its own."""
        self._check()
        settings = ChannelSettings(confirms=False, prefetch=prefetch)
        lease = await self._side.acquire(settings, timeout, connection=connection)
        try:
            self._check()
            consumer = await consume(lease.channel)
        except BaseException:
            self._side.give_back(lease, clean=lease.is_unchanged())
            raise
        watching = asyncio.create_task(self._watch(consumer, lease))
        self._consumers[consumer] = watching
        watching.add_done_callback(lambda _: self._consumers.pop(consumer, None))
        return consumer

    async def finish(self) -> None:
        """Start no more, stop all, let handlers finish, and wait until messages are settled."""
        self._is_finishing = True
        await asyncio.gather(*(consumer.cancel() for consumer in list(self._consumers)))
        await asyncio.gather(*(asyncio.shield(task) for task in self._consumers.values()))

    async def close(self) -> None:
        """End what goes on in the background."""
        watching = list(self._consumers.values())
        for task in watching:
            task.cancel()
        if watching:
            await asyncio.wait(watching)

    def _check(self) -> None:
        if self._is_finishing:
            raise connection_closed(200, "the pool is draining", by_peer=False)

    async def _watch(self, consumer: Consumer, lease: Lease) -> None:
        """Give the channel back once nobody can want to settle anything on it any more."""
        clean = False
        try:
            try:
                await consumer.wait_closed()
            except HopMQError:
                pass  # its reader is told
            await consumer.cancel()  # which waits for its handlers
            pause, longest = _LOOK_AGAIN
            while lease.has_unsettled():
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
            clean = lease.is_unchanged()
        finally:
            self._side.give_back(lease, clean=clean)
