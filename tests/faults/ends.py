"""Both ends of one connection, and what must hold of them after every fault."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

import hopmq
from hopmq.core.channel import ChannelCore
from scripted.gate import Gate
from scripted.peer import Peer
from scripted.server import ScriptedServer

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a step may take, on a loaded machine, which needs no time at all."""


@dataclass(slots=True)
class Ends:
    """A client's connection with an open channel, and the server's end of it."""

    server: ScriptedServer
    connection: hopmq.Connection
    channel: hopmq.Channel
    peer: Peer

    @property
    def gate(self) -> Gate:
        """What the server's frames pass."""
        return self.server.gate

    @property
    def core(self) -> ChannelCore:
        """The client's state of the channel."""
        return self.channel._core

    async def check_in_step(self) -> None:
        """Use connection and channel in every way, and find no trace of what was before."""
        channel = self.channel
        assert (await soon(self.connection.declare_queue("in-step"))).name == "in-step"
        assert (await soon(channel.publish(b"in step", routing_key="q"))).confirmed
        assert await soon(channel.get("in-step")) is None
        await soon(channel.set_prefetch(7))
        consumer = await soon(channel.consume("in-step"))
        assert consumer.is_active
        await soon(consumer.cancel())
        another = await soon(self.connection.channel())
        await soon(another.close())
        self.check_nothing_pending()

    def check_nothing_pending(self) -> None:
        """Find no slot, consumer, publish or channel that nobody will ever ask for."""
        core = self.connection._core
        assert not self.core.consumers
        assert not self.channel._consumers
        assert self.channel.unconfirmed == 0
        assert [len(each.replies) for each in core.channels.values()] == [0] * len(core.channels)
        assert len(core.replies) == 0
        mine = {self.channel.number}
        topology = self.connection._topology._channel
        assert set(core.channels) <= mine | ({topology.channel_id} if topology else set())


@asynccontextmanager
async def connected(server: ScriptedServer, **options: Any) -> AsyncIterator[Ends]:
    """Connect and open a channel; drop both at the end."""
    connection, peer = await soon(server.connect(**options))
    try:
        channel = await soon(connection.channel())
        yield Ends(server, connection, channel, peer)
    finally:
        connection._session.link.abort()
        await soon(connection.wait_closed())


async def soon(awaitable: Awaitable[T]) -> T:
    """Await something that needs no time."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def start(awaitable: Awaitable[T]) -> asyncio.Task[T]:
    """Run something beside the test."""
    if isinstance(awaitable, Coroutine):
        return asyncio.create_task(awaitable)

    async def run() -> T:
        return await awaitable

    return asyncio.create_task(run())


async def turns(count: int = 5) -> None:
    """Let everything happen that needs no input."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see that it ends as cancelled."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert task.cancelled()
