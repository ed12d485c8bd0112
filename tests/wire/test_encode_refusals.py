"""What has no exact AMQP form is refused, with the place where it stands."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import pytest
from pamqp import commands

from hopmq.errors import EncodeError
from hopmq.typedefs import Timestamp
from hopmq.wire import Codec, Properties

from .specification import BY_NAME, samples
from .test_methods import new

TOO_LONG = "x" * 256
TOO_LONG_IN_UTF8 = "é" * 128
SURROGATE = "\udc80"

REFUSED_VALUES: list[Any] = [
    2**63,
    -(2**63) - 1,
    10**40,
    object(),
    {1, 2},
    frozenset(),
    1j,
    range(3),
    iter([]),
    int,
    SURROGATE,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
    Decimal(2147483648),
    Decimal(-2147483649),
    Decimal("1E+10"),
    Decimal("1E+1000000"),
    Decimal("1E-256"),
    Decimal("1.23456789012"),
    datetime(2020, 1, 1),
    datetime(2020, 1, 1, microsecond=1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    Timestamp(-1),
    Timestamp(2**64),
]


def refusal(function: Any, *args: Any) -> EncodeError:
    """Return the EncodeError that a call must raise."""
    with pytest.raises(EncodeError) as caught:
        function(*args)
    return caught.value


@pytest.mark.parametrize("value", REFUSED_VALUES, ids=repr)
def test_a_value_without_an_exact_form_is_refused(codec: Codec, value: Any) -> None:
    assert refusal(codec.encode_table, {"k": value}).reason


@pytest.mark.parametrize("value", REFUSED_VALUES, ids=repr)
def test_both_codecs_refuse_in_the_same_words(codec: Codec, compiled: Codec, value: Any) -> None:
    for table in ({"k": value}, {"a": [{"b": value}]}):
        mine, theirs = (refusal(one.encode_table, table) for one in (codec, compiled))
        assert (mine.reason, mine.path) == (theirs.reason, theirs.path)


@pytest.mark.parametrize(
    "table, path",
    [
        ({"a": object()}, "['a']"),
        ({"a": [1, object()]}, "['a'][1]"),
        ({"a": [{"b": object()}]}, "['a'][0]['b']"),
        ({"a": {"b": {"c": 2**63}}}, "['a']['b']['c']"),
    ],
)
def test_the_path_leads_to_the_value(codec: Codec, table: dict[str, Any], path: str) -> None:
    assert refusal(codec.encode_table, table).path.endswith(path)
    error = refusal(codec.encode_properties, Properties(headers=table))
    assert error.path == f"headers{path}"


@pytest.mark.parametrize("key", [1, None, b"k", TOO_LONG, TOO_LONG_IN_UTF8, SURROGATE])
def test_a_key_must_be_text_of_at_most_255_bytes(codec: Codec, key: Any) -> None:
    refusal(codec.encode_table, {key: 1})
    refusal(codec.encode_table, {"a": {key: 1}})


@pytest.mark.parametrize("table", [None, [], "text", 5, [("a", 1)]])
def test_a_table_must_be_a_mapping(codec: Codec, table: Any) -> None:
    refusal(codec.encode_table, table)


SHORT_STRINGS = [
    "content_type",
    "content_encoding",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
]


@pytest.mark.parametrize("name", SHORT_STRINGS)
@pytest.mark.parametrize("value", [TOO_LONG, TOO_LONG_IN_UTF8, SURROGATE, 5, b"bytes", True])
def test_a_string_property_is_refused_by_name(codec: Codec, name: str, value: Any) -> None:
    assert refusal(codec.encode_properties, Properties(**{name: value})).path == name


@pytest.mark.parametrize("name", ["delivery_mode", "priority"])
@pytest.mark.parametrize("value", [-1, 256, "1", 1.0])
def test_an_octet_property_is_refused_by_name(codec: Codec, name: str, value: Any) -> None:
    assert refusal(codec.encode_properties, Properties(**{name: value})).path == name


@pytest.mark.parametrize(
    "value",
    [
        datetime(2020, 1, 1),
        datetime(1969, 12, 31, tzinfo=UTC),
        "now",
        1.5,
        Timestamp(-1),
        Timestamp(2**64),
    ],
)
def test_a_timestamp_property_is_refused_by_name(codec: Codec, value: Any) -> None:
    error = refusal(codec.encode_properties, Properties(timestamp=value))
    assert error.path == "timestamp"


@pytest.mark.parametrize("value", [[], "text", 5])
def test_headers_must_be_a_table(codec: Codec, value: Any) -> None:
    assert refusal(codec.encode_properties, Properties(headers=value)).path == "headers"


def test_a_timestamp_property_is_cut_to_whole_seconds(codec: Codec) -> None:
    almost = datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC)
    raw = codec.encode_properties(Properties(timestamp=almost))
    assert raw == b"\x00\x40\x00\x00\x00\x00\x00\x00\x00\x01"


WRONG_BY_KIND: dict[str, list[Any]] = {
    "octet": [-1, 256, "5", 1.0, None],
    "short": [-1, 65_536, "5", 1.0],
    "long": [-1, 2**32, "5", 1.0],
    "longlong": [-1, 2**64, "5", 1.0],
    "shortstr": [TOO_LONG, TOO_LONG_IN_UTF8, SURROGATE, b"bytes", 5],
    "longstr": [SURROGATE, 5],
    "table": [[], 5, {"k": object()}],
}
EVERY_FIELD = [
    (spec.name, field, kind)
    for spec in BY_NAME.values()
    for field, kind in spec.fields
    if kind in WRONG_BY_KIND
]


@pytest.mark.parametrize("name, field, kind", EVERY_FIELD)
def test_a_wrong_argument_is_refused_by_name(
    codec: Codec, name: str, field: str, kind: str
) -> None:
    spec = BY_NAME[name]
    for value in WRONG_BY_KIND[kind]:
        method = new(spec, {**samples(spec)[0], field: value})
        assert refusal(codec.encode_method, 0, method, 4096).path.startswith(field), value


@pytest.mark.parametrize("channel", [-1, 65_536, 2**32, "1", None, 1.0])
def test_a_channel_number_out_of_range_is_refused(codec: Codec, channel: Any) -> None:
    method = new(BY_NAME["Tx.Select"], {})
    content = (channel, "", "", False, None, b"", 4096)
    assert refusal(codec.encode_method, channel, method, 4096).path == "channel"
    assert refusal(codec.append_publish, [], *content).path == "channel"
    assert refusal(codec.encode_ack, channel, 1, False).path == "channel"
    assert refusal(codec.encode_nack, channel, 1, False, False).path == "channel"
    assert refusal(codec.encode_reject, channel, 1, False).path == "channel"


@pytest.mark.parametrize("tag", [-1, 2**64, 10**30, "1", None, 1.0])
def test_a_delivery_tag_out_of_range_is_refused(codec: Codec, tag: Any) -> None:
    assert refusal(codec.encode_ack, 1, tag, False).path == "delivery_tag"
    assert refusal(codec.encode_nack, 1, tag, False, False).path == "delivery_tag"
    assert refusal(codec.encode_reject, 1, tag, False).path == "delivery_tag"


def appends(codec: Codec) -> list[tuple[Any, dict[str, Any]]]:
    """Return every append function with arguments that are right, by name."""
    tail = {"properties": None, "body": b"b", "frame_max": 4096}
    route = {"exchange": "e", "routing_key": "r"}
    tag = {"delivery_tag": 1, "redelivered": False}
    return [
        (codec.append_publish, {"channel": 1, **route, "mandatory": False, **tail}),
        (codec.append_deliver, {"channel": 1, "consumer_tag": "c", **tag, **route, **tail}),
        (codec.append_get_ok, {"channel": 1, **tag, **route, "message_count": 1, **tail}),
        (codec.append_return, {"channel": 1, "reply_code": 1, "reply_text": "t", **route, **tail}),
    ]


WRONG_IN_CONTENT: dict[str, list[Any]] = {
    "channel": [-1, 65_536, None, "1"],
    "exchange": [TOO_LONG, TOO_LONG_IN_UTF8, SURROGATE, None, b"bytes", 5],
    "routing_key": [TOO_LONG, TOO_LONG_IN_UTF8, SURROGATE, None, b"bytes", 5],
    "consumer_tag": [TOO_LONG, SURROGATE, None, b"bytes"],
    "reply_text": [TOO_LONG, SURROGATE, None, b"bytes"],
    "delivery_tag": [-1, 2**64, None, "1", 1.0],
    "message_count": [-1, 2**32, None, "1", 1.0],
    "reply_code": [-1, 65_536, None, "1", 1.0],
    "body": ["text", None, 5, [1], memoryview(b"abcdef")[::2]],
}


@pytest.mark.parametrize("field", WRONG_IN_CONTENT)
def test_a_refused_content_leaves_nothing_behind(codec: Codec, field: str) -> None:
    before = [b"kept"]
    for append, right in appends(codec):
        for wrong in WRONG_IN_CONTENT[field] if field in right else ():
            out: list[Any] = list(before)
            error = refusal(append, out, *{**right, field: wrong}.values())
            assert error.path == field, wrong
            assert out == before


@pytest.mark.parametrize("size", [10, 100_000])
def test_refused_properties_leave_nothing_behind(codec: Codec, size: int) -> None:
    for append, right in appends(codec):
        bad = Properties(headers={"a": [1, object()]})
        out: list[Any] = []
        error = refusal(append, out, *{**right, "properties": bad, "body": bytes(size)}.values())
        assert error.path == "headers['a'][1]"
        assert out == []


def test_a_header_frame_larger_than_frame_max_is_refused(codec: Codec) -> None:
    room = 4096 - 8 - 14 - 4 - 2 - 5  # overhead, fixed part, table, key "k", long string
    out: list[Any] = []
    fits = Properties(headers={"k": "x" * room})
    codec.append_publish(out, 1, "", "", False, fits, b"", 4096)
    assert len(b"".join(out)) == 4096 + 8 + 4 + 5
    wide = Properties(headers={"k": "x" * (room + 1)})
    for properties in (wide, codec.encode_properties(wide)):
        kept: list[Any] = []
        refusal(codec.append_publish, kept, 1, "", "", False, properties, b"", 4096)
        assert kept == []


def test_a_method_that_is_not_amqp_is_refused(codec: Codec) -> None:
    for other in (None, b"bytes", commands.Basic.Properties(), commands.Basic):
        refusal(codec.encode_method, 1, other, 4096)


def test_an_encode_error_is_a_value_error(codec: Codec) -> None:
    with pytest.raises(ValueError, match="headers"):
        codec.encode_properties(Properties(headers={"k": object()}))


def test_values_that_change_while_they_are_encoded_do_no_harm(codec: Codec) -> None:
    """A tzinfo is the caller's own code, and runs in the midst of a table."""
    items: list[Any] = []
    table: dict[str, Any] = {}

    class Meddler(tzinfo):
        def utcoffset(self, dt: datetime | None) -> timedelta:
            items.clear()
            table.clear()
            return timedelta(0)

    items += [datetime(2020, 1, 1, tzinfo=Meddler()), *range(100)]
    table.update({"items": items, **{f"key {number}": "x" * 50 for number in range(100)}})
    with pytest.raises(RuntimeError, match="changed"):
        codec.encode_table(table)
    items += [datetime(2020, 1, 1, tzinfo=Meddler()), *range(100)]
    assert codec.decode_table(codec.encode_table({"k": items})) == {
        "k": [datetime(2020, 1, 1, tzinfo=UTC)]
    }
