"""What a server says to mistakes, and when it says nothing at all."""

import pytest
from pamqp.commands import Basic, Channel, Connection

from hopmq.core import wrong_frames
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionEnded, ConnectionRefused
from hopmq.core.states import ConnectionState
from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec

from .actors import frame, method, methods, names, written
from .conversation import PROTOCOL_HEADER, START_OK_FRAME, tune_ok
from .pair import START, ConnectionPair, server_settings

DELAY = 3.0


def greeted(codec: Codec) -> ConnectionCore:
    """Return a server that waits for start-ok, and for a while before it hangs up."""
    core = ConnectionCore(server_settings(silent_close_delay=DELAY), START, codec=codec)
    core.receive_data(PROTOCOL_HEADER, START)
    core.data_to_send(START)
    return core


MISTAKES = {
    "a step out of turn": tune_ok(),
    "a method of a channel": method(1, Channel.Open),
    "content on a channel": method(1, Basic.Ack),
    "another header": PROTOCOL_HEADER,
    "noise": b"\xff" * 20,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_handshake_is_hung_up_on_after_a_while(codec: Codec, mistake: str) -> None:
    core = greeted(codec)
    core.receive_data(MISTAKES[mistake], START + 1)
    assert core.events() == []
    assert core.next_deadline() == START + 1 + DELAY
    core.handle_deadline(START + DELAY)
    assert core.state is ConnectionState.HANDSHAKE
    core.handle_deadline(START + 1 + DELAY)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)
    assert core.state is ConnectionState.CLOSED
    assert core.data_to_send(START + 5) == []


def test_what_is_right_after_a_mistake_is_not_heard(codec: Codec) -> None:
    core = greeted(codec)
    core.receive_data(tune_ok() + START_OK_FRAME, START)
    core.receive_data(START_OK_FRAME, START + 1)
    assert core.events() == []
    assert core.next_deadline() == START + DELAY


def test_a_client_that_leaves_is_not_waited_for(codec: Codec) -> None:
    core = greeted(codec)
    core.receive_data(tune_ok(), START)
    core.receive_eof(START + 1)
    (refused,) = core.events()
    assert "expected connection.start-ok" in str(refused.error)
    assert core.next_deadline() is None


def test_another_protocol_is_answered_at_once(codec: Codec) -> None:
    offer = b"AMQP\3\1\0\0"
    settings = server_settings(silent_close_delay=DELAY, counter_offer=offer)
    for header, answer in ((b"GET / HT", offer), (b"AMQP\0\0\x09\0", PROTOCOL_HEADER)):
        core = ConnectionCore(settings, START, codec=codec)
        core.receive_data(header, START)
        assert core.data_to_send(START) == [answer]
        assert core.state is ConnectionState.CLOSED


def test_the_close_of_a_malformed_frame_can_be_answered(pair: ConnectionPair) -> None:
    server = pair.server
    server.receive_data(frame(1, 1, b"\0\x3c\0\x0a") + method(0, Connection.CloseOk), START)
    assert isinstance(server.events()[-1], ConnectionEnded)
    assert server.state is ConnectionState.CLOSED
    assert names(written(server)) == ["Connection.Close"]


def test_malformed_frames_behind_it_are_not_told(pair: ConnectionPair) -> None:
    server = pair.server
    wrong = frame(1, 1, b"\0\x3c\0\x0a")
    server.receive_data(wrong * 3 + method(0, Connection.CloseOk), START)
    assert server.state is ConnectionState.CLOSED
    assert len(server.events()) == 1


def test_a_long_text_ends_with_dots(pair: ConnectionPair) -> None:
    pair.server.receive_data(frame(8, 1, bytes(range(200))), START)
    (close,) = methods(written(pair.server))
    assert isinstance(close, Connection.Close)
    assert len(close.reply_text) == 255
    assert close.reply_text.endswith("...")


# --- how Erlang breaks lines -----------------------------------------------------------------------


def quoted(payload: bytes, end: int) -> str:
    """Return the answer to a frame with a wrong end."""
    error = FrameSyntaxError(0, "wrong end", 501, frame=frame(1, 1, payload)[:-1] + bytes([end]))
    answer = wrong_frames.answer(error, "method", 131_072, counts_bodies=True)
    assert answer is not None
    return answer.text.removeprefix("FRAME_ERROR - type 1, all octets = ")


@pytest.mark.parametrize(
    "payload, end, text",
    [
        (b"", 0, "<<>>: {invalid_frame_end_marker,0}"),
        (b"text", 5, '<<"text">>: {invalid_frame_end_marker,5}'),
        (b'"\\', 5, '<<"\\"\\\\">>: {invalid_frame_end_marker,5}'),
        (
            b"\0\x3c\0\x0a\0\0\0\0\0\0\0",
            205,
            "<<0,60,0,10,0,0,0,0,0,0,0>>: {invalid_frame_end_marker,\n" + " " * 51 + "205}",
        ),
        (b"\0\x0a\0\x32", 0, "<<0,10,0,50>>: {invalid_frame_end_marker,0}"),
    ],
)
def test_a_full_line_is_broken_within_the_term(payload: bytes, end: int, text: str) -> None:
    assert quoted(payload, end) == text
