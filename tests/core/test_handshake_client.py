"""What a client makes of a peer's answers during the handshake."""

import pytest
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionOpened, ConnectionRefused
from hopmq.core.states import ConnectionState
from hopmq.errors import AuthenticationError, ConnectError, HandshakeError
from hopmq.wire import PURE, Codec

from .actors import deliver, frame, method, methods, names, written
from .conversation import OPEN_OK_FRAME, SERVER_SIDE, START_FRAME, TUNE_FRAME
from .pair import START, client_settings


def new_client(codec: Codec, *received: bytes) -> ConnectionCore:
    core = ConnectionCore(client_settings(), START, codec=codec)
    for piece in received:
        core.receive_data(piece, START)
    return core


def refusal(core: ConnectionCore) -> ConnectError:
    """Return why the handshake failed; nothing else may have happened."""
    (event,) = core.events()
    assert isinstance(event, ConnectionRefused)
    assert core.state is ConnectionState.CLOSED
    assert core.next_deadline() is None
    return event.error


@pytest.mark.parametrize("at", range(1, len(SERVER_SIDE)))
def test_the_servers_bytes_may_be_cut_anywhere(codec: Codec, at: int) -> None:
    core = new_client(codec, SERVER_SIDE[:at], SERVER_SIDE[at:])
    assert core.events() == [ConnectionOpened()]


def test_the_header_goes_first_and_each_answer_once(codec: Codec) -> None:
    core = new_client(codec)
    assert b"".join(core.data_to_send(START)) == b"AMQP\x00\x00\x09\x01"
    core.receive_data(START_FRAME, START)
    assert names(written(core)) == ["Connection.StartOk"]
    core.receive_data(TUNE_FRAME, START)
    assert names(written(core)) == ["Connection.TuneOk", "Connection.Open"]
    core.receive_data(OPEN_OK_FRAME, START)
    assert written(core) == []


def test_a_header_that_comes_back_names_the_version_the_broker_wants(codec: Codec) -> None:
    error = refusal(new_client(codec, b"AMQP\x03\x01\x00\x00"))
    assert isinstance(error, HandshakeError)
    assert "AMQP 1.0.0" in str(error)


