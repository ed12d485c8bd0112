"""One direction of a link within a process: what was written and is not read yet."""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

Written: TypeAlias = bytes | bytearray | memoryview


def _nothing() -> None:
    """Stand in for an end that is not there yet."""


class Pipe:
    """Chunks in order, by reference; both ends are told what the other does.

    Attributes:
        size: Bytes not taken yet.
        ended: Whether the writer writes no more.
        deaf: Whether the reader reads no more.
        on_arrival: Told when there are bytes, or the end.
        on_taken: Told when there is more room, or when there will never be a reader.
        on_reset: Told when the writer has broken the link.
    """

    __slots__ = ("_chunks", "deaf", "ended", "on_arrival", "on_reset", "on_taken", "size")

    def __init__(self) -> None:
        """Be empty."""
        self._chunks: deque[bytes | memoryview] = deque()
        self.size: int = 0
        self.ended: bool = False
        self.deaf: bool = False
        self.on_arrival: Callable[[], None] = _nothing
        self.on_taken: Callable[[], None] = _nothing
        self.on_reset: Callable[[], None] = _nothing

    def put(self, data: Written) -> None:
        """Append `data`; it must not change until it is taken."""
        if len(data):
            chunk = data if isinstance(data, bytes) else memoryview(data).cast("B")
            self._chunks.append(chunk)
            self.size += len(chunk)

    def take(self, size: int) -> bytes | memoryview:
        """Take the first chunk, or as much of it as `size` allows; there must be one."""
        chunk = self._chunks.popleft()
        if len(chunk) > size:
            view = memoryview(chunk)
            self._chunks.appendleft(view[size:])
            chunk = view[:size]
        self.size -= len(chunk)
        return chunk

    def fill(self, view: memoryview) -> int:
        """Move what fits into `view`; return how many bytes that was."""
        room = len(view)
        filled = 0
        while self._chunks and filled < room:
            chunk = self.take(room - filled)
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled

    def clear(self) -> None:
        """Lose what was written and not read."""
        self._chunks.clear()
        self.size = 0
