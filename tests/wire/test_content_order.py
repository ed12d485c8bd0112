"""Contents: the order of their frames, their sizes, and what lies between them."""

import struct

import pytest

from hopmq.wire import Codec

from .feeding import failure, feed_all
from .reference import HEARTBEAT_FRAME, bodies, content, deliver, frame, header, method, publish

QOS_OK = method(1, 60, 11)
START = deliver(1)


def test_a_body_of_several_frames(codec: Codec) -> None:
    body = bytes(range(256)) * 100
    (event,) = feed_all(codec.Decoder(), START + content(1, body, frame_max=4096))
    assert event.body == body
    assert type(event.body) is bytes


def test_a_body_of_none_comes_with_the_header(codec: Codec) -> None:
    (event,) = feed_all(codec.Decoder(), START + header(1, 0))
    assert event.body == b""


def test_empty_body_frames_are_allowed_before_the_body_is_complete(codec: Codec) -> None:
    empty = frame(3, 1, b"")
    stream = START + header(1, 2) + empty + frame(3, 1, b"a") + empty + empty + frame(3, 1, b"b")
    (event,) = feed_all(codec.Decoder(), stream)
    assert event.body == b"ab"


def test_a_body_frame_after_a_complete_body_is_unexpected(codec: Codec) -> None:
    assert failure(codec, START + content(1, b"x") + frame(3, 1, b"")).reply_code == 505
    assert failure(codec, START + header(1, 0) + frame(3, 1, b"")).reply_code == 505


@pytest.mark.parametrize(
    "stream",
    [
        header(1, 5),  # header without method
        frame(3, 1, b"x"),  # body without anything
        frame(3, 1, b""),
        START + frame(3, 1, b"x"),  # body before the header
        START + frame(3, 1, b""),
        START + START,  # method where a header is due
        START + QOS_OK,
        START + method(1, 60, 80, bytes(9)),
        START + header(1, 5) + header(1, 5),  # second header
        START + header(1, 5) + QOS_OK,  # method in the middle
        START + header(1, 5) + bodies(1, b"ab") + START,
        START + header(1, 5) + bodies(1, b"ab") + method(1, 60, 80, bytes(9)),
        START + header(1, 5) + bodies(1, b"ab") + method(1, 60, 90, bytes(9)),
        START + header(1, 5) + bodies(1, b"ab") + method(1, 60, 120, bytes(9)),
        START + header(1, 5) + bodies(1, b"ab") + header(1, 3),
        QOS_OK + header(1, 0),  # a method without content
        method(1, 60, 72, b"\x00") + header(1, 0),  # get-empty
        START + header(2, 5),  # the header of another channel
        START + header(1, 1) + frame(3, 2, b"x"),
    ],
)
def test_a_content_frame_out_of_order_is_unexpected(codec: Codec, stream: bytes) -> None:
    assert failure(codec, stream).reply_code == 505


@pytest.mark.parametrize("over", [1, 2, 100])
def test_a_body_frame_longer_than_what_remains_is_a_framing_error(codec: Codec, over: int) -> None:
    stream = START + header(1, 5)
    assert failure(codec, stream + bodies(1, bytes(5 + over))).reply_code == 501
    error = failure(codec, stream + bodies(1, b"abc") + bodies(1, bytes(2 + over)))
    assert (error.reply_code, error.offset) == (501, len(stream + bodies(1, b"abc")))


def test_heartbeats_may_stand_between_the_frames_of_a_content(codec: Codec) -> None:
    stream = HEARTBEAT_FRAME.join([START, header(1, 2), bodies(1, b"a"), bodies(1, b"b")])
    events = feed_all(codec.Decoder(), stream)
    names = [type(event).__name__ for event in events]
    assert names == ["Heartbeat", "Heartbeat", "Heartbeat", "Delivery"]


def test_contents_of_several_channels_may_be_interleaved(codec: Codec) -> None:
    stream = deliver(1, "one") + deliver(2, "two") + publish(3, "three")
    stream += header(2, 4) + header(3, 2) + header(1, 4)
    stream += frame(3, 1, b"on") + frame(3, 2, b"tw") + frame(3, 3, b"33")
    stream += method(4, 60, 11) + frame(3, 2, b"o!") + frame(3, 1, b"e!")
    published, other, two, one = feed_all(codec.Decoder(), stream)
    assert (published.exchange, published.body) == ("three", b"33")
    assert other.channel == 4
    assert (two.consumer_tag, two.body, two.channel) == ("two", b"two!", 2)
    assert (one.consumer_tag, one.body, one.channel) == ("one", b"one!", 1)


