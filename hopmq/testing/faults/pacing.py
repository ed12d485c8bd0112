"""When bytes go on their way: later, slower, or in pieces."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hopmq.broker.clock import Clock

_SLICE: Final = 0.05
"""Seconds between two pieces of a throttled stream, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How bytes travel.

    Attributes:
        delay: Seconds on their way.
        rate: Bytes per second; None for as fast as they come.
        size: Bytes that travel together at most, each piece in a turn of the loop of its own.
    """

    delay: float = 0.0
    rate: float | None = None
    size: int | None = None

    def joined(self, other: "Pace") -> "Pace":
        """Return the pace of a way that has both."""
        return Pace(
            delay=self.delay + other.delay,
            rate=min(filter(None, (self.rate, other.rate)), default=None),
            size=min(filter(None, (self.size, other.size)), default=None),
        )


class Pacer:
    """Pass bytes on in order, each when it is due."""

    def __init__(
        self, clock: Clock, loop: asyncio.AbstractEventLoop, emit: Callable[[bytes], None]
    ) -> None:
        """Pass bytes to `emit`."""
        self._clock = clock
        self._loop = loop
        self._emit = emit
        self._queue: deque[tuple[float, bytes, bool]] = deque()
        self._last_due = 0.0
        self._is_pumping = False
        self._is_waiting = False
        self._when_empty: list[Callable[[], None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._queue and not self._is_pumping

    def put(self, data: bytes, pace: Pace | None) -> None:
        """Send `data` after what was put before."""
        if pace is None and self.is_empty:
            self._emit(data)
            return
        pace = pace or Pace()
        due = max(self._last_due, self._clock.time() + pace.delay)
        for piece in _pieces(data, pace):
            if pace.rate is not None:
                due += len(piece) / pace.rate
            self._queue.append((due, piece, pace.size is not None))
        self._last_due = due
        if not self._is_waiting:
            self._pump()

    def when_empty(self, callback: Callable[[], None]) -> None:
        """Call `callback` once everything has gone, now if it has already."""
        if self.is_empty:
            callback()
        else:
            self._when_empty.append(callback)

    def clear(self) -> None:
        """Lose what is on its way."""
        self._queue.clear()

    def _pump(self) -> None:
        self._is_waiting = False
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            self._send_due()
        finally:
            self._is_pumping = False
        if not self._queue:
            callbacks, self._when_empty = self._when_empty, []
            for callback in callbacks:
                callback()

    def _send_due(self) -> None:
        while self._queue:
            due, data, alone = self._queue[0]
            if due > self._clock.time():
                self._is_waiting = True
                self._clock.call_at(due, self._pump)
                return
            self._queue.popleft()
            self._emit(data)
            if alone and self._queue:
                self._is_waiting = True
                self._loop.call_soon(self._pump)
                return


def _pieces(data: bytes, pace: Pace) -> list[bytes]:
    sizes = [len(data)]
    if pace.size is not None:
        sizes.append(pace.size)
    if pace.rate is not None:
        sizes.append(max(1, int(pace.rate * _SLICE)))
    size = max(1, min(sizes))
    return [data[at : at + size] for at in range(0, len(data), size)]
