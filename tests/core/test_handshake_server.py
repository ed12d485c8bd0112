"""What a server makes of a client's words during the handshake."""

import pytest
from pamqp.commands import Channel, Connection

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    AuthenticationRequested,
    ChallengeAnswered,
    ConnectionRefused,
    VhostRequested,
)
from hopmq.core.settings import Tuning
from hopmq.core.states import ConnectionState
from hopmq.errors import ConnectError, ConnectTimeoutError, HandshakeError
from hopmq.wire import Codec

from .actors import method, methods, names, published, written
from .conversation import OPEN_FRAME, PROTOCOL_HEADER, START_OK_FRAME, tune_ok
from .pair import START, server_settings


def new_server(codec: Codec, tuning: Tuning | None = None) -> ConnectionCore:
    limits = tuning or Tuning(channel_max=100, frame_max=8192, heartbeat=0)
    return ConnectionCore(server_settings(tuning=limits), START, codec=codec)


def logged_in(codec: Codec, tuning: Tuning | None = None) -> ConnectionCore:
    """Return a server that waits for tune-ok."""
    core = new_server(codec, tuning)
    core.receive_data(PROTOCOL_HEADER + START_OK_FRAME, START)
    core.events()
    core.opening.accept_login()
    core.data_to_send(START)
    return core


def refusal(core: ConnectionCore) -> ConnectError:
    """Return why the handshake failed; nothing else may have happened."""
    (event,) = core.events()
    assert isinstance(event, ConnectionRefused)
    assert core.state is ConnectionState.CLOSED
    assert core.next_deadline() is None
    return event.error


def test_the_server_waits_for_the_header(codec: Codec) -> None:
    core = new_server(codec)
    assert written(core) == []
    core.receive_data(PROTOCOL_HEADER, START)
    assert names(written(core)) == ["Connection.Start"]


def test_start_offers_what_the_server_has(codec: Codec) -> None:
    settings = server_settings(mechanisms=("EXTERNAL", "PLAIN"), properties={"product": "P"})
    core = ConnectionCore(settings, START, codec=codec)
    core.receive_data(PROTOCOL_HEADER, START)
    (start,) = methods(written(core))
    assert isinstance(start, Connection.Start)
    assert (start.version_major, start.version_minor) == (0, 9)
    assert start.mechanisms in {"EXTERNAL PLAIN", b"EXTERNAL PLAIN"}
    assert start.server_properties == {"product": "P"}


@pytest.mark.parametrize(
    "header", [b"AMQP\x00\x01\x00\x00", b"AMQP\x01\x01\x00\x0a", b"AMQP\x00\x00\x08\x00"]
)
def test_another_version_gets_our_header_and_no_more(codec: Codec, header: bytes) -> None:
    core = new_server(codec)
    core.receive_data(header, START)
    assert isinstance(refusal(core), HandshakeError)
    assert b"".join(core.data_to_send(START)) == PROTOCOL_HEADER


def test_a_peer_that_speaks_http_gets_our_header_and_no_more(codec: Codec) -> None:
    core = new_server(codec)
    core.receive_data(b"GET / HTTP/1.1\r\n\r\n", START)
    assert isinstance(refusal(core), HandshakeError)
    assert b"".join(core.data_to_send(START)) == PROTOCOL_HEADER


def test_frames_before_the_header_are_refused(codec: Codec) -> None:
    core = new_server(codec)
    core.receive_data(START_OK_FRAME, START)
    assert isinstance(refusal(core), HandshakeError)


def test_a_second_header_is_refused(codec: Codec) -> None:
    core = new_server(codec)
    core.receive_data(PROTOCOL_HEADER + PROTOCOL_HEADER, START)
    assert isinstance(refusal(core), HandshakeError)


def test_a_challenge_gets_its_answer(codec: Codec) -> None:
    core = new_server(codec)
    core.receive_data(PROTOCOL_HEADER + START_OK_FRAME, START)
    assert [type(event) for event in core.events()] == [AuthenticationRequested]
    core.opening.challenge(b"2 + 2?")
    core.receive_data(method(0, Connection.SecureOk, response=b"4"), START)
    assert core.events() == [ChallengeAnswered(b"4")]
    core.opening.accept_login()
    assert names(written(core)) == ["Connection.Start", "Connection.Secure", "Connection.Tune"]


