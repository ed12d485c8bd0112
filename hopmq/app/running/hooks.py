"""What is around the consumers of one run: the lifespan and the hooks, entered and left in order."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any

from hopmq.app.declared import Declared, Hook

logger: logging.Logger = logging.getLogger("hopmq.app")


class Hooks:
    """Calls what is to be called at the start, and at the end of that what the start has come to.

    The application, and each router that it includes, is a step of its own: once the first startup
    hook of one is called, its shutdown hooks are to be called as well.
    """

    def __init__(self, declared: Declared) -> None:
        """Have called nothing yet."""
        self._declared = declared
        self._begun: list[Declared] = []
        self._lifespan = AsyncExitStack()

    async def enter(self, lifespan: AbstractAsyncContextManager[None] | None) -> None:
        """Enter the lifespan, then call the startup hooks, in the order of declaration."""
        if lifespan is not None:
            await self._lifespan.enter_async_context(lifespan)
        for step in self._declared.steps():
            self._begun.append(step)
            for hook in step.startup:
                await _call(hook)

    def leaving(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what is to be called to leave what was entered, the last first."""
        hooks = [hook for step in reversed(self._begun) for hook in reversed(step.shutdown)]
        return [*(partial(_call_last, hook) for hook in hooks), self._lifespan.aclose]


async def _call(hook: Hook) -> None:
    outcome: Any = hook()
    if inspect.isawaitable(outcome):
        await outcome


async def _call_last(hook: Hook) -> None:
    try:
        await _call(hook)
    except Exception:  # the hook is the user's: the others are called all the same
        logger.exception("shutdown hook %r failed", hook)
