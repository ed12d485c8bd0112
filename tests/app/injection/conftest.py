"""What tests of injection share: a time limit, and handlers compiled."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

import pytest

from hopmq.app.injection import AppScope, Handler, compile_handler
from hopmq.app.serialization import Serialization

TIME_LIMIT = 10.0
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


class Compile(Protocol):
    """`compile_handler` with what is the same in most tests."""

    def __call__(self, function: Callable[..., Any], **options: Any) -> Handler:
        """Compile a handler."""


@pytest.fixture
def app_scope() -> AppScope:
    """Return a scope of an application, empty."""
    return AppScope()


@pytest.fixture
def compiled(app_scope: AppScope) -> Compile:
    """Return what compiles handlers."""

    def compile_(function: Callable[..., Any], **options: Any) -> Handler:
        given = {"name": "on_order", "serialization": Serialization(), "app_scope": app_scope}
        return compile_handler(function, **(given | options))

    return compile_
