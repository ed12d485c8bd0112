"""Context variables of one message at a time: what its handler sets is gone with it."""

from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from typing import Any

from hopmq.app.context import ConsumeContext

Call = Callable[[ConsumeContext], Awaitable[Any]]


def isolated(call: Call) -> Call:
    """Return what has each call done in a copy of the context, as a task of its own would have it.

    It costs much less than a task for each, and who asks for the current task, or cancels it, finds
    the worker as before.
    """
    return lambda context: _Isolated(call(context))


class _Isolated:
    """Something awaited step by step in a context of its own."""

    __slots__ = ("_awaited",)

    def __init__(self, awaited: Awaitable[Any]) -> None:
        """Await it in a copy of the context that this is awaited in."""
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        run = copy_context().run
        steps: Any = self._awaited.__await__()  # Any: a generator, as everything of asyncio's is
        resume, argument = steps.send, None
        while True:
            try:
                waited_for = run(resume, argument)
            except StopIteration as end:
                return end.value
            try:
                argument = yield waited_for
                resume = steps.send
            except GeneratorExit:
                run(steps.close)
                raise
            except BaseException as error:
                resume, argument = steps.throw, error
