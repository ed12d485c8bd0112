"""Where received bytes wait until they are parsed, in pure Python."""

from typing import Final

from hopmq.errors import UsageError

SMALL: Final = 4096
"""Bytes of the buffer of an idle connection."""

BUSY: Final = 262_144
"""Bytes that the buffer grows to while reads fill it."""

LARGEST_KEPT: Final = BUSY
"""A larger buffer is given back as soon as it is empty."""

_IDLE_READS: Final = 64


class ReceiveBuffer:
    """A bytearray that is filled at its end and parsed from its start.

    It grows by what has arrived, never by what a frame announces. A bytearray whose memory
    someone may still hold is never resized, but replaced.
    """

    __slots__ = ("_goal", "_lent", "_small_reads", "data", "end", "start", "view")

    def __init__(self) -> None:
        """Start small."""
        self.start: int = 0
        self.end: int = 0
        self._goal = SMALL
        self._lent = False
        self._small_reads = 0
        self.data: bytearray = bytearray(SMALL)
        self.view: memoryview = memoryview(self.data)

    def __len__(self) -> int:
        return self.end - self.start

    def room(self) -> memoryview:
        """Return writable memory of at least one byte, behind what is held."""
        capacity = len(self.data)
        if self.start == self.end:
            self._refit()
        elif capacity < self._goal:
            # While messages come without a pause, what is held may never be nothing.
            self._compact()
            self._replace(self._goal)
        elif self.start and capacity - self.end < capacity // 2:
            self._compact()
        if self.end == len(self.data):
            self._replace(2 * self.end)
        self._lent = True
        return self.view[self.end :]

    def written(self, size: int) -> None:
        """Count `size` bytes that were written to the last room."""
        offered = len(self.data) - self.end
        if not 0 <= size <= offered:
            raise UsageError(f"{size} bytes received where get_buffer() offered {offered}")
        self.end += size
        self._lent = False
        if size == offered:
            self._goal = min(2 * self._goal, BUSY)
            self._small_reads = 0
        elif size > SMALL // 4:
            self._small_reads = 0
        else:
            self._small_reads += 1
            if self._small_reads >= _IDLE_READS:
                self._small_reads = 0
                self._goal = SMALL

    def append(self, data: memoryview) -> None:
        """Copy `data` in, making room for all of it."""
        size = len(data)
        if self.start == self.end:
            self._refit()
        if len(self.data) - self.end < size:
            self._compact()
            if len(self.data) - self.end < size:
                self._replace(max(self.end + size, 2 * len(self.data)))
        self.view[self.end : self.end + size] = data
        self.end += size

    def rest(self) -> None:
        """Be small again, at once unless somebody may be about to write into it."""
        self._goal = SMALL
        if self.start == self.end and not self._lent:
            self._refit()

    def clear(self) -> None:
        """Drop everything held."""
        self.start = self.end = 0

    def _refit(self) -> None:
        """Start over in an empty buffer, of the size that recent reads call for."""
        self.start = self.end = 0
        capacity = len(self.data)
        idle = self._goal == SMALL < capacity
        if capacity < self._goal or capacity > LARGEST_KEPT or idle:
            self._replace(self._goal)

    def _compact(self) -> None:
        held = len(self)
        if self.start:
            self.view[:held] = self.view[self.start : self.end]
            self.start, self.end = 0, held

    def _replace(self, capacity: int) -> None:
        data = bytearray(capacity)
        view = memoryview(data)
        if self.end:
            view[: self.end] = self.view[: self.end]
        self.data = data
        self.view = view
