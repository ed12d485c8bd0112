"""Handlers that are given a time."""

from collections.abc import Awaitable, Callable
from typing import Any

from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext
from hopmq.app.deadline import Deadline
from hopmq.app.middleware.ticking import Ticking
from hopmq.errors import UsageError


class Timeout(Ticking):
    """Cancel a handler that takes too long; it counts as failed, by `TimeoutError`.

    A plain function in a thread cannot be cancelled: it is waited for, and has failed then, so that no
    two attempts run at once. So has a coroutine that holds out against cancellation.
    """

    def __init__(self, seconds: float, *, clock: Clock | None = None) -> None:
        """Describe it.

        Args:
            seconds: What a handler has, with the middleware that stand within this one.
            clock: Where time comes from; the application's by default.

        Raises:
            UsageError: There is no time at all.
        """
        if not seconds > 0:
            raise UsageError(f"a timeout is a number of seconds above 0, not {seconds!r}")
        super().__init__(clock)
        self._seconds = seconds

    async def __call__(
        self, context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]], /
    ) -> Any:
        """Handle within the time."""
        clock = self.clock_of(context.app)
        limit = Deadline(clock, clock.time() + self._seconds)
        try:
            async with limit:
                return await call_next(context)
        except TimeoutError as error:
            if not limit.is_over:
                raise  # the handler's own
            raise TimeoutError(
                f"the handler of {context.consumer.name!r} took more than {self._seconds:g} seconds"
            ) from error
