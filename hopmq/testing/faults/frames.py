"""Bytes of a connection to its frames, as they are: nothing is decoded but what a frame is."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from pamqp.commands import Basic

from hopmq.errors import FrameSyntaxError
from hopmq.wire.limits import FRAME_END, FRAME_OVERHEAD
from hopmq.wire.methods import PLANS, decode_arguments

_HEAD = Struct(">BHI").unpack_from
_HEAD_SIZE: Final = 7
_METHOD: Final = 1
_KINDS: Final = {2: "header", 3: "body", 8: "heartbeat"}
_LARGEST: Final = 16 * 1024 * 1024
_PROTOCOL_HEADER: Final = b"AMQP"
_PROTOCOL_HEADER_SIZE: Final = 8

HEARTBEAT: Final = "heartbeat"
GARBAGE: Final = "garbage"
KINDS: Final = frozenset(
    {
        *(plan.name for plan in PLANS.values()),
        *_KINDS.values(),
        "protocol-header",
    }
)
"""Names of frames: methods as in the specification (`Basic.Publish`), and those without one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        kind: One of `KINDS`, or `garbage` for what is no frame.
        channel: Number of its channel.
        data: All its bytes.
    """

    kind: str
    channel: int
    data: bytes

    def queue(self) -> str | None:
        """Return the queue that a method names, if any; a publish names it by its routing key."""
        payload = self.data[_HEAD_SIZE:-1]
        plan = PLANS.get(int.from_bytes(payload[:4], "big")) if self.data[0] == _METHOD else None
        if plan is None:
            return None
        try:
            method = decode_arguments(plan, payload)
        except FrameSyntaxError:
            return None
        if isinstance(method, Basic.Publish):
            return None if method.exchange else method.routing_key
        return getattr(method, "queue", None)


class Framer:
    """Cut a stream into frames.

    Attributes:
        in_step: Whether the next byte is taken to be the first of a frame. Out of step, bytes
            pass as garbage.
    """

    def __init__(self, *, in_step: bool) -> None:
        """Begin between two frames, or out of step."""
        self.in_step: bool = in_step
        self._rest = b""

    @property
    def size(self) -> int:
        """How many bytes have come of a frame that is not complete."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now."""
        if not self.in_step:
            return [Frame(GARBAGE, 0, data)]
        frames = []
        data = self._rest + data
        at = 0
        while 0 < (size := _size(data, at)) <= len(data) - at:
            frames.append(_frame(data[at : at + size]))
            at += size
        self._rest = data[at:]
        if size < 0:
            self.in_step = False
            frames.append(Frame(GARBAGE, 0, self.rest()))
        return frames

    def rest(self) -> bytes:
        """Take what has come of a frame that is not complete."""
        rest, self._rest = self._rest, b""
        return rest


def _size(data: bytes, at: int) -> int:
    """Return the size of the frame that begins there; 0 when that is not known; -1 for no frame."""
    if len(data) - at < _HEAD_SIZE:
        return 0
    if data.startswith(_PROTOCOL_HEADER, at):
        return _PROTOCOL_HEADER_SIZE
    kind, _, size = _HEAD(data, at)
    end = at + _HEAD_SIZE + size
    wrong_end = end < len(data) and data[end] != FRAME_END
    if kind not in {_METHOD, *_KINDS} or size > _LARGEST or wrong_end:
        return -1
    return int(size) + FRAME_OVERHEAD


def _frame(data: bytes) -> Frame:
    if data.startswith(_PROTOCOL_HEADER):
        return Frame("protocol-header", 0, data)
    kind, channel, _ = _HEAD(data)
    if kind != _METHOD:
        return Frame(_KINDS[kind], channel, data)
    plan = PLANS.get(int.from_bytes(data[_HEAD_SIZE : _HEAD_SIZE + 4], "big"))
    return Frame(GARBAGE if plan is None else plan.name, channel, data)
