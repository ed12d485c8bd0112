"""What a decoder still tells once a frame was refused: the frame, what was due, and what follows."""

import pytest

from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec, Decoder

from .reference import HEARTBEAT_FRAME, bodies, deliver, frame, header, method

WRONG = frame(1, 1, b"\0\x3c\0\x0a", end=b"\0")
CLOSE_OK = method(0, 10, 51)


def fault(decoder: Decoder, data: bytes) -> FrameSyntaxError:
    """Feed what is refused and return the refusal."""
    *_, error = decoder.feed(data)
    assert isinstance(error, FrameSyntaxError)
    return error


def test_the_frame_at_fault_is_kept(codec: Codec) -> None:
    error = fault(codec.Decoder(), HEARTBEAT_FRAME + WRONG + CLOSE_OK)
    assert error.frame == WRONG


def test_of_a_frame_with_a_wrong_head_what_has_come_is_kept(codec: Codec) -> None:
    start = frame(9, 1, b"payload")[:10]
    assert fault(codec.Decoder(), HEARTBEAT_FRAME + start).frame == start


def test_what_follows_can_be_read_on(codec: Codec) -> None:
    decoder = codec.Decoder()
    fault(decoder, WRONG + CLOSE_OK)
    assert decoder.skip()
    assert [type(event) for event in decoder.more()] == [codec.Method]


def test_without_that_nothing_follows(codec: Codec) -> None:
    decoder = codec.Decoder()
    fault(decoder, WRONG + CLOSE_OK)
    assert decoder.more() == []
    assert not decoder.skip()
    assert decoder.feed(CLOSE_OK) == []


def test_offsets_go_on_behind_the_frame(codec: Codec) -> None:
    decoder = codec.Decoder()
    fault(decoder, HEARTBEAT_FRAME + WRONG + WRONG)
    assert decoder.skip()
    (error,) = decoder.more()
    assert isinstance(error, FrameSyntaxError)
    assert error.offset == len(HEARTBEAT_FRAME + WRONG)


@pytest.mark.parametrize(
    "head", [frame(9, 1, b""), frame(1, 1, bytes(5000)), frame(1, 3, bytes(4))]
)
def test_behind_a_wrong_head_nothing_is_certain(codec: Codec, head: bytes) -> None:
    decoder = codec.Decoder(frame_max=4096, channel_max=2)
    fault(decoder, HEARTBEAT_FRAME + head + CLOSE_OK)
    assert not decoder.skip()


def test_nothing_is_skipped_without_a_fault(codec: Codec) -> None:
    decoder = codec.Decoder()
    decoder.feed(CLOSE_OK[:-1])
    assert not decoder.skip()
    assert [type(event) for event in decoder.feed(CLOSE_OK[-1:])] == [codec.Method]


@pytest.mark.parametrize(
    "begun, due",
    [
        (b"", "method"),
        (deliver(1), "header"),
        (deliver(1) + header(1, 5), "body"),
        (deliver(1) + header(1, 5) + bodies(1, b"1234"), "body"),
        (deliver(1) + header(1, 5) + bodies(1, b"12345"), "method"),
        (deliver(2), "method"),
    ],
)
def test_what_is_due_is_known(codec: Codec, begun: bytes, due: str) -> None:
    decoder = codec.Decoder()
    decoder.feed(begun)
    assert decoder.due(1) == due
