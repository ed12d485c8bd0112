"""Whole streams for Hypothesis: interleaved contents, methods, heartbeats; and broken ones."""

import itertools
from typing import Any

from hypothesis import strategies as st
from pamqp import base

from . import reference, strategies
from .reference import HEARTBEAT_FRAME, arguments

CONTENT_STARTS: dict[int, tuple[str, ...]] = {
    40: ("short", "shortstr", "shortstr", "bit", "bit"),
    50: ("short", "shortstr", "shortstr", "shortstr"),
    60: ("shortstr", "longlong", "bit", "shortstr", "shortstr"),
    71: ("longlong", "bit", "shortstr", "shortstr", "long"),
}
_CONTENT_INDEXES = {60 << 16 | method_id for method_id in CONTENT_STARTS}


def method_frame(channel: int, method: base.Frame) -> bytes:
    """Write a pamqp method by the reference encoder."""
    kinds = [method.amqp_type(name) for name in method.__slots__]
    values = [getattr(method, name) for name in method.__slots__]
    payload = arguments(kinds, values)
    return reference.method(channel, method.index >> 16, method.index & 0xFFFF, payload)


@st.composite
def contents(draw: st.DrawFn, channel: int) -> list[bytes]:
    """Make the frames of one content: method, header, bodies."""
    method_id = draw(st.sampled_from(sorted(CONTENT_STARTS)))
    kinds = CONTENT_STARTS[method_id]
    values = [draw(strategies.ARGUMENTS[kind]) for kind in kinds]
    raw = reference.properties(draw(strategies.property_sets))
    body = draw(strategies.bodies)
    room = draw(st.sampled_from([7, 100, 4088])) if len(body) < 500 else 4088
    pieces = [body[start : start + room] for start in range(0, len(body), room)]
    if body and draw(st.booleans()):
        pieces.insert(draw(st.integers(0, len(pieces) - 1)), b"")
    return [
        reference.method(channel, 60, method_id, arguments(kinds, values)),
        reference.header(channel, len(body), raw),
        *(reference.frame(reference.BODY, channel, piece) for piece in pieces),
    ]


def _alone(channel: int, method: base.Frame) -> list[bytes]:
    if method.index in _CONTENT_INDEXES:
        return [HEARTBEAT_FRAME]
    on = 0 if method.index >> 16 == 10 else channel
    return [method_frame(on, method)]


@st.composite
def frame_lists(draw: st.DrawFn) -> list[bytes]:
    """Make frames in a legal order: what stands on one channel keeps its order."""
    channels = draw(st.lists(strategies.channels, min_size=1, max_size=3, unique=True))
    queues: list[list[bytes]] = []
    for channel in channels:
        item = contents(channel) | strategies.methods.map(
            lambda method, channel=channel: _alone(channel, method)
        )
        groups = draw(st.lists(item, max_size=3))
        queues.append([frame for group in groups for frame in group])
    frames: list[bytes] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        frames.append(queue.pop(0))
        if draw(st.integers(0, 5)) == 0:
            frames.append(HEARTBEAT_FRAME)
    return frames


streams = frame_lists().map(b"".join)
"""Legal streams."""


@st.composite
def broken_streams(draw: st.DrawFn) -> bytes:
    """Make a stream with a few alterations, some of them at the places that hurt."""
    frames = draw(frame_lists().filter(bool))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(frames) - 1))
        frames[position : position + 1] = _altered(draw, frames[position])
        if not frames:
            break
    return b"".join(frames)


def _altered(draw: st.DrawFn, frame: bytes) -> list[bytes]:
    how = draw(st.sampled_from(["flip", "length", "resize", "drop", "twice", "cut", "fix"]))
    if how == "drop" or not frame:
        return []
    if how == "twice":
        return [frame, frame]
    changed = bytearray(frame)
    if how == "flip":
        place = draw(st.integers(0, len(frame) - 1))
        changed[place] = draw(strategies.U8)
    elif how == "length":
        place = draw(st.integers(0, len(frame) - 1))
        changed[place] = (changed[place] + draw(st.sampled_from([-1, 1]))) % 256
    elif how == "cut":
        place = draw(st.integers(0, len(frame) - 1))
        del changed[place : place + draw(st.integers(1, 9))]
    elif len(frame) > 8:
        place = draw(st.integers(7, len(frame) - 1))
        if how == "resize":
            changed[place:place] = draw(st.binary(max_size=9))
        else:
            changed[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        changed[3:7] = (len(changed) - 8).to_bytes(4, "big")
    return [bytes(changed)]


@st.composite
def splits(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut a stream at random places."""
    places: list[Any] = draw(st.lists(st.integers(0, len(data)), max_size=12))
    edges = [0, *sorted(places), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]
