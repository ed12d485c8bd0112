"""How channels end: by us, by the peer, by both at once."""

import pytest
from pamqp.commands import Basic, Channel, Queue

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    ChannelEnded,
    MessagePublished,
    MethodReceived,
)
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState
from hopmq.errors import (
    ChannelClosed,
    NotFoundError,
    PreconditionFailedError,
    channel_closed,
)
from hopmq.wire import PURE, new_method

from .actors import (
    Publish,
    Waiting,
    deliver,
    get_ok,
    method,
    methods,
    names,
    returned,
    written,
)
from .pair import START, ConnectionPair

# --- by us -----------------------------------------------------------------------------------


def test_a_close_is_answered_and_ends_the_channel_at_both_ends(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    waiter = Waiting()
    channel.close(waiter)
    assert channel.state is ChannelState.CLOSING
    pair.exchange()
    assert isinstance(waiter.result, Channel.CloseOk)
    assert channel.state is theirs.state is ChannelState.CLOSED
    assert pair.of_client(ChannelEnded) == []
    (ended,) = pair.of_server(ChannelEnded)
    assert ended.error.reply_code == 200


@pytest.mark.parametrize(
    "late",
    [
        deliver(1, "tag", 1),
        get_ok(1, 1),
        returned(1),
        method(1, Basic.QosOk),
        method(1, Basic.Cancel, consumer_tag="tag"),
        method(1, Channel.Flow),
        method(1, Channel.OpenOk),
        PURE.encode_ack(1, 1, False),
        PURE.encode_nack(1, 1, True, False),
    ],
)
def test_whatever_comes_on_a_closing_channel_is_ignored(
    client: ConnectionCore, channel: ChannelCore, late: bytes
) -> None:
    channel.close(NOBODY)
    written(client)
    client.receive_data(late, START)
    assert client.events() == []
    assert written(client) == []
    assert channel.state is ChannelState.CLOSING
    client.receive_data(method(1, Channel.CloseOk), START)
    assert channel.state is ChannelState.CLOSED


def test_a_server_ignores_what_comes_on_a_closing_channel(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    theirs.close(NOBODY, 404, "no queue")
    channel.publish(None, "", "q", False, None, b"late")
    channel.request(NOBODY, new_method(Queue.Declare), Queue.DeclareOk)
    pair.to_server()
    assert pair.of_server(MessagePublished) == []
    assert pair.of_server(MethodReceived) == []
    pair.exchange()
    assert pair.server.channels == {}


def test_closing_fails_whoever_waits_and_sends_nothing_more(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiter, publish = Waiting(), Publish()
    channel.select_confirms(NOBODY)
    channel.publish(publish, "", "q", False, None, b"")
    channel.request(waiter, new_method(Basic.Qos), Basic.QosOk)
    channel.close(NOBODY)
    assert isinstance(waiter.error, ChannelClosed)
    assert not waiter.error.by_peer
    assert publish.outcome == "lost"
    written(client)
    with pytest.raises(ChannelClosed):
        channel.request(Waiting(), new_method(Basic.Qos), Basic.QosOk)
    with pytest.raises(ChannelClosed):
        channel.publish(None, "", "q", False, None, b"")
    with pytest.raises(ChannelClosed):
        channel.close(NOBODY)
    assert written(client) == []


def test_two_closes_that_cross_end_the_channel_once_at_both_ends(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    ours, other = Waiting(), Waiting()
    channel.close(ours)
    theirs.close(other, 404, "no queue")
    pair.exchange()
    assert isinstance(ours.result, Channel.CloseOk)
    assert isinstance(other.result, Channel.CloseOk)
    assert channel.state is theirs.state is ChannelState.CLOSED
    assert pair.client.channels == pair.server.channels == {}
    assert pair.of_client(ChannelEnded) == pair.of_server(ChannelEnded) == []
    assert pair.open_channel()[0].channel_id == 1


def test_a_reply_text_that_is_too_long_is_cut(pair: ConnectionPair) -> None:
    channel, _ = pair.open_channel()
    channel.close(NOBODY, 541, "é" * 200)
    pair.exchange()
    (ended,) = pair.of_server(ChannelEnded)
    assert ended.error.reply_text == "é" * 127


# --- by the peer -------------------------------------------------------------------------------


def refused(kind: type[Queue.Declare | Queue.Bind], code: int) -> ChannelClosed:
    class_id, method_id = kind.index >> 16, kind.index & 0xFFFF
    return channel_closed(code, "no", class_id=class_id, method_id=method_id)


def test_a_peers_close_blames_the_first_and_spares_the_ones_behind(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    waiters = [Waiting() for _ in range(3)]
    for waiter in waiters:
        channel.request(waiter, new_method(Queue.Declare), Queue.DeclareOk)
    pair.to_server()
    theirs.abort(refused(Queue.Declare, 404))
    pair.exchange()
    assert [type(waiter.error) for waiter in waiters] == [NotFoundError] * 3
    assert [waiter.error.unprocessed for waiter in waiters] == [False, True, True]
    assert len({id(waiter.error) for waiter in waiters}) == 3


def test_a_close_for_something_else_spares_nobody(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    waiters = [Waiting() for _ in range(2)]
    for waiter in waiters:
        channel.request(waiter, new_method(Queue.Declare), Queue.DeclareOk)
    pair.to_server()
    theirs.abort(refused(Queue.Bind, 404))
    pair.exchange()
    assert [waiter.error.unprocessed for waiter in waiters] == [False, False]


def test_a_first_waiter_that_is_gone_is_the_blamed_one_still(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    waiters = [Waiting() for _ in range(2)]
    for waiter in waiters:
        channel.request(waiter, new_method(Queue.Declare), Queue.DeclareOk)
    waiters[0].cancel()
    pair.to_server()
    theirs.abort(refused(Queue.Declare, 404))
    pair.exchange()
    assert waiters[0].answers == 0
    assert waiters[1].error.unprocessed


def test_a_peers_close_is_answered_and_told_once(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    theirs.close(NOBODY, 406, "PRECONDITION_FAILED")
    pair.to_client()
    (ended,) = pair.of_client(ChannelEnded)
    assert isinstance(ended.error, PreconditionFailedError)
    assert ended.error.by_peer
    assert names(written(pair.client)) == ["Channel.CloseOk"]
    assert channel.state is ChannelState.CLOSED
    with pytest.raises(PreconditionFailedError):
        channel.check_open()


def test_a_peers_close_loses_publishes_and_consumers_of_that_channel_alone(
    pair: ConnectionPair,
) -> None:
    channel, theirs = pair.open_channel()
    other, _ = pair.open_channel()
    publishes = [Publish(), Publish()]
    for each, publish in zip((channel, other), publishes, strict=True):
        each.select_confirms(NOBODY)
        each.publish(publish, "", "q", False, None, b"")
        each.consumers["tag"] = lambda _: None
    theirs.close(NOBODY, 404, "no")
    pair.to_client()
    assert [publish.outcome for publish in publishes] == ["lost", None]
    assert not channel.consumers
    assert other.consumers
    assert other.state is ChannelState.OPEN


def test_the_class_and_method_to_blame_cross_the_wire(pair: ConnectionPair) -> None:
    _, theirs = pair.open_channel()
    theirs.abort(refused(Queue.Declare, 404))
    (close,) = methods(written(pair.server))
    assert isinstance(close, Channel.Close)
    assert (close.class_id, close.method_id) == (50, 10)


def test_the_client_notices_flow_and_says_so(pair: ConnectionPair) -> None:
    channel, theirs = pair.open_channel()
    theirs.send(new_method(Channel.Flow, active=False))
    pair.to_client()
    assert not channel.flowing
    theirs.send(new_method(Channel.Flow, active=True))
    pair.to_client()
    assert channel.flowing
    assert names(written(pair.client)) == ["Channel.FlowOk"] * 2
