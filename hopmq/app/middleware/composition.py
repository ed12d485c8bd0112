"""One function of several middleware and what they stand around."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from hopmq.app.context import CallNext, Middleware

C = TypeVar("C")


def compose(
    middlewares: Sequence[Middleware[C]], final: Callable[[C], Awaitable[Any]]
) -> Callable[[C], Awaitable[Any]]:
    """Return what passes a context through each middleware, the first outermost, to `final`.

    Without middleware that is `final` itself.
    """
    call = final
    for middleware in reversed(middlewares):
        call = _around(middleware, call)
    return call


def _around(middleware: Middleware[C], call_next: CallNext[C]) -> CallNext[C]:
    def call(context: C) -> Awaitable[Any]:
        return middleware(context, call_next)

    return call
