"""Heartbeats on a clock of our own: when they are sent, and when a silent peer is dead."""

import pytest
from pamqp.commands import Basic

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionEnded
from hopmq.core.settings import Tuning
from hopmq.core.states import ConnectionState
from hopmq.errors import ConnectionLostError
from hopmq.wire import Codec, new_method

from .actors import deliver, frame, names, written
from .pair import START, ConnectionPair, client_settings, server_settings

INTERVAL = 10
BEAT = frame(8, 0, b"")


@pytest.fixture
def beating(codec: Codec) -> ConnectionPair:
    """Return a connection, opened at START, whose heartbeat interval is 10 seconds."""
    limits = Tuning(heartbeat=INTERVAL)
    return ConnectionPair(
        codec, client_settings(tuning=limits), server_settings(tuning=limits)
    ).open()


@pytest.fixture(params=["client", "server"])
def core(request: pytest.FixtureRequest, beating: ConnectionPair) -> ConnectionCore:
    """Return either end, for a peer that is silent unless the test speaks."""
    chosen: ConnectionCore = getattr(beating, request.param)
    chosen.events()
    return chosen


def beats(core: ConnectionCore, now: float) -> list[str]:
    """Let the deadline pass at `now` and return what that made the core send."""
    core.handle_deadline(now)
    return names(written(core, now))


def test_an_idle_end_sends_one_at_half_the_interval(core: ConnectionCore) -> None:
    assert core.next_deadline() == START + INTERVAL / 2
    assert beats(core, START + INTERVAL / 2 - 0.01) == []
    assert beats(core, START + INTERVAL / 2) == ["Heartbeat"]
    core.receive_data(BEAT, START + 6)
    assert core.next_deadline() == START + INTERVAL
    assert beats(core, START + INTERVAL) == ["Heartbeat"]


def test_a_busy_end_sends_none(core: ConnectionCore, beating: ConnectionPair) -> None:
    channel, theirs = beating.open_channel()
    busy = channel if core is beating.client else theirs
    for second in range(1, 15):
        busy.send(new_method(Basic.Qos) if core is beating.client else new_method(Basic.QosOk))
        core.data_to_send(START + second)
        assert beats(core, START + second + 0.9) == []


def test_what_was_queued_but_not_yet_sent_is_no_sign_of_life(beating: ConnectionPair) -> None:
    channel, _ = beating.open_channel()
    channel.send(new_method(Basic.Qos))
    assert "Heartbeat" in beats(beating.client, START + INTERVAL / 2)


def test_a_silent_peer_is_dead_exactly_two_intervals_after_its_last_byte(
    core: ConnectionCore,
) -> None:
    core.receive_data(BEAT, START + 3)
    core.handle_deadline(START + 3 + 2 * INTERVAL - 0.001)
    assert core.events() == []
    core.handle_deadline(START + 3 + 2 * INTERVAL)
    (ended,) = core.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, ConnectionLostError)
    assert "20 seconds" in str(ended.error)
    assert core.state is ConnectionState.CLOSED
    assert core.next_deadline() is None


def test_the_deadline_is_there_when_the_peer_would_be_dead(core: ConnectionCore) -> None:
    times = []
    while core.state is ConnectionState.OPEN:
        deadline = core.next_deadline()
        assert deadline is not None
        times.append(deadline - START)
        core.handle_deadline(deadline)
        core.data_to_send(deadline)
    assert times == [5, 10, 15, 20]


@pytest.mark.parametrize("last", [BEAT, BEAT[:1], deliver(1, "tag", 1)[:20]])
def test_any_byte_is_a_sign_of_life(beating: ConnectionPair, last: bytes) -> None:
    channel, _ = beating.open_channel()
    channel.consumers["tag"] = lambda _: None
    beating.client.receive_data(last, START + 15)
    beating.client.handle_deadline(START + 30)
    assert beating.client.state is ConnectionState.OPEN


def test_bytes_read_into_the_cores_own_buffer_count_too(core: ConnectionCore) -> None:
    core.get_buffer(-1)[: len(BEAT)] = BEAT
    core.received(len(BEAT), START + 15)
    core.handle_deadline(START + 30)
    assert core.state is ConnectionState.OPEN


def test_two_idle_ends_keep_each_other_alive(beating: ConnectionPair) -> None:
    beating.tick(1000)
    assert beating.client.state is beating.server.state is ConnectionState.OPEN
    assert beating.of_client(ConnectionEnded) == beating.of_server(ConnectionEnded) == []


def test_nobody_is_dead_while_we_do_not_read(core: ConnectionCore) -> None:
    core.heartbeat.watch(False, START + 1)
    for second in range(5, 500, 5):
        assert beats(core, START + second) == ["Heartbeat"]
    assert core.state is ConnectionState.OPEN


def test_the_silence_counts_anew_when_we_read_again(core: ConnectionCore) -> None:
    core.heartbeat.watch(False, START + 1)
    core.heartbeat.watch(True, START + 500)
    core.handle_deadline(START + 500 + 2 * INTERVAL - 0.001)
    assert core.state is ConnectionState.OPEN
    core.handle_deadline(START + 500 + 2 * INTERVAL)
    assert core.state is ConnectionState.CLOSED


def test_zero_turns_heartbeats_off(codec: Codec) -> None:
    pair = ConnectionPair(codec, client_settings(tuning=Tuning(heartbeat=0))).open()
    for core in (pair.client, pair.server):
        assert core.next_deadline() is None
        assert beats(core, START + 1_000_000) == []
        assert core.state is ConnectionState.OPEN


def test_there_are_none_before_the_handshake_is_done(codec: Codec) -> None:
    core = ConnectionCore(client_settings(tuning=Tuning(heartbeat=1)), START, codec=codec)
    assert core.next_deadline() is None
    core.data_to_send(START)
    assert beats(core, START + 100) == []


def test_the_interval_is_the_one_agreed_on(codec: Codec) -> None:
    pair = ConnectionPair(
        codec,
        client_settings(tuning=Tuning(heartbeat=60)),
        server_settings(tuning=Tuning(heartbeat=4)),
    ).open()
    assert pair.client.next_deadline() == pair.server.next_deadline() == START + 2


def test_a_dead_peer_ends_a_close_that_it_does_not_answer_without_a_second_word(
    codec: Codec,
) -> None:
    settings = client_settings(tuning=Tuning(heartbeat=1), close_timeout=60.0)
    core = ConnectionPair(codec, settings).open().client
    core.close()
    core.data_to_send(START)
    assert len(core.events()) == 1
    core.handle_deadline(START + 2)
    assert core.state is ConnectionState.CLOSED
    assert core.events() == []


def test_with_a_heartbeat_the_memory_of_busy_reads_goes_back(core: ConnectionCore) -> None:
    small = len(core.get_buffer(-1))
    for _ in range(3):
        room = core.get_buffer(-1)
        room[:] = BEAT * (len(room) // len(BEAT))
        core.received(len(room), START)
    assert len(core.get_buffer(-1)) > small
    assert beats(core, START + INTERVAL / 2) == ["Heartbeat"]
    assert len(core.get_buffer(-1)) == small
