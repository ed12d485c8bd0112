"""Every method of the protocol, both ways, against the reference encoder."""

from typing import Any

import pytest
from pamqp import base, commands

from hopmq.errors import EncodeError
from hopmq.wire import Codec

from .feeding import feed_all
from .plain import plain
from .reference import content
from .specification import (
    BY_NAME,
    CONTENT_METHODS,
    METHODS,
    PLAIN_METHODS,
    SETTLING_METHODS,
    MethodSpec,
    samples,
)

EVERY = pytest.mark.parametrize("spec", METHODS, ids=[spec.name for spec in METHODS])
EVERY_PLAIN = pytest.mark.parametrize(
    "spec", PLAIN_METHODS, ids=[spec.name for spec in PLAIN_METHODS]
)
EVENT_NAMES = {
    "Basic.Publish": "Published",
    "Basic.Return": "Returned",
    "Basic.Deliver": "Delivery",
    "Basic.GetOk": "Fetched",
    "Basic.Ack": "Ack",
    "Basic.Nack": "Nack",
    "Basic.Reject": "Reject",
}


def new(spec: MethodSpec, values: dict[str, Any]) -> base.Frame:
    """Make a pamqp method without its constructor."""
    kind = commands.INDEX_MAPPING[spec.class_id << 16 | spec.method_id]
    method = kind.__new__(kind)
    for name, value in values.items():
        setattr(method, name, value)
    return method


def test_pamqp_knows_the_same_methods() -> None:
    known = {
        (index >> 16, index & 0xFFFF, kind.name): tuple(
            (name, kind.amqp_type(name)) for name in kind.__slots__
        )
        for index, kind in commands.INDEX_MAPPING.items()
    }
    assert known == {(s.class_id, s.method_id, s.name): s.fields for s in METHODS}


@EVERY
def test_every_method_is_written(codec: Codec, spec: MethodSpec) -> None:
    for values in samples(spec):
        written = codec.encode_method(spec.channel, new(spec, values), 4096)
        assert written == spec.frame(spec.channel, values)


@EVERY_PLAIN
def test_every_method_is_read(codec: Codec, spec: MethodSpec) -> None:
    for values in samples(spec):
        (event,) = feed_all(codec.Decoder(), spec.frame(spec.channel, values))
        assert type(event).__name__ == "Method"
        assert event.channel == spec.channel
        assert type(event.method) is commands.INDEX_MAPPING[spec.class_id << 16 | spec.method_id]
        assert plain(event.method) == plain(new(spec, values))


@pytest.mark.parametrize("name", CONTENT_METHODS + SETTLING_METHODS)
def test_every_method_with_its_own_event_is_read(codec: Codec, name: str) -> None:
    spec = BY_NAME[name]
    tail = content(1, b"body") if name in CONTENT_METHODS else b""
    for values in samples(spec):
        (event,) = feed_all(codec.Decoder(), spec.frame(1, values) + tail)
        assert type(event).__name__ == EVENT_NAMES[name]
        for field, value in values.items():
            if field != "ticket":
                assert plain(getattr(event, field)) == plain(value)


def bits_of(spec: MethodSpec) -> list[str]:
    """Return the names of a method's bits."""
    return [name for name, kind in spec.fields if kind == "bit"]


WITH_BITS = [spec for spec in PLAIN_METHODS if bits_of(spec)]


@pytest.mark.parametrize("spec", WITH_BITS, ids=[spec.name for spec in WITH_BITS])
def test_unused_high_bits_are_ignored(codec: Codec, spec: MethodSpec) -> None:
    names = bits_of(spec)
    values = samples(spec)[1]
    clean = spec.frame(spec.channel, values)
    table_size = 4 if any(kind == "table" for _, kind in spec.fields) else 0
    position = len(clean) - 2 - table_size
    assert clean[position] == 0
    noisy = bytearray(clean)
    noisy[position] = 0xFF << len(names) & 0xFF
    (event,) = feed_all(codec.Decoder(), bytes(noisy))
    assert plain(event.method) == plain(new(spec, values))


def test_a_method_that_was_read_can_be_written_again(codec: Codec) -> None:
    for spec in PLAIN_METHODS:
        frame = spec.frame(spec.channel, samples(spec)[0])
        (event,) = feed_all(codec.Decoder(), frame)
        assert codec.encode_method(event.channel, event.method, 4096) == frame


def test_none_stands_for_the_empty_table_and_for_an_unset_bit(codec: Codec) -> None:
    spec = BY_NAME["Queue.Declare"]
    empty = samples(spec)[1]
    values = {**empty, "arguments": None, "durable": None, "ticket": None}
    assert codec.encode_method(1, new(spec, values), 4096) == spec.frame(1, empty)


@pytest.mark.parametrize(
    "name, field",
    [
        ("Connection.Open", "capabilities"),
        ("Connection.Open", "insist"),
        ("Connection.OpenOk", "known_hosts"),
        ("Channel.Open", "out_of_band"),
        ("Channel.OpenOk", "channel_id"),
        ("Basic.GetEmpty", "cluster_id"),
        ("Basic.Get", "ticket"),
    ],
)
def test_none_in_a_reserved_field_stands_for_nothing(codec: Codec, name: str, field: str) -> None:
    spec = BY_NAME[name]
    empty = samples(spec)[1]
    method = new(spec, {**empty, field: None})
    assert codec.encode_method(spec.channel, method, 4096) == spec.frame(spec.channel, empty)


def test_a_long_string_may_be_given_as_text(codec: Codec) -> None:
    spec = BY_NAME["Connection.Secure"]
    method = new(spec, {"challenge": "wér"})
    assert codec.encode_method(0, method, 4096) == spec.frame(0, {"challenge": "wér".encode()})


def test_names_that_rabbitmq_accepts_are_accepted(codec: Codec) -> None:
    spec = BY_NAME["Queue.Declare"]
    values = {**samples(spec)[1], "queue": "ßpécial {name} \\ \x00 " + "x" * 200}
    assert codec.encode_method(1, new(spec, values), 4096) == spec.frame(1, values)


def test_a_method_frame_may_fill_frame_max_and_not_more(codec: Codec) -> None:
    spec = BY_NAME["Connection.Secure"]
    room = 4096 - 8 - 4 - 4  # frame overhead, method numbers, length of the string
    fits = new(spec, {"challenge": b"x" * room})
    assert len(codec.encode_method(0, fits, 4096)) == 4096
    with pytest.raises(EncodeError):
        codec.encode_method(0, new(spec, {"challenge": b"x" * (room + 1)}), 4096)
