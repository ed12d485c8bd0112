"""What tests of injection share: handlers compiled."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from hopmq.app.injection import AppScope, Handler, compile_handler
from hopmq.app.serialization import Serialization


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
