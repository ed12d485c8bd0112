"""Handlers: the functions of a program that messages are given to."""

import inspect
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import TypeAlias

from hopmq.client.message import Message
from hopmq.errors import UsageError

Handler: TypeAlias = Callable[[Message], Awaitable[None] | None]
"""Called with each message; a coroutine function, or a plain one that must not block."""


def is_coroutine_function(handler: object) -> bool:
    """Return whether calling `handler`, a function or an object, makes a coroutine."""
    call = getattr(handler, "__call__", None)  # noqa: B004  # not whether, but what is called
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def refuse_coroutine(outcome: object) -> None:
    """Raise for a plain handler, such as a lambda, that made a coroutine nobody would run."""
    if isinstance(outcome, CoroutineType):
        outcome.close()
        raise UsageError("the handler returned a coroutine; pass the coroutine function itself")
