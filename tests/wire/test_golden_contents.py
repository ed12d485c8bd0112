"""Contents written out byte by byte from the specification."""

from datetime import UTC, datetime

import pytest

from hopmq.wire import Codec, Properties

from .feeding import feed_all
from .plain import plain

HEADER = b"\x02\x00\x01\x00\x00\x00\x0e\x00\x3c\x00\x00"  # header, channel 1, class 60, weight 0
NO_PROPERTIES = b"\x00\x00\xce"
HELLO = HEADER + b"\x00\x00\x00\x00\x00\x00\x00\x05" + NO_PROPERTIES
HELLO += b"\x03\x00\x01\x00\x00\x00\x05hello\xce"

DELIVER = (
    b"\x01\x00\x01\x00\x00\x00\x19\x00\x3c\x00\x3c"
    b"\x03tag"
    b"\x00\x00\x00\x00\x00\x00\x00\x2a"
    b"\x01"  # redelivered
    b"\x02ex"
    b"\x04r.ke"
    b"\xce"
)
GET_OK = (
    b"\x01\x00\x01\x00\x00\x00\x19\x00\x3c\x00\x47"
    b"\x00\x00\x00\x00\x00\x00\x00\x2a"
    b"\x00"
    b"\x02ex"
    b"\x04r.ke"
    b"\x00\x00\x00\x09"  # messages left
    b"\xce"
)
RETURN = (
    b"\x01\x00\x01\x00\x00\x00\x17\x00\x3c\x00\x32"
    b"\x01\x38"  # 312
    b"\x08NO_ROUTE"
    b"\x02ex"
    b"\x04r.ke"
    b"\xce"
)
PUBLISH = (
    b"\x01\x00\x01\x00\x00\x00\x0f\x00\x3c\x00\x28"
    b"\x00\x00"  # reserved
    b"\x02ex"
    b"\x04r.ke"
    b"\x01"  # bit 0 mandatory, bit 1 immediate
    b"\xce"
)

ALL_FOURTEEN = (
    b"\xff\xfc"  # bits 15 to 2
    b"\x0atext/plain"
    b"\x04gzip"
    b"\x00\x00\x00\x08\x01kS\x00\x00\x00\x01v"
    b"\x02"  # delivery mode: persistent
    b"\x09"  # priority
    b"\x03cor"
    b"\x05reply"
    b"\x0560000"
    b"\x02id"
    b"\x00\x00\x00\x00\x65\x53\xf1\x00"  # 1,700,000,000 seconds
    b"\x04type"
    b"\x05guest"
    b"\x03app"
    b"\x07cluster"
)
FOURTEEN = Properties(
    content_type="text/plain",
    content_encoding="gzip",
    headers={"k": "v"},
    delivery_mode=2,
    priority=9,
    correlation_id="cor",
    reply_to="reply",
    expiration="60000",
    message_id="id",
    timestamp=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    type="type",
    user_id="guest",
    app_id="app",
    cluster_id="cluster",
)
ONE_PROPERTY = [
    ({"content_type": "a/b"}, b"\x80\x00\x03a/b"),
    ({"content_encoding": "x"}, b"\x40\x00\x01x"),
    ({"headers": {}}, b"\x20\x00\x00\x00\x00\x00"),
    ({"delivery_mode": 1}, b"\x10\x00\x01"),
    ({"priority": 255}, b"\x08\x00\xff"),
    ({"correlation_id": ""}, b"\x04\x00\x00"),  # empty is not absent
    ({"reply_to": "r"}, b"\x02\x00\x01r"),
    ({"expiration": "0"}, b"\x01\x00\x010"),
    ({"message_id": "m"}, b"\x00\x80\x01m"),
    (
        {"timestamp": datetime(1970, 1, 1, tzinfo=UTC)},
        b"\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00",
    ),
    ({"type": "t"}, b"\x00\x20\x01t"),
    ({"user_id": "u"}, b"\x00\x10\x01u"),
    ({"app_id": "é"}, b"\x00\x08\x02\xc3\xa9"),
    ({"cluster_id": "c"}, b"\x00\x04\x01c"),
    ({}, b"\x00\x00"),
]


def joined(parts: list[bytes | memoryview]) -> bytes:
    """Return what would go to the socket."""
    return b"".join(parts)


def test_a_publish_is_written_as_specified(codec: Codec) -> None:
    out: list[bytes | memoryview] = []
    size = codec.append_publish(out, 1, "ex", "r.ke", True, None, b"hello", 4096)
    assert joined(out) == PUBLISH + HELLO
    assert size == len(PUBLISH + HELLO)


