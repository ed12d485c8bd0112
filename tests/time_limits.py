"""Time limits for the asynchronous tests of a folder: a hang is a failure that says where."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest


def limit(items: list[pytest.Item], folder: Path, seconds: float) -> None:
    """Bound every asynchronous test below `folder`."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and folder in item.path.parents
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _limited(item.obj, seconds)


def _limited(
    test: Callable[..., Awaitable[None]], seconds: float
) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def limited(**arguments: Any) -> None:  # Any: whatever the test asks for
        async with asyncio.timeout(seconds):
            await test(**arguments)

    return limited
