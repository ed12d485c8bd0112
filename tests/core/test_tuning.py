"""The limits of a connection: what is agreed, and from which byte on it holds."""

import pytest
from pamqp.commands import Basic, Channel, Connection, Queue

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ChannelOpened, ConnectionEnded, ConnectionRefused
from hopmq.core.sasl import Credentials
from hopmq.core.settings import Tuning, negotiate
from hopmq.core.states import ConnectionState
from hopmq.errors import (
    ChannelNumberError,
    EncodeError,
    FramingError,
    HandshakeError,
    UsageError,
)
from hopmq.wire import Codec, new_method

from .actors import Waiting, frame, method, methods, parsed
from .conversation import OPEN_OK_FRAME, PROTOCOL_HEADER, START_FRAME, START_OK_FRAME, tune, tune_ok
from .pair import START, ConnectionPair, client_settings, server_settings


@pytest.mark.parametrize(
    "ours, theirs, agreed",
    [
        ((10, 8192, 60), (20, 131_072, 30), (10, 8192, 30)),
        ((20, 131_072, 30), (10, 8192, 60), (10, 8192, 30)),
        ((10, 8192, 60), (0, 0, 0), (10, 8192, 60)),
        ((0, 0, 60), (10, 8192, 0), (10, 8192, 60)),
        ((0, 0, 0), (0, 0, 0), (65_535, 131_072, 0)),
        ((10, 8192, 0), (10, 8192, 60), (10, 8192, 0)),
        ((10, 4096, 1), (10, 4096, 1), (10, 4096, 1)),
        ((65_535, 2**32 - 1, 65_535),) * 3,
    ],
)
def test_the_lower_limit_holds_and_zero_is_none(
    ours: tuple[int, int, int], theirs: tuple[int, int, int], agreed: tuple[int, int, int]
) -> None:
    def tuning(values: tuple[int, int, int]) -> Tuning:
        channel_max, frame_max, heartbeat = values
        return Tuning(channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat)

    assert negotiate(tuning(ours), tuning(theirs)) == tuning(agreed)


@pytest.mark.parametrize("frame_max", [1, 8, 4095])
def test_a_frame_max_below_the_minimum_is_refused(codec: Codec, frame_max: int) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(START_FRAME + tune(frame_max=frame_max), START)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)
    assert isinstance(refused.error, HandshakeError)
    assert f"frame_max {frame_max} is below the minimum of 4096" in str(refused.error)


def test_a_frame_max_of_the_minimum_is_accepted(codec: Codec) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(START_FRAME + tune(frame_max=4096) + OPEN_OK_FRAME, START)
    assert core.state is ConnectionState.OPEN
    assert core.frame_max == 4096


def test_tune_ok_says_what_holds(codec: Codec) -> None:
    ours = Tuning(channel_max=50, frame_max=8192, heartbeat=40)
    core = ConnectionCore(client_settings(tuning=ours), START, codec=codec)
    core.receive_data(START_FRAME + tune(2047, 131_072, 20), START)
    sent = parsed(b"".join(core.data_to_send(START)))
    reply = methods(sent)[1]
    assert isinstance(reply, Connection.TuneOk)
    assert (reply.channel_max, reply.frame_max, reply.heartbeat) == (50, 8192, 20)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (Tuning(channel_max=0, frame_max=0, heartbeat=0), Tuning(heartbeat=0)),
        (Tuning(heartbeat=0), Tuning(channel_max=0, frame_max=0, heartbeat=0)),
        (Tuning(channel_max=0, frame_max=0, heartbeat=0),) * 2,
    ],
)
def test_a_connection_without_limits_of_ones_own_works(
    codec: Codec, ours: Tuning, theirs: Tuning
) -> None:
    pair = ConnectionPair(codec, client_settings(tuning=ours), server_settings(tuning=theirs))
    pair.open().open_channel()
    assert pair.client.tuning == pair.server.tuning


# --- from when on the limits hold ------------------------------------------------------------


OVERHEAD = 8
"""What a server tolerates: RabbitMQ compares payloads with frame_max, not frames."""


def oversize(frame_max: int) -> bytes:
    """Return the head of a frame that is one byte too large; its payload need not come."""
    return frame(1, 0, bytes(frame_max - 8 + 1))[:7]


def fitting(frame_max: int) -> bytes:
    """Return a connection.start of exactly `frame_max` bytes."""
    room = frame_max - len(method(0, Connection.Start, version_minor=9, mechanisms="PLAIN "))
    data = method(0, Connection.Start, version_minor=9, mechanisms="PLAIN " + "x" * room)
    assert len(data) == frame_max
    return data


def test_before_tune_the_minimum_holds(codec: Codec) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(oversize(4096), START)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)
    assert "exceeds frame_max 4096" in str(refused.error)


def test_before_tune_a_frame_of_the_minimum_is_accepted(codec: Codec) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(fitting(4096), START)
    assert core.state is ConnectionState.HANDSHAKE
    core.receive_data(tune(frame_max=4096) + OPEN_OK_FRAME, START)
    assert core.state is ConnectionState.OPEN