def test_an_http_answer_is_recognised(codec: Codec) -> None:
    error = refusal(new_client(codec, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert isinstance(error, HandshakeError)
    assert "management port" in str(error)


def test_an_http_answer_is_recognised_byte_by_byte(codec: Codec) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    core = new_client(codec, *(bytes([octet]) for octet in answer))
    assert "management port" in str(refusal(core))


@pytest.mark.parametrize("minor", [0, 1, 3])
def test_a_tls_alert_is_recognised(codec: Codec, minor: int) -> None:
    error = refusal(new_client(codec, b"\x15\x03" + bytes([minor]) + b"\x00\x02\x02\x46"))
    assert isinstance(error, HandshakeError)
    assert "amqps://" in str(error)


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9\r\n", bytes(8), b"\xff" * 20, b"AMQX0000"])
def test_garbage_is_quoted(codec: Codec, garbage: bytes) -> None:
    error = refusal(new_client(codec, garbage))
    assert isinstance(error, HandshakeError)
    assert repr(garbage[:7])[2:-1] in str(error)


def test_a_broker_of_another_version_is_refused(codec: Codec) -> None:
    start = method(0, Connection.Start, version_major=0, version_minor=8, mechanisms="PLAIN")
    assert "0-8" in str(refusal(new_client(codec, start)))


def test_a_hang_up_after_start_ok_means_refused_credentials(codec: Codec) -> None:
    core = new_client(codec, START_FRAME)
    core.receive_eof(START)
    assert isinstance(refusal(core), AuthenticationError)


def test_a_hang_up_after_start_ok_is_no_refusal_of_a_broker_that_would_say_so(
    codec: Codec,
) -> None:
    start = method(
        0,
        Connection.Start,
        version_major=0,
        version_minor=9,
        mechanisms="PLAIN",
        server_properties={"capabilities": {"authentication_failure_close": True}},
    )
    core = new_client(codec, start)
    core.receive_eof(START)
    error = refusal(core)
    assert type(error) is HandshakeError
    assert "connection.tune" in str(error)


@pytest.mark.parametrize(
    "received, awaited",
    [([], "connection.start"), ([START_FRAME, TUNE_FRAME], "connection.open-ok")],
)
def test_a_hang_up_elsewhere_says_what_was_awaited(
    codec: Codec, received: list[bytes], awaited: str
) -> None:
    core = new_client(codec, *received)
    core.receive_eof(START)
    error = refusal(core)
    assert type(error) is HandshakeError
    assert awaited in str(error)


def test_a_close_in_the_handshake_is_answered(codec: Codec) -> None:
    core = new_client(codec, START_FRAME)
    core.data_to_send(START)
    core.receive_data(method(0, Connection.Close, reply_code=403, reply_text="no"), START)
    assert isinstance(refusal(core), AuthenticationError)
    assert names(written(core)) == ["Connection.CloseOk"]


def test_a_close_with_403_is_about_the_credentials_at_any_step(codec: Codec) -> None:
    close = method(0, Connection.Close, reply_code=403, reply_text="ACCESS_REFUSED")
    assert isinstance(
        refusal(new_client(codec, START_FRAME, TUNE_FRAME, close)), AuthenticationError
    )


def test_a_530_before_open_is_not_about_the_virtual_host(codec: Codec) -> None:
    close = method(0, Connection.Close, reply_code=530, reply_text="NOT_ALLOWED")
    assert type(refusal(new_client(codec, START_FRAME, close))) is HandshakeError


@pytest.mark.parametrize(
    "received",
    [
        [TUNE_FRAME],
        [OPEN_OK_FRAME],
        [START_FRAME, START_FRAME],
        [START_FRAME, OPEN_OK_FRAME],
        [START_FRAME, TUNE_FRAME, TUNE_FRAME],
        [START_FRAME, TUNE_FRAME, START_FRAME],
        [START_FRAME, method(0, Connection.Blocked, reason="alarm")],
        [START_FRAME, TUNE_FRAME, method(0, Connection.Secure, challenge=b"?")],
        [method(0, Connection.CloseOk)],
    ],
)
def test_methods_out_of_order_are_refused(codec: Codec, received: list[bytes]) -> None:
    error = refusal(new_client(codec, *received))
    assert type(error) is HandshakeError
    assert "expected" in str(error)


@pytest.mark.parametrize(
    "stray",
    [
        method(1, Channel.OpenOk),
        method(1, Basic.QosOk),
        deliver(1, "tag", 1),
        PURE.encode_ack(1, 1, False),
    ],
)
def test_frames_of_channels_are_refused(codec: Codec, stray: bytes) -> None:
    assert isinstance(refusal(new_client(codec, START_FRAME, stray)), HandshakeError)


@pytest.mark.parametrize("kind", [Connection.StartOk, Connection.TuneOk, Connection.Open])
def test_methods_of_a_client_are_refused(codec: Codec, kind: type[Frame]) -> None:
    assert isinstance(refusal(new_client(codec, START_FRAME, method(0, kind))), HandshakeError)


def test_what_follows_a_refusal_is_ignored(codec: Codec) -> None:
    core = new_client(codec, START_FRAME + START_FRAME + TUNE_FRAME + OPEN_OK_FRAME)
    refusal(core)
    core.receive_data(SERVER_SIDE, START)
    core.receive_eof(START)
    core.handle_deadline(START + 1000)
    assert core.events() == []
    assert methods(written(core))[0].name == "Connection.StartOk"
    assert written(core) == []


def test_heartbeats_during_the_handshake_are_no_harm(codec: Codec) -> None:
    beat = frame(8, 0, b"")
    core = new_client(codec, START_FRAME + beat + TUNE_FRAME + beat + OPEN_OK_FRAME)
    assert core.events() == [ConnectionOpened()]


def test_closing_in_the_handshake_ends_it_for_good(codec: Codec) -> None:
    core = new_client(codec, START_FRAME)
    core.close()
    assert core.state is ConnectionState.CLOSED
    assert core.next_deadline() is None
    core.receive_data(TUNE_FRAME, START)
    core.receive_eof(START)
    assert core.events() == []
