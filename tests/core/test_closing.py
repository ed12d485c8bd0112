"""The end of a connection: by either side, by both, by silence, by a fault, and what follows."""

from collections.abc import Callable
from typing import Any

import pytest
from pamqp.commands import Basic, Channel, Connection

from hopmq import errors
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionEnded, CoreEvent
from hopmq.core.replies import NOBODY
from hopmq.core.settings import Tuning
from hopmq.core.states import ChannelState, ConnectionState
from hopmq.errors import ConnectionClosed, ConnectionLostError, UnexpectedFrameError
from hopmq.wire import Codec, new_method

from .actors import Publish, Waiting, deliver, frame, get_ok, method, methods, names, written
from .pair import START, ConnectionPair, client_settings, server_settings

CLOSE_OK = method(0, Connection.CloseOk)
PEERS_CLOSE = method(0, Connection.Close, reply_code=320, reply_text="CONNECTION_FORCED")


def ended(events: list[CoreEvent]) -> ConnectionClosed:
    """Return why a connection ended, of which it must have told once."""
    (event,) = [each for each in events if isinstance(each, ConnectionEnded)]
    return event.error


# --- by us -----------------------------------------------------------------------------------------


def test_our_close_is_answered_and_closes_both_ends(pair: ConnectionPair) -> None:
    pair.client.close()
    assert pair.client.state is ConnectionState.CLOSING
    pair.exchange()
    assert pair.client.state is pair.server.state is ConnectionState.CLOSED
    ours, theirs = ended(pair.client_events), ended(pair.server_events)
    assert (ours.reply_code, ours.by_peer) == (200, False)
    assert (theirs.reply_code, theirs.by_peer) == (200, True)


def test_a_server_may_close_as_well(pair: ConnectionPair) -> None:
    pair.server.close(320, "shutting down")
    pair.exchange()
    assert pair.client.state is pair.server.state is ConnectionState.CLOSED
    error = ended(pair.client_events)
    assert isinstance(error, errors.ConnectionForcedError)
    assert error.reply_text == "shutting down"


def test_closing_is_told_at_once_and_once(pair: ConnectionPair) -> None:
    pair.client.close()
    assert len(pair.client.events()) == 1
    pair.client.close()
    pair.exchange()
    pair.client.close()
    assert pair.client_events[1:] == []


def test_an_unanswered_close_ends_at_its_deadline(codec: Codec) -> None:
    core = ConnectionPair(codec, client_settings(close_timeout=3.0)).open().client
    core.close()
    core.data_to_send(START + 100)  # long after anything was heard
    assert core.next_deadline() == START + 103
    core.handle_deadline(START + 102.9)
    assert core.state is ConnectionState.CLOSING
    core.handle_deadline(START + 103)
    assert core.state is ConnectionState.CLOSED
    assert core.next_deadline() is None
    assert ended(core.events()).reply_code == 200


def test_only_close_ok_counts_after_our_close(client: ConnectionCore, channel: ChannelCore) -> None:
    channel.consumers["tag"] = lambda _: pytest.fail("delivered after close")
    client.close()
    written(client)
    client.events()
    for late in (deliver(1, "tag", 1), get_ok(1, 1), method(1, Basic.QosOk), frame(8, 0, b"")):
        client.receive_data(late, START)
    client.receive_data(method(0, Connection.Blocked, reason="alarm"), START)
    client.receive_data(method(1, Channel.Close, reply_code=404), START)
    assert client.events() == []
    assert written(client) == []
    assert client.state is ConnectionState.CLOSING
    client.receive_data(CLOSE_OK, START)
    assert client.state is ConnectionState.CLOSED


def test_a_long_reply_text_is_cut_between_characters(pair: ConnectionPair) -> None:
    pair.client.close(541, "é" * 200)
    pair.exchange()
    assert ended(pair.server_events).reply_text == "é" * 127


def test_a_reply_text_that_is_no_text_still_closes(pair: ConnectionPair) -> None:
    pair.client.close(541, "bad \ud800 text")
    pair.exchange()
    assert ended(pair.server_events).reply_text == "bad ? text"


# --- by the peer -------------------------------------------------------------------------------------

