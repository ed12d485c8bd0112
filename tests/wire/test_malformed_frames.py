"""Malformed frames: each ends the decoder with the reply code that AMQP gives to the fault."""

import struct

import pytest

from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec

from .feeding import failure, feed_all
from .reference import HEARTBEAT_FRAME, bodies, content, deliver, frame, header, method

CLOSE_OK = method(0, 10, 51)
QOS_OK = method(1, 60, 11)


def announced(kind: int, channel: int, size: int) -> bytes:
    """Return the seven bytes that announce a frame."""
    return struct.pack(">BHI", kind, channel, size)


@pytest.mark.parametrize("kind", [0, 4, 5, 6, 7, 9, 64, 255])
def test_an_unknown_frame_type_is_a_framing_error(codec: Codec, kind: int) -> None:
    error = failure(codec, HEARTBEAT_FRAME + frame(kind, 1, b"payload"))
    assert (error.reply_code, error.offset) == (501, 8)


@pytest.mark.parametrize("end", [b"\x00", b"\xcd", b"\xcf", b"\xff", b"\x01"])
@pytest.mark.parametrize(
    "whole",
    [
        HEARTBEAT_FRAME,
        QOS_OK,
        method(0, 10, 51),
        method(1, 60, 80, bytes(9)),
        deliver(1),
        deliver(1) + header(1, 5),
        deliver(1) + content(1, b"hello"),
        deliver(1) + header(1, 9) + bodies(1, b"hello"),
        deliver(1) + header(1, 5) + frame(3, 1, b""),
    ],
)
def test_a_wrong_frame_end_is_a_framing_error(codec: Codec, whole: bytes, end: bytes) -> None:
    assert failure(codec, whole[:-1] + end).reply_code == 501


def test_the_offset_is_that_of_the_first_byte_of_the_frame(codec: Codec) -> None:
    before = HEARTBEAT_FRAME + CLOSE_OK + QOS_OK
    error = failure(codec, before + frame(1, 1, b"\x00\x3c\x00\x0b\x00"))
    assert (error.reply_code, error.offset) == (502, len(before))


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_heartbeat_with_a_payload_is_a_framing_error(codec: Codec, size: int) -> None:
    assert failure(codec, frame(8, 0, bytes(size))).reply_code == 501


@pytest.mark.parametrize("channel", [1, 2, 65_535])
def test_a_heartbeat_on_a_channel_is_a_framing_error(codec: Codec, channel: int) -> None:
    assert failure(codec, frame(8, channel, b"")).reply_code == 501


@pytest.mark.parametrize("class_id", [20, 40, 50, 60, 85, 90])
def test_a_channel_method_on_channel_zero_is_invalid(codec: Codec, class_id: int) -> None:
    ids = {20: 41, 40: 11, 50: 21, 60: 11, 85: 11, 90: 11}
    assert failure(codec, method(0, class_id, ids[class_id])).reply_code == 503


@pytest.mark.parametrize("channel", [1, 65_535])
def test_a_connection_method_on_a_channel_is_invalid(codec: Codec, channel: int) -> None:
    assert failure(codec, method(channel, 10, 51)).reply_code == 503


def test_acks_and_contents_on_channel_zero_are_invalid(codec: Codec) -> None:
    assert failure(codec, method(0, 60, 80, bytes(9))).reply_code == 503
    assert failure(codec, method(0, 60, 90, bytes(9))).reply_code == 503
    assert failure(codec, method(0, 60, 120, bytes(9))).reply_code == 503
    assert failure(codec, deliver(0)).reply_code == 503


def test_a_content_header_or_body_on_channel_zero_is_a_channel_error(codec: Codec) -> None:
    assert failure(codec, header(0, 5)).reply_code == 504
    assert failure(codec, frame(3, 0, b"x")).reply_code == 504


@pytest.mark.parametrize(
    "numbers", [(0, 0), (10, 0), (10, 99), (60, 0), (60, 112), (30, 10), (0xFFFF, 0xFFFF), (40, 41)]
)
@pytest.mark.parametrize("channel", [0, 1])
def test_an_unknown_method_is_not_implemented(
    codec: Codec, numbers: tuple[int, int], channel: int
) -> None:
    if (numbers[0] == 10) != (channel == 0):
        channel = 0 if numbers[0] == 10 else 1
    assert failure(codec, method(channel, *numbers)).reply_code == 540


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_a_method_frame_too_short_for_its_numbers_is_a_syntax_error(
    codec: Codec, size: int
) -> None:
    assert failure(codec, frame(1, 1, b"\x00\x3c\x00\x0b"[:size])).reply_code == 502


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_frame_may_fill_frame_max_and_not_more(codec: Codec, kind: int) -> None:
    decoder = codec.Decoder()
    before = deliver(1) + header(1, 8192)
    assert feed_all(decoder, deliver(1) + header(1, 8192) + frame(3, 1, bytes(4088))) == []
    error = failure(codec, before + announced(kind, 1, 4089))
    assert (error.reply_code, error.offset) == (501, len(before))


