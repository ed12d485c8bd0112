"""Tuning: what limits a broker accepts, and how it keeps them."""

import pytest
from pamqp.commands import Basic

from conftest import RunningBroker
from parity.closed import Closed
from parity.driver import Peer
from parity.endings import DROPPED, OPEN, Script, endings, logs_in
from parity.peers import Peers
from scripted.frames import BODY, announced, frame, header

TUNINGS: dict[str, Script] = {
    "frame_max 4096": logs_in(frame_max=4096),
    "frame_max 8191": logs_in(frame_max=8191),
    "frame_max 8192": logs_in(frame_max=8192),
    "frame_max 131071": logs_in(frame_max=131_071),
    "channel_max 1": logs_in(channel_max=1),
    "channel_max 2046": logs_in(channel_max=2046),
    "heartbeat 1": logs_in(heartbeat=1),
    "heartbeat 60": logs_in(heartbeat=60),
    "heartbeat above the offer": logs_in(heartbeat=61),
    "heartbeat 65535": logs_in(heartbeat=65_535),
}

REFUSED_BY = {"frame_max 4096": {"4.3"}, "frame_max 8191": {"4.3"}}
"""RabbitMQ 4.3 wants frames of at least 8192 bytes."""


@pytest.fixture(scope="module")
async def tunings(broker: RunningBroker) -> dict[str, object]:
    """Return how each of the connections above fared."""
    return await endings(broker.url, TUNINGS)


@pytest.mark.parametrize("tuning", TUNINGS)
async def test_lower_limits_are_accepted(
    tunings: dict[str, object], release: str, tuning: str
) -> None:
    expected = DROPPED if release in REFUSED_BY.get(tuning, ()) else OPEN
    assert tunings[tuning] == expected


async def test_a_large_message_comes_in_frames_of_the_agreed_size(peers: Peers, name: str) -> None:
    peer = await peers.open(frame_max=8192)  # the driver's decoder refuses larger ones
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    body = bytes(range(256)) * 128
    channel.publish(body, routing_key=name)
    message = await channel.get(name)
    assert message is not None
    assert message.body == body


async def test_heartbeats_come_twice_per_interval(peers: Peers) -> None:
    peer = await peers.open(heartbeat=1)
    await peer.wait(lambda: peer.heartbeats >= 2 or None)


async def test_a_silent_peer_is_hung_up_on_after_its_heartbeat(peers: Peers) -> None:
    peer = await peers.open(heartbeat=1)
    await peer.until_dropped()


async def test_no_heartbeats_without_an_interval(peer: Peer) -> None:
    channel = await peer.channel()
    await channel.qos(1)
    assert peer.heartbeats == 0


async def test_channel_max_counts_channels(peers: Peers) -> None:
    peer = await peers.open(channel_max=3)
    for number in (1, 2, 3):
        await peer.channel(number)
    with pytest.raises(Closed) as caught:
        await peer.channel(4)
    assert caught.value.answer == (
        "connection",
        530,
        "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)",
    )
    assert caught.value.blamed == (0, 0)


async def test_a_closed_channel_no_longer_counts(peers: Peers) -> None:
    peer = await peers.open(channel_max=1)
    for number in (1, 2, 3):
        channel = await peer.channel(number)
        await channel.close()


@pytest.mark.parametrize("number", [4, 2048, 65_535])
async def test_channel_max_does_not_limit_numbers(peers: Peers, number: int) -> None:
    peer = await peers.open(channel_max=3)
    channel = await peer.channel(number)
    await channel.qos(1)


@pytest.mark.parametrize("frame_max", [8192, 131_072])
async def test_a_payload_above_frame_max_is_refused(peers: Peers, frame_max: int) -> None:
    peer = await peers.open(frame_max=frame_max)
    peer.write(announced(BODY, 1, frame_max + 1))
    closed = await peer.until_closed()
    assert closed.answer == (
        "connection",
        501,
        (
            "FRAME_ERROR - type 3, all octets = <<>>: "
            f"{{frame_too_large,{frame_max + 1},{frame_max - 8}}}"
        ),
    )


async def test_a_payload_of_frame_max_is_tolerated(peers: Peers, name: str) -> None:
    peer = await peers.open(frame_max=8192)
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    body = b"x" * 8192  # its frame is eight bytes longer than agreed
    channel.send(Basic.Publish, routing_key=name)
    peer.write(header(channel.number, len(body)) + frame(BODY, channel.number, body))
    message = await channel.get(name)
    assert message is not None
    assert message.body == body