def test_a_delivery_is_written_as_specified(codec: Codec) -> None:
    out: list[bytes | memoryview] = []
    size = codec.append_deliver(out, 1, "tag", 42, True, "ex", "r.ke", None, b"hello", 4096)
    assert joined(out) == DELIVER + HELLO
    assert size == len(DELIVER + HELLO)


def test_a_get_ok_is_written_as_specified(codec: Codec) -> None:
    out: list[bytes | memoryview] = []
    size = codec.append_get_ok(out, 1, 42, False, "ex", "r.ke", 9, None, b"hello", 4096)
    assert joined(out) == GET_OK + HELLO
    assert size == len(GET_OK + HELLO)


def test_a_return_is_written_as_specified(codec: Codec) -> None:
    out: list[bytes | memoryview] = []
    size = codec.append_return(out, 1, 312, "NO_ROUTE", "ex", "r.ke", None, b"hello", 4096)
    assert joined(out) == RETURN + HELLO
    assert size == len(RETURN + HELLO)


def test_a_delivery_is_read_as_specified(codec: Codec) -> None:
    (event,) = feed_all(codec.Decoder(), DELIVER + HELLO)
    assert type(event) is codec.Delivery
    assert (event.channel, event.consumer_tag, event.delivery_tag) == (1, "tag", 42)
    assert event.redelivered is True
    assert (event.exchange, event.routing_key, event.body) == ("ex", "r.ke", b"hello")
    assert event.raw_properties == b"\x00\x00"
    assert event.properties == Properties()
    assert event.context is None


def test_a_get_ok_is_read_as_specified(codec: Codec) -> None:
    (event,) = feed_all(codec.Decoder(), GET_OK + HELLO)
    assert type(event) is codec.Fetched
    assert (event.channel, event.delivery_tag, event.redelivered) == (1, 42, False)
    assert (event.exchange, event.routing_key, event.body) == ("ex", "r.ke", b"hello")
    assert event.message_count == 9


def test_a_return_is_read_as_specified(codec: Codec) -> None:
    (event,) = feed_all(codec.Decoder(), RETURN + HELLO)
    assert type(event) is codec.Returned
    assert (event.channel, event.reply_code, event.reply_text) == (1, 312, "NO_ROUTE")
    assert (event.exchange, event.routing_key, event.body) == ("ex", "r.ke", b"hello")


def test_a_publish_is_read_as_specified(codec: Codec) -> None:
    immediate = PUBLISH[:-2] + b"\x02\xce"
    first, second = feed_all(codec.Decoder(), PUBLISH + HELLO + immediate + HELLO)
    assert type(first) is codec.Published
    assert (first.mandatory, first.immediate) == (True, False)
    assert (second.mandatory, second.immediate) == (False, True)
    assert (first.exchange, first.routing_key, first.body) == ("ex", "r.ke", b"hello")


def test_all_properties_are_written_as_specified(codec: Codec) -> None:
    assert codec.encode_properties(FOURTEEN) == ALL_FOURTEEN


def test_all_properties_are_read_as_specified(codec: Codec) -> None:
    assert plain(codec.decode_properties(ALL_FOURTEEN)) == plain(FOURTEEN)


@pytest.mark.parametrize("fields, raw", ONE_PROPERTY)
def test_each_property_alone(codec: Codec, fields: dict[str, object], raw: bytes) -> None:
    properties = Properties(**fields)  # type: ignore[arg-type]
    assert codec.encode_properties(properties) == raw
    assert plain(codec.decode_properties(raw)) == plain(properties)


def test_properties_of_a_delivery_are_read_as_specified(codec: Codec) -> None:
    size = (12 + len(ALL_FOURTEEN)).to_bytes(4, "big")
    header = b"\x02\x00\x01" + size + b"\x00\x3c\x00\x00" + bytes(8) + ALL_FOURTEEN + b"\xce"
    (event,) = feed_all(codec.Decoder(), DELIVER + header)
    assert event.raw_properties == ALL_FOURTEEN
    assert plain(event.properties) == plain(FOURTEEN)
    assert event.properties is event.properties
    assert event.body == b""


def test_encoded_properties_are_copied_verbatim(codec: Codec) -> None:
    out: list[bytes | memoryview] = []
    codec.append_publish(out, 1, "", "", False, ALL_FOURTEEN, b"", 4096)
    assert joined(out).endswith(ALL_FOURTEEN + b"\xce")