CLASSES = {
    200: ConnectionClosed,
    320: errors.ConnectionForcedError,
    402: ConnectionClosed,
    403: ConnectionClosed,
    501: errors.FramingError,
    502: errors.MethodSyntaxError,
    503: errors.CommandInvalidError,
    504: errors.ChannelNumberError,
    505: errors.UnexpectedFrameError,
    506: errors.ResourceError,
    530: errors.NotAllowedError,
    540: errors.MethodNotImplementedError,
    541: errors.InternalBrokerError,
    0: ConnectionClosed,
    65_535: ConnectionClosed,
}


@pytest.mark.parametrize("code", CLASSES)
def test_each_reply_code_of_a_close_is_an_error_of_its_own(
    client: ConnectionCore, code: int
) -> None:
    close = method(
        0, Connection.Close, reply_code=code, reply_text="WORDS", class_id=50, method_id=10
    )
    client.receive_data(close, START)
    error = ended(client.events())
    assert type(error) is CLASSES[code]
    assert (error.reply_code, error.reply_text, error.by_peer) == (code, "WORDS", True)
    assert (error.class_id, error.method_id) == (50, 10)
    assert names(written(client)) == ["Connection.CloseOk"]
    assert client.state is ConnectionState.CLOSED


CHANNEL_CLASSES = {
    200: errors.ChannelClosed,
    311: errors.ContentTooLargeError,
    403: errors.AccessRefusedError,
    404: errors.NotFoundError,
    405: errors.ResourceLockedError,
    406: errors.PreconditionFailedError,
    541: errors.ChannelClosed,
    0: errors.ChannelClosed,
}


@pytest.mark.parametrize("code", CHANNEL_CLASSES)
def test_each_reply_code_of_a_channels_close_is_an_error_of_its_own(
    client: ConnectionCore, channel: ChannelCore, code: int
) -> None:
    client.receive_data(method(1, Channel.Close, reply_code=code, reply_text="WORDS"), START)
    error = channel.error
    assert type(error) is CHANNEL_CLASSES[code]
    assert (error.reply_code, error.reply_text, error.by_peer) == (code, "WORDS", True)


