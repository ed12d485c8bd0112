"""What a peer announces costs nothing; what it sends costs little more than its size."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from hopmq.wire import Codec

from .feeding import feed_all
from .reference import deliver, frame, header, longstr, shortstr

MIB = 2**20
PAGE = 4096
TABLE_OF_4_GIB = b"\xff\xff\xff\xff\x01kS\xff\xff\xff\xff"


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def peak_of(action: Callable[[], object]) -> int:
    """Return the most bytes that Python held at once, beyond those before, during an action."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def growth_of(action: Callable[[], object]) -> int:
    """Return by how much the process grew, which also counts what C allocates by itself."""
    gc.collect()
    before = resident()
    kept = action()
    grown = resident() - before
    del kept
    return grown


def announcements() -> Iterable[tuple[str, bytes, dict[str, Any]]]:
    """Return streams that announce far more than they bring."""
    giant = 2**40
    roomy = {"frame_max": 2**31 - 1, "max_message_size": giant}
    yield "frame", b"\x03\x00\x01\x7f\xff\xff\xf0", {}
    yield "frame below frame_max", b"\x01\x00\x01\x7f\xff\xff\xf0", roomy
    yield "body", deliver(1) + header(1, giant) + frame(3, 1, b"x"), roomy
    yield "oversized body", deliver(1) + header(1, 2**64 - 1) + frame(3, 1, b"x"), {}
    start_ok = frame(1, 0, b"\x00\x0a\x00\x0b" + TABLE_OF_4_GIB)
    yield "table", start_ok, {}
    yield "headers", deliver(1) + header(1, 5, b"\x20\x00" + TABLE_OF_4_GIB), {}
    yield "long string", frame(1, 0, b"\x00\x0a\x00\x14\xff\xff\xff\xff"), {}


ANNOUNCEMENTS = pytest.mark.parametrize(
    "stream, options", [row[1:] for row in announcements()], ids=[r[0] for r in announcements()]
)


@ANNOUNCEMENTS
def test_nothing_is_allocated_from_an_announced_length(
    codec: Codec, stream: bytes, options: dict[str, Any]
) -> None:
    feed_all(codec.Decoder(**options), stream)  # warm up
    assert peak_of(lambda: feed_all(codec.Decoder(**options), stream)) < 200_000


@ANNOUNCEMENTS
def test_many_announcements_keep_the_process_small(
    codec: Codec, stream: bytes, options: dict[str, Any]
) -> None:
    def announce() -> list[Any]:
        decoders = [codec.Decoder(**options) for _ in range(500)]
        for decoder in decoders:
            feed_all(decoder, stream)
        return decoders

    announce()
    assert growth_of(announce) < 16 * MIB


def test_many_announced_contents_of_one_connection_cost_little(codec: Codec) -> None:
    stream = b"".join(deliver(channel) + header(channel, 2**27) for channel in range(1, 2001))
    decoder = codec.Decoder()
    assert peak_of(lambda: feed_all(decoder, stream)) < 8 * MIB


def test_a_message_in_frames_of_one_byte_stays_within_its_size(codec: Codec) -> None:
    """Eight bytes of frame around each one of body: nine times the traffic, not the memory."""
    size = MIB
    piece = frame(3, 1, b"x") * 4096
    decoder = codec.Decoder()
    gc.collect()
    before = most = resident()
    events = feed_all(decoder, deliver(1) + header(1, size))
    for _ in range(size // 4096):
        events += decoder.feed(piece)
        most = max(most, resident())
    assert most - before < 8 * MIB
    (event,) = events
    assert event.body == b"x" * size


def test_empty_body_frames_keep_nothing(codec: Codec) -> None:
    decoder = codec.Decoder()
    feed_all(decoder, deliver(1) + header(1, 5))
    piece = frame(3, 1, b"") * 1000

    def receive() -> None:
        for _ in range(50):
            assert decoder.feed(piece) == []

    receive()
    assert peak_of(receive) < 100_000


def test_a_skipped_body_keeps_nothing(codec: Codec) -> None:
    decoder = codec.Decoder(max_message_size=1000)
    feed_all(decoder, deliver(1) + header(1, 2**63))
    piece = frame(3, 1, bytes(4000)) * 10

    def receive() -> None:
        for _ in range(200):
            assert decoder.feed(piece) == []

    receive()
    assert peak_of(receive) < 200_000


def test_events_leave_nothing_behind(codec: Codec) -> None:
    decoder = codec.Decoder()
    headers = longstr(shortstr("k") + b"F" + longstr(shortstr("n") + b"S" + longstr("x" * 50)))
    message = deliver(1) + header(1, 100, b"\x20\x00" + headers) + frame(3, 1, bytes(100))

    def receive() -> None:
        for _ in range(300):
            for event in decoder.feed(message * 10):
                assert event.properties.headers

    receive()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        receive()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_a_decoder_at_rest_is_small(codec: Codec) -> None:
    codec.Decoder()
    assert peak_of(lambda: [codec.Decoder() for _ in range(100)]) < 100 * 8192


@pytest.mark.parametrize("fault", ["length", "type", "depth"])
def test_errors_leave_nothing_behind(codec: Codec, fault: str) -> None:
    bad = {
        "length": b"\x20\x00" + TABLE_OF_4_GIB,
        "type": b"\x20\x00" + longstr(shortstr("k") + b"S" + longstr("x" * 90) + b"\x01z?"),
        "depth": b"\x20\x00" + longstr(b"\x01kA" + longstr(b"A\x00\x00\x00\x00?")),
    }[fault]
    stream = deliver(1) + header(1, 5, bad)

    def receive() -> None:
        for _ in range(500):
            feed_all(codec.Decoder(), stream)

    receive()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        receive()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_refused_values_leave_nothing_behind(codec: Codec) -> None:
    def refuse() -> None:
        for _ in range(500):
            with pytest.raises(ValueError, match="complex"):
                codec.encode_table({"a": ["x" * 500, {"b": 1j}]})

    refuse()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        refuse()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()
