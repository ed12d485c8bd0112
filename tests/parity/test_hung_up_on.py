"""Mistakes before a connection is open: RabbitMQ hangs up, and says nothing."""

import pytest
from pamqp.commands import Connection

from conftest import RunningBroker
from hopmq.wire import new_method
from parity.closed import Dropped
from parity.driver import Peer, amqplain, plain
from parity.endings import DROPPED, Script, endings, logs_in


async def _tunes_before_start(peer: Peer) -> None:
    await peer.greet()
    peer.control.send(Connection.TuneOk, channel_max=1, frame_max=8192)
    await peer.await_tune()


async def _opens_before_start(peer: Peer) -> None:
    await peer.greet()
    await peer.open_vhost()


async def _opens_before_tuning(peer: Peer) -> None:
    await peer.greet()
    peer.start_ok()
    await peer.await_tune()
    await peer.open_vhost()


async def _starts_twice(peer: Peer) -> None:
    await peer.greet()
    peer.start_ok()
    peer.start_ok()
    await peer.until_closed()


async def _greets_twice(peer: Peer) -> None:
    await peer.greet()
    await peer.greet()


async def _opens_a_channel_before_start(peer: Peer) -> None:
    await peer.greet()
    await peer.channel()


async def _closes_before_start(peer: Peer) -> None:
    await peer.greet()
    await peer.control.call(new_method(Connection.Close), Connection.CloseOk)


async def _closes_before_opening(peer: Peer) -> None:
    await peer.greet()
    peer.start_ok()
    await peer.await_tune()
    await peer.control.call(new_method(Connection.Close), Connection.CloseOk)


async def _sends_a_large_frame_before_tuning(peer: Peer) -> None:
    await peer.greet()
    peer.start_ok(client_properties={"padding": "x" * 131_072})
    await peer.await_tune()


HANDSHAKE_TIMEOUT = 10.0
"""Seconds that RabbitMQ gives a handshake, unless it is told otherwise as those of the tests are."""


async def _says_nothing(peer: Peer) -> None:
    await peer.until_dropped(2 * HANDSHAKE_TIMEOUT)
    raise Dropped


async def _never_logs_in(peer: Peer) -> None:
    await peer.greet()
    await _says_nothing(peer)


async def _never_opens(peer: Peer) -> None:
    await peer.greet()
    peer.start_ok()
    await peer.await_tune()
    peer.tune_ok()
    await _says_nothing(peer)


WITHOUT_A_WORD: dict[str, Script] = {
    "unknown mechanism": logs_in(mechanism="NONE"),
    "mechanism in lower case": logs_in(mechanism="plain"),
    "mechanism not offered": logs_in(mechanism="EXTERNAL", response=b""),
    "PLAIN without separators": logs_in(response=b"guest"),
    "PLAIN, empty": logs_in(response=b""),
    "PLAIN, one separator": logs_in(response=b"guest\0guest"),
    "PLAIN, another identity": logs_in(response=b"other\0guest\0guest"),
    "PLAIN, three separators": logs_in(response=b"\0guest\0guest\0"),
    "AMQPLAIN without login": logs_in(
        mechanism="AMQPLAIN", response=amqplain({"PASSWORD": "guest"})
    ),
    "AMQPLAIN, no table": logs_in(mechanism="AMQPLAIN", response=b"\x01"),
    "wrong password, no capabilities": logs_in(
        response=plain("guest", "wrong"), client_properties={}
    ),
    "wrong password, capability false": logs_in(
        response=plain("guest", "wrong"),
        client_properties={"capabilities": {"authentication_failure_close": False}},
    ),
    "frame_max 0": logs_in(frame_max=0),
    "frame_max 1": logs_in(frame_max=1),
    "frame_max 4095": logs_in(frame_max=4095),
    "frame_max above the offer": logs_in(frame_max=131_073),
    "frame_max far above the offer": logs_in(frame_max=(1 << 32) - 1),
    "channel_max 0": logs_in(channel_max=0),
    "channel_max above the offer": logs_in(channel_max=2048),
    "tune-ok before start-ok": _tunes_before_start,
    "open before start-ok": _opens_before_start,
    "open before tune-ok": _opens_before_tuning,
    "start-ok twice": _starts_twice,
    "header twice": _greets_twice,
    "channel before start-ok": _opens_a_channel_before_start,
    "close before start-ok": _closes_before_start,
    "close before open": _closes_before_opening,
    "silence": _says_nothing,
    "silence instead of start-ok": _never_logs_in,
    "silence instead of open": _never_opens,
    "large frame before tuning": _sends_a_large_frame_before_tuning,
}


@pytest.fixture(scope="module")
async def without_a_word(broker: RunningBroker) -> dict[str, object]:
    """Return how each of the connections above ended."""
    return await endings(broker.url, WITHOUT_A_WORD)


@pytest.mark.parametrize("mistake", WITHOUT_A_WORD)
async def test_a_mistake_before_opening_is_hung_up_on(
    without_a_word: dict[str, object], mistake: str
) -> None:
    assert without_a_word[mistake] == DROPPED
