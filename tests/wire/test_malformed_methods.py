"""Methods, headers and properties with wrong lengths: truncated, trailing, one too many or few."""

import pytest

from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec

from .feeding import failure, feed_all
from .plain import plain
from .reference import deliver, frame, header, properties
from .specification import METHODS, MethodSpec, samples

EVERY = pytest.mark.parametrize("spec", METHODS, ids=[spec.name for spec in METHODS])

PROPERTIES = properties(
    {
        "content_type": "text/plain",
        "headers": {"a": 1, "n": {"b": "x"}, "l": [1, None]},
        "delivery_mode": 2,
        "expiration": "1",
        "timestamp": 5,
        "cluster_id": "c",
    }
)


@EVERY
def test_arguments_cut_off_anywhere_are_a_syntax_error(codec: Codec, spec: MethodSpec) -> None:
    payload = spec.payload(samples(spec)[0])
    for size in range(4, len(payload)):
        error = failure(codec, frame(1, spec.channel, payload[:size]))
        assert (error.reply_code, error.offset) == (502, 0), size


@EVERY
def test_bytes_behind_the_arguments_are_a_syntax_error(codec: Codec, spec: MethodSpec) -> None:
    for values in samples(spec)[:3]:
        payload = spec.payload(values)
        for extra in (b"\x00", b"\xce", b"\x00" * 9):
            assert failure(codec, frame(1, spec.channel, payload + extra)).reply_code == 502


@EVERY
def test_a_stream_cut_off_anywhere_waits(codec: Codec, spec: MethodSpec) -> None:
    whole = spec.frame(spec.channel, samples(spec)[0])
    for size in range(len(whole)):
        decoder = codec.Decoder()
        assert feed_all(decoder, whole[:size]) == []
        assert decoder.buffered == size


@EVERY
def test_a_frame_size_that_is_off_by_one_is_an_error(codec: Codec, spec: MethodSpec) -> None:
    payload = spec.payload(samples(spec)[0])
    whole = bytearray(spec.frame(spec.channel, samples(spec)[0]))
    for size in (len(payload) - 1, len(payload) + 1):
        whole[3:7] = size.to_bytes(4, "big")
        # A neighbour follows, so that the longer frame finds an end, though a wrong one.
        assert failure(codec, bytes(whole) + b"\x08" * 8).reply_code == 501


def string_positions(spec: MethodSpec) -> list[tuple[int, int]]:
    """Return where the length fields of a method's payload stand, and how wide they are."""
    values = samples(spec)[0]
    found = []
    for count, (_, kind) in enumerate(spec.fields):
        before = MethodSpec(spec.class_id, spec.method_id, spec.name, spec.fields[:count])
        position = len(before.payload(values))
        width = {"shortstr": 1, "longstr": 4, "table": 4}.get(kind)
        if width:
            found.append((position, width))
    return found


WITH_LENGTHS = [spec for spec in METHODS if string_positions(spec)]


@pytest.mark.parametrize("spec", WITH_LENGTHS, ids=[spec.name for spec in WITH_LENGTHS])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_length_field_off_by_one_is_never_read_as_if_right(
    codec: Codec, spec: MethodSpec, change: int
) -> None:
    """Where the altered bytes mean something else they may be read so, but to the last byte."""
    payload = spec.payload(samples(spec)[0])
    right = [plain(event) for event in feed_all(codec.Decoder(), frame(1, spec.channel, payload))]
    for position, width in string_positions(spec):
        altered = bytearray(payload)
        size = int.from_bytes(altered[position : position + width], "big") + change
        altered[position : position + width] = size.to_bytes(width, "big")
        events = feed_all(codec.Decoder(), frame(1, spec.channel, bytes(altered)))
        if events and isinstance(events[0], FrameSyntaxError):
            assert events[0].reply_code == 502
        elif events:
            assert [plain(event) for event in events] != right
            again = codec.encode_method(spec.channel, events[0].method, 4096)
            assert again == frame(1, spec.channel, bytes(altered))


LAST_IS_A_LENGTH = [
    spec for spec in METHODS if spec.fields and spec.fields[-1][1] in ("shortstr", "longstr")
]


@pytest.mark.parametrize("spec", LAST_IS_A_LENGTH, ids=[spec.name for spec in LAST_IS_A_LENGTH])
@pytest.mark.parametrize("change", [-1, 1])
def test_the_last_length_off_by_one_is_a_syntax_error(
    codec: Codec, spec: MethodSpec, change: int
) -> None:
    payload = bytearray(spec.payload(samples(spec)[0]))
    position, width = string_positions(spec)[-1]
    size = int.from_bytes(payload[position : position + width], "big") + change
    payload[position : position + width] = size.to_bytes(width, "big")
    assert failure(codec, frame(1, spec.channel, bytes(payload))).reply_code == 502


