"""Handlers that begin at a bounded rate."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeVar

from hopmq.app.clock import Clock, sleep
from hopmq.app.context import ConsumeContext, PublishContext
from hopmq.app.middleware.ticking import Ticking
from hopmq.errors import UsageError

C = TypeVar("C", ConsumeContext, PublishContext)


class RateLimit(Ticking):
    """Let no more than so many messages pass in a time; the others wait, in their order.

    A bucket of tokens that fills at the rate: `burst` messages pass at once after a pause. What
    waits is bounded by the consumer's prefetch and concurrency. One object has one bucket: given
    to several consumers, it bounds them together, within this process. Around publishing it
    works as well.
    """

    def __init__(
        self, messages: float, *, per: float = 1.0, burst: int = 1, clock: Clock | None = None
    ) -> None:
        """Start with a full bucket.

        Args:
            messages: How many pass.
            per: In how many seconds.
            burst: How many pass at once when none have for a while.
            clock: Where time comes from; the application's by default.

        Raises:
            UsageError: Nothing would pass.
        """
        if not (messages > 0 and per > 0 and burst >= 1):
            raise UsageError("a rate is of more than 0 messages in more than 0 seconds, burst >= 1")
        super().__init__(clock)
        self._interval = per / messages
        self._ahead = (burst - 1) * self._interval
        self._next = -inf
        self._counted_by: Clock | None = None

    async def __call__(self, context: C, call_next: Callable[[C], Awaitable[Any]], /) -> Any:
        """Go on when it is this message's turn."""
        clock = self.clock_of(context.app)
        if clock is not self._counted_by:
            self._counted_by, self._next = clock, -inf
        now = clock.time()
        # Each message has a place in time, an interval behind the one before; it may pass ahead
        # of its place by what the bucket holds.
        place = max(self._next, now)
        self._next = place + self._interval
        wait = place - self._ahead - now
        if wait > 0:
            await sleep(clock, wait)
        return await call_next(context)
