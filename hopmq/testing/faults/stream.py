"""One direction of one connection: bytes in, what faults leave of them out."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

from hopmq.broker.clock import Clock
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.frames import HEARTBEAT, Frame, Framer
from hopmq.testing.faults.pacing import Pace, Pacer
from hopmq.testing.faults.selection import Direction

if TYPE_CHECKING:
    from hopmq.broker.peer import Peer


class StreamFault(Fault):
    """A fault of bytes or frames on their way, in one direction or in both.

    Attributes:
        direction: The direction; None for both.
        of_frames: Whether it has to see whole frames.
    """

    direction: Direction | None = None
    of_frames: ClassVar[bool] = False

    def concerns(self, stream: "Stream") -> bool:
        """Return whether it is for this connection and direction, as far as is known by now."""
        return (
            self.is_active
            and self.direction in {None, stream.direction}
            and self.where.has_peer(stream.peer)
        )

    def swallows(self, stream: "Stream", data: bytes) -> bool:
        """Return whether bytes are to be lost, whatever they are."""
        return False

    def pace(self) -> Pace | None:
        """Return how bytes travel under it; None for as always."""
        return None

    def hides(self) -> bool:
        """Return whether one end is not to know that the other has gone."""
        return False

    def holds(self, stream: "Stream") -> bool:
        """Return whether bytes are to wait until it is released."""
        return False

    def on_frame(self, stream: "Stream", frame: Frame) -> bool:
        """Deal with a frame; False when it is none of its business."""
        return False

    def limited(self, stream: "Stream", data: bytes) -> bytes:
        """Return what still passes of bytes that are about to go."""
        return data


class Seams(Protocol):
    """Whoever knows the faults, as a stream sees it."""

    loop: asyncio.AbstractEventLoop
    stream_faults: list[StreamFault]
    is_stopping: bool

    @property
    def clock(self) -> Clock:
        """What delays go by."""
        ...


class Passage(Protocol):
    """One connection, as a stream sees it."""

    @property
    def seams(self) -> Seams:
        """Whose faults these are."""
        ...

    @property
    def peer(self) -> "Peer | None":
        """The broker's end of it; None when nothing is known of that."""
        ...

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes any more."""
        ...

    def cut(self, *, reset: bool) -> None:
        """End it, by a reset or by the end of the stream."""


class Stream:
    """One direction of one connection.

    Attributes:
        tap: The connection.
        peer: The broker's end of it, if that is known.
        direction: Which way.
        framer: What knows where frames begin.
        has_lost: Whether bytes were swallowed, so that the rest makes no sense any more.
    """

    def __init__(
        self, tap: Passage, direction: Direction, emit: Callable[[bytes], None], *, in_step: bool
    ) -> None:
        """Pass bytes to `emit`."""
        self.tap: Passage = tap
        self.peer: Peer | None = tap.peer
        self.direction: Direction = direction
        self.framer: Framer = Framer(in_step=in_step)
        self.has_lost: bool = False
        # Bytes of an incomplete frame that were sent on, since nothing had to see it whole.
        self._ahead = 0
        self._held: dict[int, tuple[Fault, list[bytes]]] = {}
        self._pacer = Pacer(tap.seams.clock, tap.seams.loop, emit, self._is_held)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held back."""
        return self._pacer.is_empty and not self._held

    @property
    def size(self) -> int:
        """How many bytes are on their way; frames that a stall holds are not among them."""
        return self._pacer.size

    @property
    def is_hidden(self) -> bool:
        """Whether the end of this direction is not to know what its beginning does."""
        return any(fault.hides() for fault in self.tap.seams.stream_faults if fault.concerns(self))

    def feed(self, data: bytes) -> None:
        """Take bytes that were sent."""
        if self.tap.is_cut:
            return
        for fault in self._faults():
            if fault.swallows(self, data):
                self.has_lost = True
                fault.hit()
                return
        frames = self.framer.feed(data)
        if not (self._held or any(fault.of_frames for fault in self._faults())):
            self._ahead = self.framer.size
            self.put(data)
            return
        if frames and self._ahead:
            self.put(frames.pop(0).data[self._ahead :])
            self._ahead = 0
        for frame in frames:
            if not self.tap.is_cut:
                self._take(frame)

    def rest(self) -> bytes:
        """Take what has come of a frame that is not complete, and was not sent on yet."""
        ahead, self._ahead = self._ahead, 0
        return self.framer.rest()[ahead:]

    def put(self, data: bytes) -> None:
        """Send bytes on, at the pace that faults leave."""
        pace: Pace | None = None
        for fault in self._faults():
            data = fault.limited(self, data)
            if fault.holds(self):
                fault.hit()
            slower = fault.pace()
            if slower is not None:
                fault.hit()
                pace = slower if pace is None else pace.joined(slower)
        if data:
            self._pacer.put(data, pace)

    def hold(self, channel: int, fault: Fault, data: bytes) -> None:
        """Hold a frame back, and what comes after it on its channel."""
        self._held[channel] = (fault, [data])

    def release(self, fault: Fault) -> None:
        """Send on what was held back for a fault."""
        for channel, (holder, held) in list(self._held.items()):
            if holder is fault:
                del self._held[channel]
                for data in held:
                    self.put(data)

    def end(self, callback: Callable[[], None]) -> None:
        """Call `callback` when everything has gone that was sent before."""
        self._pacer.when_empty(callback)

    def resume(self) -> None:
        """Go on after a fault that is no more."""
        self._pacer.resume()

    def flush(self) -> None:
        """Send everything on that is on its way."""
        self._pacer.flush()

    def clear(self) -> None:
        """Lose what is held back."""
        self._held.clear()
        self._pacer.clear()

    def _faults(self) -> list[StreamFault]:
        if self.tap.seams.is_stopping:
            return []
        return [fault for fault in self.tap.seams.stream_faults if fault.concerns(self)]

    def _is_held(self) -> bool:
        # Each of them is asked: it remembers whom it holds.
        return True in [fault.holds(self) for fault in self._faults()]

    def _take(self, frame: Frame) -> None:
        if frame.channel in self._held and frame.kind != HEARTBEAT:
            self._held[frame.channel][1].append(frame.data)
            return
        for fault in self._faults():
            if fault.on_frame(self, frame):
                return
        self.put(frame.data)
