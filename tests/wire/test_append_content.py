"""How contents are laid out in the list that goes to the transport."""

import random
from typing import Any

import pytest

from hopmq.errors import EncodeError
from hopmq.wire import Codec, Properties
from hopmq.wire.limits import BODY_BY_REFERENCE

from . import reference
from .feeding import feed_all

SIZES = [
    *(0, 1, 100, 4087, 4088, 4089, 8176, 8177, 16_383),
    *(16_384, 16_385, 65_536, 131_063, 131_064, 131_065, 300_000),
]
FRAME_MAXES = [4096, 4097, 131_072, 2**31 - 1]


def publish(codec: Codec, body: Any, frame_max: int = 131_072) -> list[Any]:
    """Publish a body and return what was appended."""
    out: list[Any] = []
    size = codec.append_publish(out, 1, "ex", "key", True, None, body, frame_max)
    assert size == sum(len(part) for part in out)
    assert all(isinstance(part, bytes | memoryview) for part in out)
    return out


def expected(body: bytes, frame_max: int) -> bytes:
    """Return the frames that the specification asks for."""
    start = reference.publish(1, "ex", "key", mandatory=True)
    return start + reference.content(1, body, frame_max=frame_max)


@pytest.mark.parametrize("frame_max", FRAME_MAXES)
@pytest.mark.parametrize("size", SIZES)
def test_bodies_are_split_at_frame_max(codec: Codec, size: int, frame_max: int) -> None:
    body = random.Random(size).randbytes(size)
    for kind in (bytes, bytearray, memoryview):
        assert b"".join(publish(codec, kind(body), frame_max)) == expected(body, frame_max)


@pytest.mark.parametrize("frame_max", FRAME_MAXES)
@pytest.mark.parametrize("size", SIZES)
def test_what_was_appended_is_read_again(codec: Codec, size: int, frame_max: int) -> None:
    body = random.Random(size).randbytes(size)
    decoder = codec.Decoder(frame_max=frame_max)
    (event,) = feed_all(decoder, b"".join(publish(codec, body, frame_max)))
    assert (event.exchange, event.routing_key, event.mandatory) == ("ex", "key", True)
    assert event.body == body


def test_a_small_message_is_one_object(codec: Codec) -> None:
    for size in (0, 1, 4000, BODY_BY_REFERENCE - 1):
        (part,) = publish(codec, bytes(size))
        assert type(part) is bytes


def borrowed(out: list[Any], body: bytes) -> int:
    """Count the bytes of a body that go by reference."""
    count = 0
    for part in out:
        if part is body or (isinstance(part, memoryview) and part.obj is body):
            count += len(part)
    return count


@pytest.mark.parametrize("size", [BODY_BY_REFERENCE, 100_000, 131_064, 131_065, 1_000_000])
def test_a_large_body_of_bytes_is_not_copied(codec: Codec, size: int) -> None:
    body = bytes(size)
    assert borrowed(publish(codec, body), body) == size


@pytest.mark.parametrize("size", [5, BODY_BY_REFERENCE, 300_000])
def test_a_mutable_body_is_copied(codec: Codec, size: int) -> None:
    body = bytearray(size)
    for given in (body, memoryview(body), memoryview(body).toreadonly()):
        out = publish(codec, given)
        before = b"".join(out)
        body[:] = b"\xff" * size
        assert b"".join(out) == before
        body[:] = bytes(size)


def test_a_mutable_body_can_be_resized_afterwards(codec: Codec) -> None:
    body = bytearray(300_000)
    out = publish(codec, body)
    body.extend(b"more")
    assert b"".join(out) == expected(bytes(300_000), 131_072)


@pytest.mark.parametrize("size", [5, 100_000])
def test_a_view_of_other_items_is_sent_as_its_bytes(codec: Codec, size: int) -> None:
    body = random.Random(size).randbytes(size * 4)
    for view in (memoryview(body).cast("I"), memoryview(body).cast("B", (4, size))):
        assert b"".join(publish(codec, view)) == expected(body, 131_072)


def test_a_slice_of_bytes_is_sent_as_that_slice(codec: Codec) -> None:
    body = random.Random(1).randbytes(200_000)
    out = publish(codec, memoryview(body)[1000:150_000])
    assert b"".join(out) == expected(body[1000:150_000], 131_072)


def test_parts_are_appended_behind_what_is_there(codec: Codec) -> None:
    out: list[Any] = [b"first"]
    for _ in range(3):
        codec.append_publish(out, 1, "ex", "key", True, None, b"body", 4096)
    assert out[0] == b"first"
    assert b"".join(out[1:]) == expected(b"body", 4096) * 3


@pytest.mark.parametrize("raw", [b"", b"\x00"])
def test_an_encoded_property_list_has_flags(codec: Codec, raw: bytes) -> None:
    with pytest.raises(EncodeError):
        codec.append_publish([], 1, "", "", False, raw, b"", 4096)


def test_properties_are_written_for_every_content(codec: Codec) -> None:
    fields = {"content_type": "t", "headers": {"a": 1}, "priority": 3, "app_id": "me"}
    raw = reference.properties(fields)
    properties = Properties(content_type="t", headers={"a": 1}, priority=3, app_id="me")
    calls: list[tuple[Any, ...]] = [
        (codec.append_publish, 7, "e", "r", False),
        (codec.append_deliver, 7, "c", 1, False, "e", "r"),
        (codec.append_get_ok, 7, 1, False, "e", "r", 0),
        (codec.append_return, 7, 312, "NO_ROUTE", "e", "r"),
    ]
    for append, *arguments in calls:
        for body in (b"", b"small", bytes(100_000)):
            out: list[Any] = []
            append(out, *arguments, properties, body, 131_072)
            verbatim: list[Any] = []
            append(verbatim, *arguments, raw, body, 131_072)
            assert b"".join(out) == b"".join(verbatim)
            assert b"".join(out).endswith(reference.content(7, body, raw))


@pytest.mark.parametrize("size", [0, 1, 255])
def test_names_of_any_length_are_written(codec: Codec, size: int) -> None:
    name = "n" * size
    out: list[Any] = []
    codec.append_deliver(out, 1, name, 2**64 - 1, True, name, name, None, b"x", 4096)
    start = reference.deliver(1, name, 2**64 - 1, True, name, name)
    assert b"".join(out) == start + reference.content(1, b"x")
