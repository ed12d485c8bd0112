"""Frames as raw bytes: what they are called, how a stream falls apart, and how to forge them."""

import struct
from collections.abc import Iterator
from typing import Any

from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING

from hopmq.wire import PURE
from hopmq.wire.limits import FRAME_END, FRAME_OVERHEAD

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
_HEAD = struct.Struct(">BHI")
_NAMES = {HEADER: "header", BODY: "body", HEARTBEAT: "heartbeat"}


def frame(kind: int, channel: int, payload: bytes, end: int = FRAME_END) -> bytes:
    """Make a frame of any type, right or wrong."""
    return _HEAD.pack(kind, channel, len(payload)) + payload + bytes([end])


def announced(kind: int, channel: int, size: int) -> bytes:
    """Make the head of a frame that claims a payload of `size` bytes."""
    return _HEAD.pack(kind, channel, size)


def method(channel: int, message: Frame) -> bytes:
    """Make the frame of a method."""
    return PURE.encode_method(channel, message, 1 << 31)


def raw_method(channel: int, class_id: int, method_id: int, arguments: bytes = b"") -> bytes:
    """Make the frame of a method that need not exist."""
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)


def header(channel: int, body_size: int, class_id: int = 60) -> bytes:
    """Make a content header without properties."""
    return frame(HEADER, channel, struct.pack(">HHQH", class_id, 0, body_size, 0))


def body(channel: int, payload: bytes) -> bytes:
    """Make a content body."""
    return frame(BODY, channel, payload)


def nested_table(depth: int) -> bytes:
    """Make a table that holds tables, `depth` levels in all."""
    table = b""
    for _ in range(depth):
        table = b"\x01aF" + struct.pack(">I", len(table)) + table
    return struct.pack(">I", len(table)) + table


def split(data: bytes) -> Iterator[bytes]:
    """Cut what a core wants sent into its frames."""
    at = 0
    while at < len(data):
        _, _, size = _HEAD.unpack_from(data, at)
        end = at + size + FRAME_OVERHEAD
        yield data[at:end]
        at = end


def name_of(data: bytes) -> str:
    """Name a frame: a method by its own name, others by their kind."""
    if data[0] != METHOD:
        return _NAMES.get(data[0], "unknown")
    (index,) = struct.unpack_from(">I", data, 7)
    kind: Any = INDEX_MAPPING.get(index)  # pamqp types its classes too loosely
    return "unknown" if kind is None else str(kind.name)


def channel_of(data: bytes) -> int:
    """Return the channel that a frame is for."""
    channel: int = _HEAD.unpack_from(data)[1]
    return channel
