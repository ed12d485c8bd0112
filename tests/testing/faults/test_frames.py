"""Frames are told apart in any stream, however it comes; what is no frame passes as it is."""

import asyncio

import pytest
from pamqp.commands import Basic, Queue

from hopmq import wire
from hopmq.broker import Broker
from hopmq.testing import Faults
from hopmq.testing.faults.frames import Framer
from hopmq.wire import Properties, new_method
from parity.driver import Peer

HEADER = wire.active.PROTOCOL_HEADER
DECLARE = wire.active.encode_method(1, new_method(Queue.Declare, queue="q"), 4096)
HEARTBEAT = wire.active.HEARTBEAT


def published() -> bytes:
    """Return the frames of a message."""
    pieces: list[bytes | memoryview] = []
    wire.active.append_publish(pieces, 2, "", "key", False, Properties(), b"body", 4096)
    return b"".join(pieces)


STREAM = HEADER + DECLARE + HEARTBEAT + published()
KINDS = [
    ("protocol-header", 0),
    ("Queue.Declare", 1),
    ("heartbeat", 0),
    ("Basic.Publish", 2),
    ("header", 2),
    ("body", 2),
]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, len(STREAM)])
def test_frames_are_found_whatever_pieces_they_come_in(size: int) -> None:
    framer = Framer(in_step=True)
    frames = []
    for at in range(0, len(STREAM), size):
        frames += framer.feed(STREAM[at : at + size])
    assert [(frame.kind, frame.channel) for frame in frames] == KINDS
    assert b"".join(frame.data for frame in frames) == STREAM


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n", b"\x01\x00\x01\x00\x00\x00\x00\x00", b"\x01\xff\xff" + b"\xff" * 9],
)
def test_what_is_no_frame_passes_with_all_that_follows(garbage: bytes) -> None:
    framer = Framer(in_step=True)
    frames = framer.feed(DECLARE + garbage) + framer.feed(DECLARE)
    assert [frame.kind for frame in frames] == ["Queue.Declare", "garbage", "garbage"]
    assert b"".join(frame.data for frame in frames) == DECLARE + garbage + DECLARE


def test_methods_say_which_queue_they_name() -> None:
    framer = Framer(in_step=True)
    frames = framer.feed(STREAM + wire.active.encode_ack(1, 1, False))
    assert [frame.queue() for frame in frames] == [None, "q", None, "key", None, None, None]


def test_a_method_that_does_not_exist_is_garbage() -> None:
    raw = b"\x01\x00\x01\x00\x00\x00\x04\x00\xff\x00\xff\xce"
    (frame,) = Framer(in_step=True).feed(raw)
    assert (frame.kind, frame.queue()) == ("garbage", None)


async def test_a_fault_that_comes_within_a_frame_waits_for_the_next() -> None:
    async with Broker() as broker:
        peer = await Peer.open(broker.url)
        channel = await peer.channel()
        (server,) = broker.state.peers
        peer.write(DECLARE[:10])
        while not server.core.decoder.buffered:
            await asyncio.sleep(0)
        swallowed = Faults(broker).inject(b"", at="Queue.Declare", direction="to_broker")
        peer.write(DECLARE[10:])
        await channel.expect(Queue.DeclareOk)
        assert not swallowed.hits
        peer.write(DECLARE)
        await swallowed.happened()
        channel.send(Basic.Qos)
        await channel.expect(Basic.QosOk)
        await peer.close()