def test_connection_methods_may_stand_between_the_frames_of_a_content(codec: Codec) -> None:
    blocked = method(0, 10, 60, b"\x03mem")
    stream = START + blocked + header(1, 1) + blocked + bodies(1, b"x")
    names = [type(event).__name__ for event in feed_all(codec.Decoder(), stream)]
    assert names == ["Method", "Method", "Delivery"]


@pytest.mark.parametrize("class_id", [0, 10, 50, 61, 0xFFFF])
def test_a_header_of_another_class_is_a_framing_error(codec: Codec, class_id: int) -> None:
    payload = struct.pack(">HHQH", class_id, 0, 0, 0)
    assert failure(codec, START + frame(2, 1, payload)).reply_code == 501


@pytest.mark.parametrize("weight", [1, 256, 0xFFFF])
def test_a_header_with_a_weight_is_a_framing_error(codec: Codec, weight: int) -> None:
    payload = struct.pack(">HHQH", 60, weight, 0, 0)
    assert failure(codec, START + frame(2, 1, payload)).reply_code == 501


@pytest.mark.parametrize("size", range(14))
def test_a_header_shorter_than_its_fixed_part_is_a_syntax_error(codec: Codec, size: int) -> None:
    payload = struct.pack(">HHQH", 60, 0, 0, 0)[:size]
    assert failure(codec, START + frame(2, 1, payload)).reply_code == 502


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_body_of_an_impossible_size_is_oversized(codec: Codec, size: int) -> None:
    (event,) = feed_all(codec.Decoder(), START + header(1, size))
    assert type(event).__name__ == "Oversized"
    assert (event.channel, event.size) == (1, size)


def test_an_oversized_content_is_skipped(codec: Codec) -> None:
    decoder = codec.Decoder(max_message_size=10)
    skipped = START + content(1, bytes(11), frame_max=8 + 4)
    taken = deliver(1, "next") + content(1, bytes(10), frame_max=8 + 4)
    oversized, event = feed_all(decoder, skipped + taken)
    assert type(oversized).__name__ == "Oversized"
    assert (oversized.channel, oversized.size) == (1, 11)
    assert (event.consumer_tag, event.body) == ("next", bytes(10))


def test_an_oversized_content_is_announced_at_its_header(codec: Codec) -> None:
    decoder = codec.Decoder(max_message_size=10)
    (oversized,) = feed_all(decoder, START + header(1, 11))
    assert oversized.size == 11
    assert feed_all(decoder, frame(3, 1, b"") + frame(3, 1, bytes(10))) == []
    names = [type(e).__name__ for e in feed_all(decoder, frame(3, 1, b"x") + QOS_OK)]
    assert names == ["Method"]


@pytest.mark.parametrize(
    "rest, reply_code",
    [
        (frame(3, 1, bytes(12)), 501),  # more than announced
        (frame(3, 1, bytes(5)) + frame(3, 1, bytes(7)), 501),
        (QOS_OK, 505),
        (header(1, 5), 505),
        (frame(3, 1, bytes(11)) + frame(3, 1, b""), 505),
    ],
)
def test_the_order_of_frames_holds_in_a_skipped_content(
    codec: Codec, rest: bytes, reply_code: int
) -> None:
    error = failure(codec, START + header(1, 11) + rest, max_message_size=10)
    assert error.reply_code == reply_code


def test_unfinished_bodies_together_are_bounded(codec: Codec) -> None:
    decoder = codec.Decoder(max_message_size=1000)
    for channel in range(1, 5):
        assert feed_all(decoder, deliver(channel) + header(channel, 1000)) == []
        assert feed_all(decoder, frame(3, channel, bytes(999))) == []
    held = deliver(5) + header(5, 1000) + frame(3, 5, bytes(4))
    assert feed_all(decoder, held) == []  # 4000 bytes
    (error,) = feed_all(decoder, frame(3, 5, b"x"))
    assert error.reply_code == 506


def test_announced_bodies_do_not_count_before_they_arrive(codec: Codec) -> None:
    decoder = codec.Decoder(max_message_size=1000)
    for channel in range(1, 101):
        assert feed_all(decoder, deliver(channel) + header(channel, 1000)) == []


def test_finished_and_skipped_bodies_do_not_count(codec: Codec) -> None:
    decoder = codec.Decoder(max_message_size=1000)
    for _ in range(10):
        (event,) = feed_all(decoder, deliver(1) + content(1, bytes(1000), frame_max=508))
        assert len(event.body) == 1000
        (event,) = feed_all(decoder, deliver(2) + content(2, bytes(1001), frame_max=508))
        assert event.size == 1001
