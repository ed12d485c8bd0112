"""The decoder's own buffer, as an asyncio.BufferedProtocol uses it."""

import random

import pytest

from hopmq.errors import UsageError
from hopmq.wire import Codec, Decoder
from hopmq.wire.receive_buffer import SMALL

from .feeding import feed_all, read_into
from .plain import plain
from .reference import HEARTBEAT_FRAME, content, deliver, frame, header, method


def stream(seed: int, messages: int = 60) -> bytes:
    """Return deliveries of many sizes among acks and heartbeats."""
    rng = random.Random(seed)
    parts = []
    for tag in range(messages):
        body = rng.randbytes(rng.choice([0, 1, 100, 4088, 4089, 20_000]))
        parts.append(deliver(1 + tag % 5, "tag", tag))
        parts.append(content(1 + tag % 5, body, frame_max=4096))
        parts.append(rng.choice([HEARTBEAT_FRAME, method(9, 60, 80, bytes(9)), b""]))
    return b"".join(parts)


STREAM = stream(1)


@pytest.mark.parametrize("step", [1, 7, 100, 4096, 65_536, 10**9])
def test_bytes_read_into_the_buffer_give_the_same_events(codec: Codec, step: int) -> None:
    data = STREAM if step > 7 else STREAM[:60_000]
    fed = [plain(event) for event in feed_all(codec.Decoder(), data)]
    read = [plain(event) for event in read_into(codec.Decoder(), data, step)]
    assert read == fed


def test_views_that_are_still_held_do_no_harm(codec: Codec) -> None:
    """asyncio keeps the view while `received` runs; others may keep every one of them."""
    decoder = codec.Decoder()
    held, events, position = [], [], 0
    rng = random.Random(2)
    while position < len(STREAM):
        room = decoder.get_buffer(-1)
        held.append(room)
        size = min(rng.choice([1, 50, len(room)]), len(room), len(STREAM) - position)
        room[:size] = STREAM[position : position + size]
        position += size
        events += decoder.received(size)
    whole = [plain(event) for event in feed_all(codec.Decoder(), STREAM)]
    assert [plain(event) for event in events] == whole


def test_the_buffer_always_has_room_and_can_be_written(codec: Codec) -> None:
    decoder = codec.Decoder()
    for hint in (-1, 0, 1, 100, 65_536, 10**9):
        room = decoder.get_buffer(hint)
        assert isinstance(room, memoryview)
        assert not room.readonly
        assert (room.format, room.ndim, room.contiguous) == ("B", 1, True)
        assert 1 <= len(room) <= 2**24


def test_a_buffer_that_was_not_used_costs_nothing(codec: Codec) -> None:
    decoder = codec.Decoder()
    feed_all(decoder, HEARTBEAT_FRAME[:3])
    for _ in range(1000):
        decoder.get_buffer(-1)
    (event,) = feed_all(decoder, HEARTBEAT_FRAME[3:])
    assert type(event).__name__ == "Heartbeat"


def test_feeding_and_reading_may_alternate(codec: Codec) -> None:
    decoder, events, position = codec.Decoder(), [], 0
    rng = random.Random(3)
    while position < len(STREAM):
        piece = STREAM[position : position + rng.randrange(1, 5000)]
        position += len(piece)
        events += read_into(decoder, piece, 700) if rng.random() < 0.5 else decoder.feed(piece)
    whole = [plain(event) for event in feed_all(codec.Decoder(), STREAM)]
    assert [plain(event) for event in events] == whole


def test_reading_moves_on_to_large_buffers_and_back(codec: Codec) -> None:
    decoder = codec.Decoder(frame_max=131_072)
    assert len(decoder.get_buffer(-1)) <= 65_536
    busy = (deliver(1) + content(1, bytes(100_000), frame_max=131_072)) * 40
    events = read_into(decoder, busy, 10**9)
    assert len(events) == 40
    assert len(decoder.get_buffer(-1)) >= 16_384
    for _ in range(2000):
        assert len(read_into(decoder, HEARTBEAT_FRAME, 8)) == 1
    assert len(decoder.get_buffer(-1)) <= 65_536


