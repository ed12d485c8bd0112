"""Connections that come back at once, and links that a test ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hopmq
from hopmq import Channel, Connection, Recovery
from hopmq.client.opening import Opening
from hopmq.resilience import Constant
from hopmq.testing import FaultProxy

PATIENCE = 30.0
"""Seconds that a step may take on a loaded machine which needs next to no time."""

QUICK = Recovery(backoff=Constant(0.01), entity_backoff=Constant(0.01))
"""Comes back at once."""


# Any: the keywords of hopmq.connect, which checks them.
def quick(url: str, **options: Any) -> Opening[Connection]:
    """Connect, with recovery at once."""
    usual = {"name": "quick", "recovery": QUICK, "connect_timeout": 5.0, "request_timeout": 8.0}
    return hopmq.connect(url, **{**usual, **options})


@contextmanager
def hurried(connection: Connection, seconds: float) -> Iterator[None]:
    """Let requests wait no longer than that, in a block: nothing else there may need an answer."""
    session = connection._session
    usual = session.request_timeout
    session.request_timeout = seconds
    try:
        yield
    finally:
        session.request_timeout = usual


async def lose(connection: Connection, proxy: FaultProxy, *, reset: bool = True) -> None:
    """End the link, and wait until the client knows."""
    proxy.disconnect(reset=reset)
    await connection.wait_for("recovering", timeout=PATIENCE)


async def back(connection: Connection) -> None:
    """Wait until all is restored."""
    await connection.wait_for("open", timeout=PATIENCE)


async def bounce(connection: Connection, proxy: FaultProxy, *, reset: bool = True) -> None:
    """End the link, and wait until the connection is back."""
    await lose(connection, proxy, reset=reset)
    await back(connection)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what only shows in a state of the client's."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.002)


async def becomes(expected: object, ask: Callable[[], Awaitable[object]]) -> None:
    """Ask the broker until it gives that answer."""
    async with asyncio.timeout(PATIENCE):
        while await ask() != expected:
            await asyncio.sleep(0.01)


async def consumers_of(channel: Channel, queue: str) -> int:
    """Return how many consumers the broker knows of."""
    return (await channel.declare_queue(queue, passive=True)).consumer_count


async def drained(channel: Channel, queue: str) -> list[bytes]:
    """Take all that is ready in a queue."""
    bodies = []
    while (message := await channel.get(queue, no_ack=True)) is not None:
        bodies.append(message.body)
    return bodies
