"""Blocks that end in time, by an application's clock."""

import asyncio
from types import TracebackType
from typing import Self

from hopmq.app.clock import Clock, Timer


class Deadline:
    """A block that is cut off: `async with Deadline(clock, when):`.

    As `asyncio.timeout_at`, whose rules for cancellation hold, but by `clock`: what is awaited in
    the block is cancelled at `when`, and the block raises `TimeoutError`.
    """

    __slots__ = ("_clock", "_timeout", "_timer", "_when")

    def __init__(self, clock: Clock, when: float) -> None:
        """End at `when`, in the seconds of `clock.time`; a time that has passed is now."""
        self._clock = clock
        self._when = when
        self._timeout: asyncio.Timeout = asyncio.timeout(None)
        self._timer: Timer | None = None

    @property
    def is_over(self) -> bool:
        """Whether the block was cut off."""
        return self._timeout.expired()

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._timeout.__aenter__()
        self._timer = self._clock.call_at(self._when, self._cut_off)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise TimeoutError if it was cut off."""
        assert self._timer is not None
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def _cut_off(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time())