@pytest.mark.parametrize(
    "received",
    [
        [PROTOCOL_HEADER, tune_ok()],
        [PROTOCOL_HEADER, OPEN_FRAME],
        [PROTOCOL_HEADER, method(0, Connection.SecureOk)],
        [PROTOCOL_HEADER, method(0, Connection.CloseOk)],
        [PROTOCOL_HEADER, method(0, Connection.UpdateSecret)],
        [PROTOCOL_HEADER, method(1, Channel.Open)],
        [PROTOCOL_HEADER, published(1)],
    ],
)
def test_methods_before_start_ok_are_refused(codec: Codec, received: list[bytes]) -> None:
    core = new_server(codec)
    for piece in received:
        core.receive_data(piece, START)
    assert isinstance(refusal(core), HandshakeError)


@pytest.mark.parametrize("early", [START_OK_FRAME, tune_ok(), OPEN_FRAME])
def test_a_client_that_does_not_wait_for_the_verdict_is_refused(codec: Codec, early: bytes) -> None:
    core = new_server(codec)
    core.receive_data(PROTOCOL_HEADER + START_OK_FRAME + early, START)
    request, refused = core.events()
    assert isinstance(request, AuthenticationRequested)
    assert isinstance(refused, ConnectionRefused)
    assert core.state is ConnectionState.CLOSED


@pytest.mark.parametrize("received", [START_OK_FRAME, OPEN_FRAME, method(1, Channel.Open)])
def test_methods_instead_of_tune_ok_are_refused(codec: Codec, received: bytes) -> None:
    core = logged_in(codec)
    core.receive_data(received, START)
    assert isinstance(refusal(core), HandshakeError)


@pytest.mark.parametrize("received", [START_OK_FRAME, tune_ok(), method(1, Channel.Open)])
def test_methods_instead_of_open_are_refused(codec: Codec, received: bytes) -> None:
    core = logged_in(codec)
    core.receive_data(tune_ok(), START)
    core.receive_data(received, START)
    assert isinstance(refusal(core), HandshakeError)


def test_methods_of_a_server_are_refused(codec: Codec) -> None:
    core = new_server(codec)
    core.receive_data(PROTOCOL_HEADER + method(0, Connection.Start), START)
    assert isinstance(refusal(core), HandshakeError)


@pytest.mark.parametrize(
    "chosen",
    [
        tune_ok(channel_max=101),
        tune_ok(channel_max=0),
        tune_ok(frame_max=8193),
        tune_ok(frame_max=0),
        tune_ok(frame_max=4095),
        tune_ok(frame_max=1),
    ],
)
def test_a_tune_ok_beyond_the_offer_is_refused(codec: Codec, chosen: bytes) -> None:
    core = logged_in(codec)
    core.receive_data(chosen, START)
    assert isinstance(refusal(core), HandshakeError)
    assert core.data_to_send(START) == []


def test_a_tune_ok_within_the_offer_is_what_holds(codec: Codec) -> None:
    core = logged_in(codec)
    core.receive_data(tune_ok(channel_max=7, frame_max=4096, heartbeat=9) + OPEN_FRAME, START)
    assert core.events() == [VhostRequested("/")]
    assert core.tuning == Tuning(channel_max=7, frame_max=4096, heartbeat=9)


@pytest.mark.parametrize("channel_max", [0, 1, 65_535])
@pytest.mark.parametrize("frame_max", [0, 4096, 1 << 20])
def test_a_server_without_limits_takes_any(codec: Codec, channel_max: int, frame_max: int) -> None:
    core = logged_in(codec, Tuning(channel_max=0, frame_max=0, heartbeat=0))
    core.receive_data(tune_ok(channel_max, frame_max) + OPEN_FRAME, START)
    core.opening.accept_vhost()
    assert core.tuning.channel_max == (channel_max or 65_535)
    assert core.tuning.frame_max == (frame_max or 131_072)
    core.receive_data(method(1, Channel.Open), START)
    assert list(core.channels) == [1]


def test_a_client_that_stalls_is_dropped_at_the_deadline(codec: Codec) -> None:
    core = ConnectionCore(server_settings(handshake_timeout=3.0), START, codec=codec)
    core.receive_data(PROTOCOL_HEADER, START + 1)
    assert core.next_deadline() == START + 3
    core.handle_deadline(START + 2.9)
    assert core.state is ConnectionState.HANDSHAKE
    core.handle_deadline(START + 3)
    error = refusal(core)
    assert isinstance(error, ConnectTimeoutError)
    assert "connection.start-ok within 3 seconds" in str(error)


def test_the_handshake_deadline_ends_with_the_handshake(codec: Codec) -> None:
    core = logged_in(codec)
    core.receive_data(tune_ok() + OPEN_FRAME, START)
    core.opening.accept_vhost()
    assert core.next_deadline() is None


def test_a_client_that_hangs_up_is_named_with_its_step(codec: Codec) -> None:
    core = logged_in(codec)
    core.receive_eof(START)
    assert "connection.tune-ok" in str(refusal(core))
