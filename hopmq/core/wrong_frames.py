"""What a server answers to frames that break the rules, in RabbitMQ's words.

RabbitMQ looks at a frame in another order than the codecs do, and quotes it. So a frame that the
decoder refused is looked at once more, in that order.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING, Basic, Connection

from hopmq.errors import FrameSyntaxError
from hopmq.values import Value
from hopmq.wire import reasons
from hopmq.wire.events import FrameKind
from hopmq.wire.limits import FRAME_END, FRAME_OVERHEAD

_METHOD: Final = 1
_HEADER: Final = 2
_BODY: Final = 3
_HEARTBEAT: Final = 8

_HEAD: Final = Struct(">BHI").unpack_from
_HEAD_SIZE: Final = 7
_INDEX: Final = Struct(">I").unpack_from
_INDEX_SIZE: Final = 4
_CONTENT_HEAD: Final = Struct(">HH").unpack_from
_CONTENT_HEAD_SIZE: Final = 14
_RESOURCE_ERROR: Final = 506
_LINE: Final = 80
"""Columns after which Erlang breaks a line that it prints."""

LARGEST_ANNOUNCED: Final = 536_870_912
"""Bytes of a body that RabbitMQ takes at all, whatever its limit is set to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Answer(Value):
    """A close of the connection.

    Attributes:
        code: AMQP reply code.
        text: Reply text.
        index: Class and method at fault, as one number; 0 for none.
    """

    code: int
    text: str
    index: int = 0


def unimplemented(index: int) -> Answer:
    """Answer a method that a server does not take."""
    return Answer(code=503, text="COMMAND_INVALID - unimplemented method", index=index)


def out_of_place(index: int) -> Answer:
    """Answer a method on channel 0 that an open connection does not take."""
    text = "CHANNEL_ERROR - unexpected method in connection state running"
    return Answer(code=504, text=text, index=index)


def not_open(index: int) -> Answer:
    """Answer a method on a channel that is not open."""
    return Answer(code=504, text="CHANNEL_ERROR - expected 'channel.open'", index=index)


def opened_twice(index: int) -> Answer:
    """Answer a channel.open on an open channel."""
    return Answer(code=504, text="CHANNEL_ERROR - second 'channel.open' seen", index=index)


def too_many_channels(channel_max: int) -> Answer:
    """Answer one channel more than agreed on."""
    text = (
        f"NOT_ALLOWED - number of channels opened ({channel_max}) has reached the negotiated "
        f"channel_max ({channel_max})"
    )
    return Answer(code=530, text=text)


def unexpected_frame(frame: bytes) -> Answer:
    """Answer a whole frame that may not come on its channel."""
    return _unexpected(_quoted(frame[0], frame[_HEAD_SIZE:-1]))


def body_too_long(size: int) -> Answer:
    """Answer a body that is announced to be longer than any may be."""
    text = (
        f"FRAME_ERROR - content body size {size} exceeds maximum allowed size {LARGEST_ANNOUNCED}"
    )
    return Answer(code=501, text=text, index=Basic.Publish.index)


def answer(
    error: FrameSyntaxError, due: FrameKind, frame_max: int, *, counts_bodies: bool
) -> Answer | None:
    """Return the answer to a frame that the decoder has refused.

    Args:
        error: What the decoder found, with the frame.
        due: Which kind of frame was due on its channel.
        frame_max: The largest frame agreed on, in bytes.
        counts_bodies: Whether a body is compared with what was announced before the next frame.

    Returns:
        The answer; None to hang up without one.
    """
    frame = error.frame
    if len(frame) < _HEAD_SIZE:
        return None
    kind, channel, size = _HEAD(frame)
    payload = frame[_HEAD_SIZE : _HEAD_SIZE + size]
    if size > frame_max:
        limit = frame_max - FRAME_OVERHEAD
        return _framing(_fault(kind, b"", f"{{frame_too_large,{size},{limit}}}"))
    end = frame[_HEAD_SIZE + size :]
    if end and end[0] != FRAME_END:
        return _framing(_fault(kind, payload, f"{{invalid_frame_end_marker,{end[0]}}}"))
    if kind == _METHOD and len(payload) >= _INDEX_SIZE:
        return _to_method(error, channel, payload, due)
    if kind == _HEARTBEAT and channel:
        return _unexpected(_quoted(kind, payload))
    if kind not in {_HEADER, _BODY}:
        return _framing(_fault(kind, payload, "unknown_frame"))
    if not channel:
        return _unexpected(_quoted(kind, payload))
    if error.reply_code == _RESOURCE_ERROR:
        return Answer(code=_RESOURCE_ERROR, text=f"RESOURCE_ERROR - {error.reason}")
    if due == "method":
        return _unexpected("expected method frame, got non method frame instead")
    return _to_content(kind, payload, due, counts_bodies=counts_bodies)


