"""Waiting for what other tasks and processes do."""

import asyncio
from collections.abc import Callable

_INTERVAL = 0.01


async def until(is_so: Callable[[], bool]) -> None:
    """Look again and again; the test's own time limit ends it."""
    while not is_so():
        await asyncio.sleep(_INTERVAL)