def test_frame_max_before_tuning_is_the_smallest_there_is(codec: Codec) -> None:
    assert codec.Decoder().frame_max == 4096
    assert failure(codec, announced(1, 0, 4089)).reply_code == 501


@pytest.mark.parametrize("frame_max", [4096, 8192, 131_072])
def test_frame_max_holds_after_tuning(codec: Codec, frame_max: int) -> None:
    decoder = codec.Decoder()
    decoder.frame_max = frame_max
    assert decoder.frame_max == frame_max
    assert feed_all(decoder, deliver(1) + header(1, frame_max)) == []
    (event,) = feed_all(decoder, frame(3, 1, bytes(frame_max - 8)) + frame(3, 1, bytes(8)))
    assert event.body == bytes(frame_max)
    (error,) = feed_all(decoder, announced(3, 1, frame_max - 7))
    assert isinstance(error, FrameSyntaxError)
    assert error.reply_code == 501


def test_frame_max_set_between_two_batches_holds_for_bytes_that_had_arrived(codec: Codec) -> None:
    decoder = codec.Decoder()
    big = deliver(1) + header(1, 5000) + frame(3, 1, bytes(5000))
    (tune,) = decoder.feed(method(0, 10, 30, b"\x00\x00\x00\x02\x00\x00\x00\x3c") + big)
    assert type(tune).__name__ == "Method"
    decoder.frame_max = 131_072
    (event,) = decoder.more()
    assert len(event.body) == 5000
    assert decoder.more() == []


@pytest.mark.parametrize("kind", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1])
def test_an_announced_giant_is_refused_before_it_arrives(
    codec: Codec, kind: int, size: int
) -> None:
    for frame_max in (4096, 131_072, 2**31 - 1):
        error = failure(codec, announced(kind, int(kind != 8), size), frame_max=frame_max)
        assert (error.reply_code, error.offset) == (501, 0)


def test_a_channel_above_channel_max_is_a_channel_error(codec: Codec) -> None:
    decoder = codec.Decoder(channel_max=5)
    assert decoder.channel_max == 5
    (event,) = feed_all(decoder, method(5, 60, 11))
    assert event.channel == 5
    for bad in (method(6, 60, 11), method(6, 60, 80, bytes(9)), header(6, 1), deliver(6)):
        assert failure(codec, bad, channel_max=5).reply_code == 504


def test_channel_max_holds_after_tuning(codec: Codec) -> None:
    decoder = codec.Decoder()
    assert decoder.channel_max == 65_535
    assert len(feed_all(decoder, method(65_535, 60, 11))) == 1
    decoder.channel_max = 2047
    (error,) = feed_all(decoder, method(2048, 60, 11))
    assert isinstance(error, FrameSyntaxError)
    assert error.reply_code == 504


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\x00",  # a TLS alert
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client hello
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"AMQQ\x00\x00\x09\x01",
        b"AAAAAAAA",
        b"220 smtp\r\n",
        b"\x00" * 8,
        b"\xff" * 8,
    ],
)
def test_another_protocol_is_quoted(codec: Codec, start: bytes) -> None:
    error = failure(codec, start)
    assert (error.reply_code, error.offset) == (501, 0)
    quoted = [repr(start[:size]) for size in range(4, 9)]
    assert any(quote in error.reason for quote in quoted), error.reason


def test_events_before_the_fault_are_still_given(codec: Codec) -> None:
    events = feed_all(codec.Decoder(), QOS_OK + deliver(1) + content(1, b"x") + b"\x07" * 8)
    names = [type(event).__name__ for event in events]
    assert names == ["Method", "Delivery", "FrameSyntaxError"]


def test_nothing_is_read_behind_the_fault(codec: Codec) -> None:
    (error,) = feed_all(codec.Decoder(), frame(8, 1, b"") + QOS_OK + frame(8, 1, b""))
    assert isinstance(error, FrameSyntaxError)
    assert error.offset == 0