def _to_method(
    error: FrameSyntaxError, channel: int, payload: bytes, due: FrameKind
) -> Answer | None:
    index: int = _INDEX(payload)[0]
    kind: type[Frame] | None = INDEX_MAPPING.get(index)
    if kind is None:
        return None
    if due != "method":
        return _instead_of(due)
    if index >> 16 == Connection.frame_id and channel:
        return unimplemented(index)
    if index >> 16 != Connection.frame_id and not channel:
        return out_of_place(index)
    if error.reason.endswith(reasons.NOT_UTF8):
        return _framing("Malformed UTF-8 in shortstr")
    if reasons.UNKNOWN_FIELD in error.reason:
        return None
    if error.reason.endswith(reasons.TOO_DEEP):
        return _framing(reasons.TOO_DEEP, index)
    arguments = _octets(payload[_INDEX_SIZE:], len("cannot decode "))
    return _framing(f"cannot decode {arguments}", index)


def _to_content(kind: int, payload: bytes, due: FrameKind, *, counts_bodies: bool) -> Answer:
    if (kind == _HEADER) != (due == "header"):
        return _instead_of(due)
    if kind == _BODY:
        if counts_bodies:
            text = "content body frame exceeds remaining content size"
            return _framing(text, Basic.Publish.index)
        return _instead_of(due)
    if len(payload) < _CONTENT_HEAD_SIZE:
        return _instead_of(due)
    class_id, weight = _CONTENT_HEAD(payload)
    if class_id != Basic.frame_id:
        return _unexpected(
            f"expected content header for class 60, got one for class {class_id} instead",
            Basic.Publish.index,
        )
    if weight:
        return _instead_of(due)
    # RabbitMQ takes properties that it cannot read for a fault of its own.
    return Answer(code=541, text="INTERNAL_ERROR")


def _instead_of(due: FrameKind) -> Answer:
    if due == "header":
        text = "expected content header for class 60, got non content header frame instead"
    else:
        text = "expected content body, got non content body frame instead"
    return _unexpected(text, Basic.Publish.index)


def _framing(text: str, index: int = 0) -> Answer:
    return Answer(code=501, text=f"FRAME_ERROR - {text}", index=index)


def _unexpected(text: str, index: int = 0) -> Answer:
    return Answer(code=505, text=f"UNEXPECTED_FRAME - {text}", index=index)


# --- how Erlang prints it ------------------------------------------------------------------------


def _quoted(kind: int, payload: bytes) -> str:
    start = f"type {kind}, all octets = "
    return start + _octets(payload, len(start))


def _fault(kind: int, payload: bytes, fault: str) -> str:
    """Quote a frame and say what is wrong, on a line of its own part if the first is full."""
    start = f"{_quoted(kind, payload)}: "
    column = len(start) - start.rfind("\n") - 1
    if column + len(fault) < _LINE or "," not in fault:
        return start + fault
    head, _, rest = fault.partition(",")
    indent = " " * (column + 1)
    return f"{start}{head},\n{indent}" + rest.replace(",", f",\n{indent}")


def _octets(octets: bytes, column: int) -> str:
    """Return octets as text where they are that, otherwise as numbers."""
    if octets and all(_is_printable(octet) for octet in octets):
        text = octets.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"')
        return f'<<"{text}">>'
    lines = [""]
    room = _LINE - column - len("<<")
    for octet in octets:
        piece = f"{octet},"
        if len(lines[-1]) + len(piece) >= room:
            lines.append("")
        lines[-1] += piece
    indent = "\n" + " " * (column + len("<<"))
    return f"<<{indent.join(lines)[:-1]}>>" if octets else "<<>>"


def _is_printable(octet: int) -> bool:
    return 32 <= octet < 127 or octet >= 160 or octet in b"\n\r\t\v\b\f\x1b"
