"""Wait for what only the broker's own time brings about: expiry, timeouts, clean-up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

INTERVAL = 0.01
"""Seconds between two looks."""

WITHIN = 10.0
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