@pytest.mark.parametrize("width", ["longstr", "table"])
@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**32 - 5, 2**32 - 4, 2**32 - 1])
def test_a_giant_length_is_checked_before_it_is_used(codec: Codec, width: str, size: int) -> None:
    if width == "longstr":
        payload = b"\x00\x0a\x00\x14" + size.to_bytes(4, "big") + b"challenge"
        assert failure(codec, frame(1, 0, payload)).reply_code == 502
    table = size.to_bytes(4, "big") + b"\x01kV"
    with pytest.raises(FrameSyntaxError):
        codec.decode_table(table)
    inner = b"\x01k" + (b"S" if width == "longstr" else b"F") + size.to_bytes(4, "big") + b"v"
    with pytest.raises(FrameSyntaxError):
        codec.decode_table(len(inner).to_bytes(4, "big") + inner)


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf5\x80\x80\x80", b"a\x80"]
)
def test_a_short_string_that_is_not_utf8_is_a_syntax_error(codec: Codec, raw: bytes) -> None:
    short = bytes([len(raw)]) + raw
    streams = [
        frame(1, 1, b"\x00\x3c\x00\x15" + short),  # basic.consume-ok
        frame(1, 0, b"\x00\x0a\x00\x3c" + short),  # connection.blocked
        frame(1, 1, b"\x00\x3c\x00\x3c" + short + bytes(8) + b"\x00\x00\x00"),  # deliver's tag
        frame(1, 1, b"\x00\x3c\x00\x3c\x00" + bytes(8) + b"\x00" + short + b"\x00"),
        frame(1, 1, b"\x00\x3c\x00\x3c\x00" + bytes(8) + b"\x00\x00" + short),
        frame(1, 1, b"\x00\x3c\x00\x28\x00\x00" + short + b"\x00\x00"),  # publish's exchange
        frame(1, 1, b"\x00\x3c\x00\x28\x00\x00\x00" + short + b"\x00"),
        frame(1, 1, b"\x00\x3c\x00\x47" + bytes(9) + short + b"\x00" + bytes(4)),  # get-ok
        frame(1, 1, b"\x00\x3c\x00\x32\x00\x00" + short + b"\x00\x00"),  # return's text
        deliver(1) + header(1, 0, b"\x80\x00" + short),  # content-type
        deliver(1) + header(1, 0, b"\x00\x04" + short),  # cluster-id
        deliver(1) + header(1, 0, b"\x20\x00\x00\x00\x00" + bytes([len(short) + 1]) + short + b"V"),
    ]
    for stream in streams:
        assert failure(codec, stream).reply_code == 502, stream


def test_properties_cut_off_anywhere_are_a_syntax_error(codec: Codec) -> None:
    for size in range(2, len(PROPERTIES)):
        stream = deliver(1) + header(1, 0, PROPERTIES[:size])
        error = failure(codec, stream)
        assert (error.reply_code, error.offset) == (502, len(deliver(1))), size
        with pytest.raises(FrameSyntaxError) as caught:
            codec.decode_properties(PROPERTIES[:size])
        assert (caught.value.reply_code, caught.value.offset) == (502, 0)


@pytest.mark.parametrize("size", [0, 1])
def test_properties_without_flags_are_a_syntax_error(codec: Codec, size: int) -> None:
    with pytest.raises(FrameSyntaxError):
        codec.decode_properties(bytes(size))


def test_bytes_behind_the_properties_are_a_syntax_error(codec: Codec) -> None:
    for raw in (b"\x00\x00", PROPERTIES):
        for extra in (b"\x00", b"\x00\x00", b"\xff" * 20):
            assert failure(codec, deliver(1) + header(1, 0, raw + extra)).reply_code == 502
            with pytest.raises(FrameSyntaxError):
                codec.decode_properties(raw + extra)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01",  # another flag word is announced and does not come
        b"\x00\x01\x00\x00",  # it comes
        b"\x80\x01\x00\x00\x01a",
        b"\x00\x01" * 50,  # for ever
        b"\x00\x02",  # reserved
        b"\x80\x02\x01a",
        b"\x00\x03\x00\x00",
    ],
)
def test_further_flags_and_the_reserved_flag_are_a_syntax_error(codec: Codec, raw: bytes) -> None:
    assert failure(codec, deliver(1) + header(1, 0, raw)).reply_code == 502
    with pytest.raises(FrameSyntaxError):
        codec.decode_properties(raw)


def test_a_malformed_table_in_the_headers_ends_the_stream_at_the_header(codec: Codec) -> None:
    bad = [
        b"\x20\x00\x00\x00\x00\x03\x01k?",  # unknown field type
        b"\x20\x00\x00\x00\x00\x04\x01kb\x00\x00",  # bytes left
        b"\x20\x00\x00\x00\x00\x03\x01kb\x00",  # value beyond the table
        b"\x20\x00\x00\x00\x00\x03\x05kV",  # key beyond the table
    ]
    for raw in bad:
        error = failure(codec, deliver(1) + header(1, 5, raw))
        assert (error.reply_code, error.offset) == (502, len(deliver(1))), raw


def test_properties_of_an_oversized_content_are_checked_too(codec: Codec) -> None:
    stream = deliver(1) + header(1, 99, b"\x00\x01")
    assert failure(codec, stream, max_message_size=10).reply_code == 502
