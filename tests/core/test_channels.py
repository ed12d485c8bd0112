"""Channels: their opening, their numbers, and frames for those that are not open."""

import pytest
from pamqp.commands import Basic, Channel

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    ChannelOpened,
    ConnectionEnded,
)
from hopmq.core.replies import NOBODY
from hopmq.core.settings import Tuning
from hopmq.core.states import ChannelState, ConnectionState
from hopmq.errors import (
    ChannelNumberError,
    NoChannelAvailableError,
    PreconditionFailedError,
    UnexpectedFrameError,
    UsageError,
)
from hopmq.wire import PURE, Codec, new_method

from .actors import (
    Waiting,
    deliver,
    get_ok,
    method,
    names,
    published,
    returned,
    written,
)
from .pair import START, ConnectionPair, client_settings


def few_channels(codec: Codec, channel_max: int) -> ConnectionPair:
    limits = Tuning(channel_max=channel_max, heartbeat=0)
    return ConnectionPair(codec, client_settings(tuning=limits)).open()


# --- opening -----------------------------------------------------------------------------------


def test_a_channel_opens_at_both_ends(pair: ConnectionPair) -> None:
    waiter = Waiting()
    channel = pair.client.open_channel(waiter)
    assert channel.state is ChannelState.OPENING
    pair.exchange()
    assert isinstance(waiter.result, Channel.OpenOk)
    assert channel.state is ChannelState.OPEN
    assert pair.of_server(ChannelOpened) == [ChannelOpened(1)]


def test_channels_count_from_one(pair: ConnectionPair) -> None:
    assert [pair.open_channel()[0].channel_id for _ in range(3)] == [1, 2, 3]


def test_nothing_can_be_asked_of_a_channel_that_is_opening(pair: ConnectionPair) -> None:
    channel = pair.client.open_channel(Waiting())
    with pytest.raises(UsageError):
        channel.request(Waiting(), new_method(Basic.Qos), Basic.QosOk)
    with pytest.raises(UsageError):
        channel.publish(None, "", "q", False, None, b"")
    assert names(written(pair.client)) == ["Channel.Open"]


def test_a_server_opens_no_channels(server: ConnectionCore) -> None:
    with pytest.raises(UsageError):
        server.open_channel(Waiting())
    assert server.channels == {}
    assert written(server) == []


def test_opening_a_channel_twice_is_a_504_to_the_server(pair: ConnectionPair) -> None:
    pair.open_channel()
    pair.server.receive_data(method(1, Channel.Open), START)
    (ended,) = pair.server.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, ChannelNumberError)


def test_a_second_open_ok_is_a_505(client: ConnectionCore, channel: ChannelCore) -> None:
    client.receive_data(method(1, Channel.OpenOk), START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)


@pytest.mark.parametrize("stray", [method(1, Basic.QosOk), deliver(1, "tag", 1), get_ok(1, 1)])
def test_anything_before_open_ok_is_a_505(client: ConnectionCore, stray: bytes) -> None:
    client.open_channel(Waiting())
    client.receive_data(stray, START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)


def test_an_opening_that_was_abandoned_is_closed_when_open_ok_comes(pair: ConnectionPair) -> None:
    waiter = Waiting()
    channel = pair.client.open_channel(waiter)
    waiter.cancel()
    assert channel.state is ChannelState.OPENING
    pair.exchange()
    assert channel.state is ChannelState.CLOSED
    assert pair.client.channels == pair.server.channels == {}
    assert pair.open_channel()[0].channel_id == 1


def test_a_close_instead_of_open_ok_fails_the_opening(client: ConnectionCore) -> None:
    waiter = Waiting()
    channel = client.open_channel(waiter)
    client.receive_data(method(1, Channel.Close, reply_code=406, reply_text="no"), START)
    assert isinstance(waiter.error, PreconditionFailedError)
    assert channel.state is ChannelState.CLOSED
    assert client.channels == {}


# --- numbers -------------------------------------------------------------------------------------


def test_no_channel_above_channel_max_is_ever_opened(codec: Codec) -> None:
    pair = few_channels(codec, 3)
    for _ in range(3):
        pair.open_channel()
    for _ in range(2):
        with pytest.raises(NoChannelAvailableError, match="all 3 channels"):
            pair.client.open_channel(Waiting())
    assert pair.client.data_to_send(pair.now) == []
    assert pair.client.state is ConnectionState.OPEN


def test_a_number_is_free_again_only_after_close_ok(codec: Codec) -> None:
    pair = few_channels(codec, 1)
    channel, _ = pair.open_channel()
    channel.close(NOBODY)
    pair.to_server()
    with pytest.raises(NoChannelAvailableError):
        pair.client.open_channel(Waiting())
    pair.to_client()
    assert pair.open_channel()[0].channel_id == 1


def test_a_number_is_free_again_after_the_peer_closed(codec: Codec) -> None:
    pair = few_channels(codec, 1)
    _, theirs = pair.open_channel()
    theirs.close(NOBODY, 406, "no")
    pair.to_client()
    waiter = Waiting()
    pair.client.open_channel(waiter)
    assert names(written(pair.client)) == ["Channel.CloseOk", "Channel.Open"]


def test_a_new_channel_of_an_old_number_remembers_nothing(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    channel.consumers["tag"] = lambda _: None
    channel.deliveries.unsettled.add(1)
    channel.select_confirms(NOBODY)
    theirs.close(NOBODY, 406, "no")
    pair.exchange()
    again, _ = pair.open_channel()
    assert again.channel_id == channel.channel_id
    assert again is not channel
    assert again.consumers == {}
    assert again.confirms is None
    assert not again.deliveries.unsettled


def test_many_openings_and_closings_use_few_numbers_and_leave_nothing(codec: Codec) -> None:
    pair = few_channels(codec, 2)
    for _ in range(100):
        channel, _ = pair.open_channel()
        channel.close(NOBODY)
        pair.exchange()
        assert channel.channel_id == 1
    assert pair.client.channels == pair.server.channels == {}


# --- frames for channels that are not open ---------------------------------------------------------

STRAYS = [
    method(5, Basic.QosOk),
    method(5, Channel.OpenOk),
    method(5, Channel.Close, reply_code=404),
    method(5, Channel.CloseOk),
    method(5, Channel.Flow),
    method(5, Basic.Cancel),
    deliver(5, "tag", 1),
    get_ok(5, 1),
    returned(5),
    PURE.encode_ack(5, 1, False),
    PURE.encode_nack(5, 1, False, False),
]


@pytest.mark.parametrize("stray", STRAYS)
def test_a_frame_for_a_channel_that_is_not_open_is_a_504(
    client: ConnectionCore, stray: bytes
) -> None:
    client.receive_data(stray, START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, ChannelNumberError)
    assert "channel 5" in str(ended.error)


@pytest.mark.parametrize(
    "stray",
    [
        method(5, Basic.Qos),
        method(5, Channel.Close),
        method(5, Channel.CloseOk),
        published(5),
        PURE.encode_ack(5, 1, False),
        PURE.encode_reject(5, 1, False),
    ],
)
def test_a_server_answers_the_same(server: ConnectionCore, stray: bytes) -> None:
    server.receive_data(stray, START)
    (ended,) = server.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, ChannelNumberError)


def test_a_closed_channel_is_not_open(pair: ConnectionPair, client: ConnectionCore) -> None:
    channel, _ = pair.open_channel()
    channel.close(NOBODY)
    pair.exchange()
    client.receive_data(method(1, Basic.QosOk), START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, ChannelNumberError)