def test_a_peers_close_fails_everybody_with_an_error_of_their_own(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiters, publish = [Waiting() for _ in range(3)], Publish()
    channel.select_confirms(waiters[0])
    channel.request(waiters[1], new_method(Basic.Qos), Basic.QosOk)
    channel.publish(publish, "", "q", False, None, b"")
    client.request(waiters[2], new_method(Connection.UpdateSecret), Connection.UpdateSecretOk)
    client.receive_data(PEERS_CLOSE, START)
    kinds = {type(waiter.error) for waiter in waiters}
    assert kinds == {errors.ConnectionForcedError}
    assert len({id(waiter.error) for waiter in waiters}) == 3
    assert publish.outcome == "lost"
    assert channel.state is ChannelState.CLOSED
    assert client.channels == {}


# --- by both -------------------------------------------------------------------------------------------


def test_two_closes_that_cross_close_both_ends(pair: ConnectionPair) -> None:
    pair.client.close()
    pair.server.close(320, "shutdown")
    pair.exchange()
    assert pair.client.state is pair.server.state is ConnectionState.CLOSED
    assert not ended(pair.client_events).by_peer
    assert not ended(pair.server_events).by_peer


def test_a_channels_close_that_crosses_ours_is_ignored(pair: ConnectionPair) -> None:
    _, theirs = pair.open_channel()
    theirs.close(NOBODY, 404, "no")
    pair.client.close()
    pair.exchange()
    assert pair.client.state is pair.server.state is ConnectionState.CLOSED


# --- by a fault ------------------------------------------------------------------------------------------

FAULTS = [
    (frame(9, 0, b""), 501),
    (frame(8, 0, b"")[:-1] + b"\x00", 501),
    (frame(1, 0, b"\x00"), 502),
    (method(1, Connection.Blocked), 503),
    (method(99, Basic.QosOk), 504),
    (method(0, Connection.OpenOk), 505),
    (frame(1, 0, b"\x00\x63\x00\x01"), 540),
]


@pytest.mark.parametrize("fault, code", FAULTS)
def test_a_peers_fault_closes_with_its_code_and_names_it(
    client: ConnectionCore, channel: ChannelCore, fault: bytes, code: int
) -> None:
    waiter = Waiting()
    channel.request(waiter, new_method(Basic.Qos), Basic.QosOk)
    client.receive_data(fault, START)
    error = ended(client.events())
    assert type(error) is CLASSES[code]
    assert not error.by_peer
    assert error.hint
    assert type(waiter.error) is CLASSES[code]
    close = methods(written(client))[-1]
    assert isinstance(close, Connection.Close)
    assert (close.reply_code, close.reply_text) == (code, error.reply_text)
    assert client.state is ConnectionState.CLOSING


def test_the_method_at_fault_is_named_in_the_close(client: ConnectionCore) -> None:
    client.receive_data(method(0, Connection.StartOk), START)
    (close,) = methods(written(client))
    assert isinstance(close, Connection.Close)
    assert (close.class_id, close.method_id) == (10, 11)


def test_a_fault_while_closing_ends_the_connection_without_a_second_word(
    client: ConnectionCore,
) -> None:
    client.close()
    written(client)
    assert len(client.events()) == 1
    client.receive_data(frame(9, 0, b""), START)
    assert client.state is ConnectionState.CLOSED
    assert client.next_deadline() is None
    client.handle_deadline(START + 1000)
    client.receive_eof(START + 1000)
    assert client.events() == []
    assert written(client) == []


def test_a_fault_that_nobody_answers_ends_at_the_deadline(client: ConnectionCore) -> None:
    client.receive_data(frame(9, 0, b""), START)
    client.data_to_send(START)
    client.receive_data(CLOSE_OK, START)  # unreadable after the fault
    assert client.state is ConnectionState.CLOSING
    client.handle_deadline(START + 5)
    assert client.state is ConnectionState.CLOSED


# --- by silence --------------------------------------------------------------------------------------------


def test_an_end_of_the_link_is_a_lost_connection(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiter = Waiting()
    channel.request(waiter, new_method(Basic.Qos), Basic.QosOk)
    client.receive_eof(START, "connection reset by peer")
    error = ended(client.events())
    assert isinstance(error, ConnectionLostError)
    assert "connection reset by peer" in str(error)
    assert isinstance(waiter.error, ConnectionLostError)
    assert client.state is ConnectionState.CLOSED


def test_an_end_of_the_link_while_closing_is_the_end_we_wanted(client: ConnectionCore) -> None:
    client.close()
    assert ended(client.events()).reply_code == 200
    client.receive_eof(START)
    assert client.state is ConnectionState.CLOSED
    assert client.events() == []
    assert client.next_deadline() is None


def test_an_end_of_the_link_amid_a_message_drops_it(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    channel.consumers["tag"] = lambda _: pytest.fail("half a message")
    client.receive_data(deliver(1, "tag", 1)[:-5], START)
    client.receive_eof(START)
    assert isinstance(ended(client.events()), ConnectionLostError)


# --- after the end ---------------------------------------------------------------------------------------


def by_close_ok(core: ConnectionCore) -> None:
    core.close()
    core.receive_data(CLOSE_OK, START)


def by_deadline(core: ConnectionCore) -> None:
    core.close()
    core.data_to_send(START)
    core.handle_deadline(START + 5)


def by_crossing(core: ConnectionCore) -> None:
    core.close()
    core.receive_data(PEERS_CLOSE, START)


def by_fault(core: ConnectionCore) -> None:
    core.receive_data(method(0, Connection.OpenOk) + CLOSE_OK, START)


def by_fork(core: ConnectionCore) -> None:
    core.disown(errors.ForkedError())
    core.tell_end()


def by_dead_peer(core: ConnectionCore) -> None:
    core.handle_deadline(START + 120)


ENDS: list[tuple[Callable[[ConnectionCore], None], type[ConnectionClosed]]] = [
    (by_close_ok, ConnectionClosed),
    (by_deadline, ConnectionClosed),
    (by_crossing, ConnectionClosed),
    (by_fault, UnexpectedFrameError),
    (by_dead_peer, ConnectionLostError),
    (by_fork, errors.ForkedError),
    (lambda core: core.receive_data(PEERS_CLOSE, START), errors.ConnectionForcedError),
    (lambda core: core.receive_eof(START), ConnectionLostError),
]


@pytest.fixture
def lively(codec: Codec) -> ConnectionPair:
    """Return an open connection with heartbeats, which must stop with it."""
    limits = Tuning(heartbeat=60)
    pair = ConnectionPair(codec, client_settings(tuning=limits), server_settings(tuning=limits))
    return pair.open()


CALLS: list[Callable[[ConnectionCore, ChannelCore], Any]] = [
    lambda core, _: core.open_channel(Waiting()),
    lambda core, _: core.request(NOBODY, new_method(Connection.UpdateSecret)),
    lambda core, _: core.check_open(),
    lambda _, channel: channel.request(NOBODY, new_method(Basic.Qos)),
    lambda _, channel: channel.send(new_method(Basic.Qos)),
    lambda _, channel: channel.select_confirms(NOBODY),
    lambda _, channel: channel.recover(NOBODY, []),
    lambda _, channel: channel.publish(None, "", "q", False, None, b""),
    lambda _, channel: channel.close(NOBODY),
    lambda _, channel: channel.check_open(),
]


@pytest.mark.parametrize("end, kind", ENDS)
def test_every_call_after_the_end_raises_what_ended_it(
    lively: ConnectionPair, end: Callable[[ConnectionCore], None], kind: type[ConnectionClosed]
) -> None:
    channel, _ = lively.open_channel()
    core = lively.client
    end(core)
    assert core.state is ConnectionState.CLOSED
    assert type(ended(core.events())) is kind
    written(core)
    for call in CALLS:
        with pytest.raises(ConnectionClosed) as caught:
            call(core, channel)
        assert type(caught.value) is kind
        assert caught.value is not core.error
    assert written(core) == []


@pytest.mark.parametrize("end, _kind", ENDS)
def test_nothing_happens_after_the_end(
    lively: ConnectionPair, end: Callable[[ConnectionCore], None], _kind: type[ConnectionClosed]
) -> None:
    lively.open_channel()
    core = lively.client
    end(core)
    core.events()
    written(core)
    assert core.next_deadline() is None
    for data in (PEERS_CLOSE, CLOSE_OK, deliver(1, "tag", 1), b"\xff" * 50, frame(8, 0, b"")):
        core.receive_data(data, START)
    core.receive_eof(START)
    core.close()
    core.handle_deadline(START + 10_000)
    assert core.events() == []
    assert written(core) == []
    assert core.state is ConnectionState.CLOSED
    assert core.channels == {}


# --- in a child of the process ---------------------------------------------------------------------


def test_a_disowned_connection_is_closed_at_once_and_tells_when_it_is_asked_to(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiting, publish = Waiting(), Publish()
    channel.select_confirms(NOBODY)
    channel.publish(publish, "", "q", False, None, b"")
    channel.request(waiting, new_method(Basic.Qos), Basic.QosOk)
    assert client.disown(errors.ForkedError("forked"))
    assert (client.state, channel.state) == (ConnectionState.CLOSED, ChannelState.CLOSED)
    assert not client.out
    assert not waiting.done()
    assert publish.outcome is None
    for call in CALLS:
        with pytest.raises(errors.ForkedError):
            call(client, channel)
    client.tell_end()
    assert isinstance(waiting.error, errors.ForkedError)
    assert isinstance(publish.error, errors.ForkedError)
    assert isinstance(ended(client.events()), errors.ForkedError)


def test_a_connection_that_was_disowned_while_closing_has_nothing_to_tell(
    client: ConnectionCore,
) -> None:
    client.close()
    assert not client.disown(errors.ForkedError("forked"))
    assert client.state is ConnectionState.CLOSED
    assert ended(client.events()).reply_code == 200


def test_a_connection_that_was_disowned_in_its_handshake_has_nothing_to_tell(
    codec: Codec,
) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    assert not core.disown(errors.ForkedError("forked"))
    assert core.state is ConnectionState.CLOSED
    assert core.data_to_send(START) == []