@pytest.mark.parametrize("minimum", [4096, 8192])
def test_the_server_holds_its_minimum_before_tune_too(codec: Codec, minimum: int) -> None:
    core = ConnectionCore(server_settings(frame_min=minimum), START, codec=codec)
    core.receive_data(PROTOCOL_HEADER + oversize(minimum + OVERHEAD), START)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)


@pytest.mark.parametrize("frame_max", [1, 4096, 8191])
def test_the_server_refuses_a_frame_max_below_its_minimum(codec: Codec, frame_max: int) -> None:
    core = ConnectionCore(server_settings(frame_min=8192), START, codec=codec)
    core.receive_data(PROTOCOL_HEADER + START_OK_FRAME, START)
    core.opening.accept_login()
    core.receive_data(tune_ok(frame_max=frame_max), START)
    assert isinstance(core.events()[-1], ConnectionRefused)


def test_what_follows_tune_in_the_same_read_meets_its_limit(codec: Codec) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(START_FRAME + tune(frame_max=8192) + oversize(8192), START)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)
    assert "exceeds frame_max 8192" in str(refused.error)


def test_a_frame_above_the_minimum_may_follow_tune_in_the_same_read(codec: Codec) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(START_FRAME + tune(frame_max=8192) + OPEN_OK_FRAME, START)
    core.open_channel(Waiting())
    open_ok = method(1, Channel.OpenOk, channel_id=b"x" * 8000)
    core.receive_data(open_ok, START)
    assert core.state is ConnectionState.OPEN


def test_after_tune_an_oversize_frame_closes_with_501(codec: Codec) -> None:
    pair = ConnectionPair(codec, server=server_settings(tuning=Tuning(frame_max=8192, heartbeat=0)))
    core = pair.open().client
    core.receive_data(oversize(8192), START)
    (ended,) = core.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, FramingError)
    (close,) = methods(parsed(b"".join(core.data_to_send(START))))
    assert isinstance(close, Connection.Close)
    assert close.reply_code == 501


def test_the_server_takes_its_limits_from_tune_ok_at_once(codec: Codec) -> None:
    core = ConnectionCore(server_settings(), START, codec=codec)
    core.receive_data(PROTOCOL_HEADER + START_OK_FRAME, START)
    core.opening.accept_login()
    core.receive_data(tune_ok(frame_max=4096, channel_max=5), START)
    core.receive_data(oversize(4096 + OVERHEAD), START)
    *_, refused = core.events()
    assert isinstance(refused, ConnectionRefused)
    assert "exceeds frame_max 4104" in str(refused.error)


def test_a_channel_above_channel_max_closes_with_504(codec: Codec) -> None:
    pair = ConnectionPair(codec, client_settings(tuning=Tuning(channel_max=2, heartbeat=0))).open()
    for core in (pair.client, pair.server):
        core.receive_data(method(3, Basic.QosOk), START)
        (ended,) = core.events()
        assert isinstance(ended, ConnectionEnded)
        assert isinstance(ended.error, ChannelNumberError)


def test_a_server_counts_channels_and_lets_clients_number_them(codec: Codec) -> None:
    pair = ConnectionPair(codec, client_settings(tuning=Tuning(channel_max=2, heartbeat=0))).open()
    core = pair.server
    for number in (9, 65_535):
        core.receive_data(method(number, Channel.Open), START)
    assert core.events() == [ChannelOpened(9), ChannelOpened(65_535)]
    core.receive_data(method(1, Channel.Open), START)
    *_, ended = core.events()
    assert isinstance(ended, ConnectionEnded)
    assert ended.error.reply_code == 530


# --- what we send ---------------------------------------------------------------------------


def test_nothing_above_the_agreed_frame_max_is_sent(codec: Codec) -> None:
    limits = Tuning(frame_max=4096, heartbeat=0)
    pair = ConnectionPair(codec, server=server_settings(tuning=limits)).open()
    channel, _ = pair.open_channel()
    channel.publish(None, "", "q", False, None, bytes(100_000))
    data = b"".join(pair.client.data_to_send(pair.now))
    decoder = codec.Decoder(frame_max=4096)
    (message,) = decoder.feed(data)
    assert len(message.body) == 100_000


def test_a_method_above_the_agreed_frame_max_is_refused_and_nothing_is_sent(codec: Codec) -> None:
    limits = Tuning(frame_max=4096, heartbeat=0)
    pair = ConnectionPair(codec, server=server_settings(tuning=limits)).open()
    channel, _ = pair.open_channel()
    declare = new_method(Queue.Declare, queue="q", arguments={"x": "y" * 5000})
    with pytest.raises(EncodeError):
        channel.request(Waiting(), declare, Queue.DeclareOk)
    assert pair.client.data_to_send(pair.now) == []
    assert len(channel.replies) == 0


def test_credentials_larger_than_the_minimum_are_sent(codec: Codec) -> None:
    settings = client_settings(credentials=Credentials("user", "t" * 10_000))
    core = ConnectionCore(settings, START, codec=codec)
    core.receive_data(START_FRAME, START)
    assert sum(map(len, core.data_to_send(START))) > 10_000


def test_a_virtual_host_that_cannot_be_sent_is_refused_before_connecting() -> None:
    with pytest.raises(UsageError):
        client_settings(virtual_host="v" * 256)
