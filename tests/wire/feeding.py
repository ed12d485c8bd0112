"""Ways of handing a stream to a decoder."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec

from .plain import plain
from .reference import HEARTBEAT_FRAME

Result = TypeVar("Result")

SMALL_STACK = 256 * 1024


def feed_all(decoder: Any, data: bytes) -> list[Any]:
    """Feed data in one piece and go on after every batch that ended early."""
    events = list(decoder.feed(data))
    while batch := decoder.more():
        events.extend(batch)
    return events


def feed_pieces(decoder: Any, pieces: Iterable[bytes]) -> list[Any]:
    """Feed the pieces of a stream one after the other."""
    return [event for piece in pieces for event in feed_all(decoder, piece)]


def read_into(decoder: Any, data: bytes, step: int) -> list[Any]:
    """Write data through the decoder's own buffer, at most `step` bytes at a time."""
    events: list[Any] = []
    position = 0
    while position < len(data):
        room = decoder.get_buffer(-1)
        piece = data[position : position + min(step, len(room))]
        room[: len(piece)] = piece
        position += len(piece)
        batch = decoder.received(len(piece))
        while batch:
            events.extend(batch)
            batch = decoder.more()
    return events


def cut(data: bytes, size: int) -> list[bytes]:
    """Cut data into pieces of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def outcome(codec: Codec, data: bytes, **options: Any) -> list[Any]:
    """Return the comparable events that a fresh decoder makes of a stream."""
    return [plain(event) for event in feed_all(codec.Decoder(**options), data)]


def failure(codec: Codec, data: bytes, **options: Any) -> FrameSyntaxError:
    """Feed a malformed stream and return its error, which must be the end of the decoder."""
    decoder = codec.Decoder(**options)
    events = feed_all(decoder, data)
    assert events, "the decoder waits for more"
    error = events[-1]
    assert isinstance(error, FrameSyntaxError), events
    assert not any(isinstance(event, FrameSyntaxError) for event in events[:-1])
    assert_dead(decoder)
    return error


def assert_dead(decoder: Any) -> None:
    """Check that nothing comes out of a decoder that has failed."""
    assert decoder.more() == []
    assert decoder.feed(HEARTBEAT_FRAME) == []
    room = decoder.get_buffer()
    assert len(room) >= 1
    room[:1] = b"\x08"
    assert decoder.received(1) == []
    assert decoder.more() == []


def on_small_stack(function: Callable[[], Result]) -> Result:
    """Run a function on a thread whose stack is 256 KiB."""
    outcome: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            errors.append(error)

    previous = threading.stack_size(SMALL_STACK)
    try:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join(timeout=30)
    if errors:
        raise errors[0]
    return outcome[0]
