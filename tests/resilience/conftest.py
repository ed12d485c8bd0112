"""What these tests share: a time limit, and each event loop in turn."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from flavours import Flavour, flavours

TIME_LIMIT = 20.0
"""Seconds for one test; a loaded machine included."""

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every asynchronous test of this folder."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and _HERE in item.path.parents
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _bounded(item.obj)


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def bounded(**arguments: Any) -> None:  # Any: whatever the test asks for
        async with asyncio.timeout(TIME_LIMIT):
            await test(**arguments)

    return bounded


@pytest.fixture(
    scope="session",
    params=[each for each in flavours() if each.codec.name == flavours()[-1].codec.name],
    ids=str,
)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return each event loop with the codec that users have: nothing here depends on it."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend
