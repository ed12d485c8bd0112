"""The broker's only source of time, so that tests can turn it."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from hopmq.transport.timers import Timer, Timers

__all__ = ["Clock", "LoopClock", "Timer"]


class Clock(Timers, Protocol):
    """Two readings of one time, and calls when it has come.

    `time` is for spans (TTLs, timeouts, heartbeats): seconds that only ever grow. `wall` is for
    what is shown and stored (timestamps of messages and deaths).
    """

    def wall(self) -> float:
        """Return seconds since 1970, UTC."""
        ...


class LoopClock:
    """The time of an event loop and of the machine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Follow `loop`."""
        self._loop = loop

    def time(self) -> float:
        """Return the loop's monotonic time in seconds."""
        return self._loop.time()

    def wall(self) -> float:
        """Return the machine's time in seconds since 1970."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` once `time` has reached `when`."""
        return self._loop.call_at(when, callback)
