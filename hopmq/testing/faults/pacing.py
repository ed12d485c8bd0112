"""When bytes go on their way: later, slower, or in pieces."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from hopmq.broker.clock import Clock

_SLICE: Final = 0.05
"""Seconds between two pieces of a throttled stream, at least."""

_SEGMENT: Final = 1460
"""What one packet of an Ethernet carries of a TCP stream."""


class Retransmissions:
    """How late segments come of which some are lost on their way."""

    def __init__(self, share: float, first: float, random: Random) -> None:
        """Lose `share` of them, and send each again after `first` seconds, then twice as many."""
        self._share = share
        self._first = first
        self._random = random

    def __call__(self) -> float:
        """Return how many seconds later than usual the next segment arrives."""
        late, wait = 0.0, self._first
        while self._random.random() < self._share:
            late += wait
            wait *= 2
        return late


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How bytes travel.

    Attributes:
        delay: Seconds on their way.
        rate: Bytes per second; None for as fast as they come.
        size: Bytes that travel together at most, each piece in a turn of the loop of its own.
        lag: Gives the seconds that a segment comes late, and all that is behind it.
    """

    delay: float = 0.0
    rate: float | None = None
    size: int | None = None
    lag: Callable[[], float] | None = None

    def joined(self, other: "Pace") -> "Pace":
        """Return the pace of a way that has both."""
        return Pace(
            delay=self.delay + other.delay,
            rate=min(filter(None, (self.rate, other.rate)), default=None),
            size=min(filter(None, (self.size, other.size)), default=None),
            lag=_joined(self.lag, other.lag),
        )


class Pacer:
    """Pass bytes on in order, each when it is due.

    Attributes:
        size: Bytes that are on their way.
    """

    def __init__(
        self,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        emit: Callable[[bytes], None],
        is_held: Callable[[], bool],
    ) -> None:
        """Pass bytes to `emit`, and none while `is_held` says so."""
        self.size: int = 0
        self._is_held = is_held
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
        return not self._queue and not self._is_pumping and not self._is_held()

    def put(self, data: bytes, pace: Pace | None) -> None:
        """Send `data` after what was put before."""
        if pace is None and self.is_empty:
            self._emit(data)
            return
        pace = pace or Pace()
        arrival = self._clock.time() + pace.delay
        due = max(self._last_due, arrival)
        for piece in _pieces(data, pace):
            if pace.rate is not None:
                due += len(piece) / pace.rate
            if pace.lag is not None:
                due = max(due, arrival + pace.lag())
            self._queue.append((due, piece, pace.size is not None))
        self._last_due = due
        self.size += len(data)
        if not self._is_waiting:
            self._pump()

    def when_empty(self, callback: Callable[[], None]) -> None:
        """Call `callback` once everything has gone, now if it has already."""
        if self.is_empty:
            callback()
        else:
            self._when_empty.append(callback)

    def resume(self) -> None:
        """Go on, if nothing is held any more."""
        if not self._is_waiting:
            self._pump()

    def flush(self) -> None:
        """Send everything on now, be it held."""
        while self._queue:
            _, data, _ = self._queue.popleft()
            self._send(data)
        self._call_back()

    def clear(self) -> None:
        """Lose what is on its way."""
        self._queue.clear()
        self.size = 0

    def _pump(self) -> None:
        self._is_waiting = False
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            self._send_due()
        finally:
            self._is_pumping = False
        if self.is_empty:
            self._call_back()

    def _call_back(self) -> None:
        callbacks, self._when_empty = self._when_empty, []
        for callback in callbacks:
            callback()

    def _send(self, data: bytes) -> None:
        self.size -= len(data)
        self._emit(data)

    def _send_due(self) -> None:
        while self._queue and not self._is_held():
            due, data, alone = self._queue[0]
            if due > self._clock.time():
                self._is_waiting = True
                self._clock.call_at(due, self._pump)
                return
            self._queue.popleft()
            self._send(data)
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
    if pace.lag is not None:
        sizes.append(_SEGMENT)
    size = max(1, min(sizes))
    return [data[at : at + size] for at in range(0, len(data), size)]


def _joined(
    one: Callable[[], float] | None, other: Callable[[], float] | None
) -> Callable[[], float] | None:
    if one is None or other is None:
        return one or other
    return lambda: one() + other()
