"""Faults of bytes and frames: cut, swallowed, late, slow, in pieces, held back, malformed."""

from abc import ABC, abstractmethod
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from hopmq.errors import UsageError
from hopmq.testing.faults.frames import KINDS, Frame
from hopmq.testing.faults.pacing import Pace
from hopmq.testing.faults.selection import Direction, Selection
from hopmq.testing.faults.stream import Stream, StreamFault

Place: TypeAlias = Literal["before", "after", "instead"]


def check_frames(at: str) -> None:
    """Raise a UsageError unless there are such frames."""
    if not any(fnmatchcase(kind, at) for kind in KINDS):
        raise UsageError(f"there is no frame {at!r}; frames are such as Basic.Publish, header")


class FrameFault(StreamFault, ABC):
    """A fault that happens at certain frames."""

    of_frames = True

    def __init__(
        self,
        what: str,
        where: Selection,
        *,
        at: str,
        direction: Direction | None,
        nth: int,
        times: int | None,
    ) -> None:
        """Look for frames of the kind `at`."""
        super().__init__(f"{what} at {at}", where, nth=nth, times=times)
        check_frames(at)
        self.direction: Direction | None = direction
        self._at = at

    def on_frame(self, stream: Stream, frame: Frame) -> bool:
        """Happen, if this is one of the frames."""
        if not (self._matches(stream, frame) and self.takes()):
            return False
        self.happen(stream, frame)
        return True

    @abstractmethod
    def happen(self, stream: Stream, frame: Frame) -> None:
        """Do it to this frame."""

    def _matches(self, stream: Stream, frame: Frame) -> bool:
        if not fnmatchcase(frame.kind, self._at):
            return False
        if not self.where.has_channel(stream.peer, frame.channel):
            return False
        return self.where.queue is None or self.where.has_queue_name(frame.queue())


class Cut(FrameFault):
    """End the connection at a frame."""

    def __init__(
        self,
        where: Selection,
        *,
        at: str,
        direction: Direction | None,
        nth: int,
        times: int | None,
        reset: bool,
        let_through: int | None,
    ) -> None:
        """Let `let_through` bytes of the frame through; None for all of it."""
        super().__init__("cut", where, at=at, direction=direction, nth=nth, times=times)
        self._reset = reset
        self._let_through = let_through

    def happen(self, stream: Stream, frame: Frame) -> None:
        """Let some bytes of the frame through, and no more."""
        data = frame.data[: self._let_through]
        if data:
            stream.put(data)
        stream.end(lambda: stream.tap.cut(reset=self._reset))


class CutAtByte(StreamFault):
    """End each connection after so many bytes of one direction."""

    def __init__(
        self, where: Selection, *, byte: int, direction: Direction, times: int | None, reset: bool
    ) -> None:
        """Let `byte` bytes through."""
        super().__init__(f"cut at byte {byte}", where, times=times)
        self.direction: Direction | None = direction
        self._byte = byte
        self._reset = reset
        self._passed: WeakKeyDictionary[Stream, int] = WeakKeyDictionary()

    def limited(self, stream: Stream, data: bytes) -> bytes:
        """Return what still passes."""
        passed = self._passed.get(stream, 0)
        self._passed[stream] = passed + len(data)
        if passed > self._byte or passed + len(data) <= self._byte or not self.takes():
            return data
        self._passed[stream] = self._byte + 1
        tap = stream.tap
        tap.seams.loop.call_soon(lambda: tap.cut(reset=self._reset))
        return data[: self._byte - passed]


class BlackHole(StreamFault):
    """Swallow what is sent, closes included, while the connection looks open."""

    def __init__(self, where: Selection, *, direction: Direction | None) -> None:
        """Swallow one direction, or both."""
        super().__init__(f"black hole, {direction or 'both ways'}", where, times=None)
        self.direction: Direction | None = direction

    def swallows(self, stream: Stream, data: bytes) -> bool:
        """Lose everything."""
        return True

    def hides(self) -> bool:
        """Lose the end of the connection as well."""
        return True


class Hold(StreamFault):
    """Keep back what is sent, closes included, until it is released."""

    def __init__(self, where: Selection, *, direction: Direction | None) -> None:
        """Hold one direction, or both."""
        super().__init__(f"hold, {direction or 'both ways'}", where, times=None)
        self.direction: Direction | None = direction
        self._streams: WeakSet[Stream] = WeakSet()

    def holds(self, stream: Stream) -> bool:
        """Hold everything."""
        self._streams.add(stream)
        return True

    def release(self) -> None:
        """Let everything go that it holds."""
        for stream in list(self._streams):
            if self.is_active:
                stream.flush()
            else:
                stream.resume()
        self._streams.clear()


class Slow(StreamFault):
    """Let bytes travel at another pace."""

    def __init__(
        self, what: str, where: Selection, *, pace: Pace, direction: Direction | None
    ) -> None:
        """Let them travel at `pace`."""
        super().__init__(what, where, times=None)
        self.direction: Direction | None = direction
        self._pace = pace

    def pace(self) -> Pace:
        """Return that pace."""
        return self._pace


class Stall(FrameFault):
    """Hold a frame back, and what follows it on its channel, until it is released."""

    def __init__(
        self,
        where: Selection,
        *,
        at: str,
        direction: Direction | None,
        nth: int,
        times: int | None,
        seconds: float | None,
    ) -> None:
        """Hold it for `seconds`, or until it is released."""
        super().__init__("stall", where, at=at, direction=direction, nth=nth, times=times)
        self._seconds = seconds
        self._streams: WeakKeyDictionary[Stream, None] = WeakKeyDictionary()

    def happen(self, stream: Stream, frame: Frame) -> None:
        """Hold it."""
        stream.hold(frame.channel, self, frame.data)
        self._streams[stream] = None
        if self._seconds is not None:
            clock = stream.tap.seams.clock
            clock.call_at(clock.time() + self._seconds, lambda: stream.release(self))

    def release(self) -> None:
        """Let everything go that it holds."""
        for stream in list(self._streams):
            stream.release(self)
        self._streams.clear()


class Injection(FrameFault):
    """Send raw bytes around a frame or in its place."""

    def __init__(
        self,
        where: Selection,
        *,
        data: bytes,
        at: str,
        place: Place,
        direction: Direction | None,
        nth: int,
        times: int | None,
    ) -> None:
        """Send `data` before or after the frame, or instead of it."""
        super().__init__("raw bytes", where, at=at, direction=direction, nth=nth, times=times)
        self._data = data
        self._place = place

    def happen(self, stream: Stream, frame: Frame) -> None:
        """Send them."""
        if self._place == "before":
            stream.put(self._data + frame.data)
        elif self._place == "after":
            stream.put(frame.data + self._data)
        else:
            stream.put(self._data)
