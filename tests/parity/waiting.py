"""Wait for what only the broker's own time brings about: expiry, timeouts, clean-up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from parity.closed import Closed

P = TypeVar("P")
T = TypeVar("T")

INTERVAL = 0.01
"""Seconds between two looks."""

WITHIN = 20.0
"""Seconds after which the broker is taken not to do it."""


async def eventually(look: Callable[[], Awaitable[Any]], *, within: float = WITHIN) -> Any:
    """Ask again and again until the answer is true; return it.

    The one place where tests wait for a broker's clock, so that a broker whose clock can be
    turned needs no waiting.
    """
    async with asyncio.timeout(within):
        while not (answer := await look()):
            await pass_time(INTERVAL)
    return answer


async def pass_time(seconds: float) -> None:
    """Let the broker's clock go on, to show that something does NOT happen within that time."""
    await asyncio.sleep(seconds)


async def in_time(
    seconds: float, prepare: Callable[[], Awaitable[P]], attempt: Callable[[P], Awaitable[T]]
) -> T:
    """Prepare and attempt something until an attempt takes less than so long; return its result.

    What is to come before a broker's time is up, a loaded machine may be late for. Then nothing
    that came of it counts, not even that it failed.
    """
    clock = asyncio.get_running_loop().time
    while True:
        prepared = await prepare()
        begin = clock()
        try:
            result = await attempt(prepared)
        except (AssertionError, Closed):
            if clock() - begin < seconds:
                raise
        else:
            if clock() - begin < seconds:
                return result