@pytest.mark.parametrize("size", [100, 1024])
def test_the_buffer_grows_although_every_read_leaves_a_part_of_a_frame(
    codec: Codec, size: int
) -> None:
    decoder = codec.Decoder(frame_max=131_072)
    message = deliver(1) + content(1, bytes(size), frame_max=131_072)
    stream = memoryview(message * (4 * 2**20 // len(message)))
    position, rooms = 0, []
    while position < len(stream):
        room = decoder.get_buffer(-1)
        rooms.append(len(room))
        count = min(len(room), len(stream) - position)
        if (position + count) % len(message) == 0 and count > 1:
            count -= 1
        room[:count] = stream[position : position + count]
        position += count
        decoder.received(count)
        if max(rooms) >= 2**17:
            return
    pytest.fail(f"there was never room for more than {max(rooms)} bytes")


def read_busily(decoder: Decoder) -> None:
    """Have it read so much that its buffer grows."""
    read_into(decoder, (deliver(1) + content(1, bytes(100_000), frame_max=131_072)) * 40, 10**9)
    assert len(decoder.get_buffer(-1)) > SMALL
    read_into(decoder, HEARTBEAT_FRAME, 8)


def test_at_rest_the_buffer_is_small_again(codec: Codec) -> None:
    decoder = codec.Decoder(frame_max=131_072)
    read_busily(decoder)
    decoder.rest()
    assert len(decoder.get_buffer(-1)) == SMALL
    assert len(read_into(decoder, HEARTBEAT_FRAME, 8)) == 1


def test_rest_drops_nothing_that_waits(codec: Codec) -> None:
    decoder = codec.Decoder(frame_max=131_072)
    read_busily(decoder)
    read_into(decoder, HEARTBEAT_FRAME[:3], 8)
    decoder.rest()
    assert decoder.buffered == 3
    assert len(read_into(decoder, HEARTBEAT_FRAME[3:], 8)) == 1


def test_at_rest_a_buffer_that_is_being_written_to_is_kept(codec: Codec) -> None:
    """A proactor writes into the room that it has asked for whenever the bytes come."""
    decoder = codec.Decoder(frame_max=131_072)
    read_busily(decoder)
    room = decoder.get_buffer(-1)
    decoder.rest()
    room[: len(HEARTBEAT_FRAME)] = HEARTBEAT_FRAME
    (event,) = decoder.received(len(HEARTBEAT_FRAME))
    assert type(event).__name__ == "Heartbeat"
    assert len(decoder.get_buffer(-1)) == SMALL


def test_several_mebibytes_at_once(codec: Codec) -> None:
    count = 40_000
    data = (deliver(1) + content(1, bytes(100))) * count
    assert len(data) > 6 * 2**20
    decoder = codec.Decoder()
    events = feed_all(decoder, data)
    assert len(events) == count
    assert decoder.buffered == 0


def test_buffered_counts_the_bytes_that_wait(codec: Codec) -> None:
    decoder = codec.Decoder()
    waiting = method(1, 60, 11)[:5]
    feed_all(decoder, HEARTBEAT_FRAME * 3 + waiting)
    assert decoder.buffered == 5
    feed_all(decoder, method(1, 60, 11)[5:])
    assert decoder.buffered == 0
    feed_all(decoder, deliver(1) + header(1, 10) + frame(3, 1, b"12345")[:-3])
    assert decoder.buffered == len(frame(3, 1, b"12345")) - 3


def test_more_bytes_than_the_buffer_has_room_for_are_a_mistake_of_the_caller(codec: Codec) -> None:
    for count in (-1, len(codec.Decoder().get_buffer()) + 1):
        decoder = codec.Decoder()
        decoder.get_buffer()
        with pytest.raises(UsageError):
            decoder.received(count)
        (event,) = feed_all(decoder, HEARTBEAT_FRAME)
        assert type(event).__name__ == "Heartbeat"


def test_an_event_survives_what_the_buffer_does_later(codec: Codec) -> None:
    decoder = codec.Decoder()
    (event,) = read_into(decoder, deliver(1, "tag") + content(1, b"body" * 900), 10**9)
    for _ in range(50):
        read_into(decoder, deliver(1, "other") + content(1, b"\xff" * 4000), 10**9)
    assert (event.body, event.consumer_tag) == (b"body" * 900, "tag")
    assert event.raw_properties == b"\x00\x00"
