"""Headers written into the bytes of a property list: the rest stays as it was, to the byte."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hopmq.broker.property_list import (
    MalformedTableError,
    array,
    fields_of,
    headers_of,
    integer_of,
    items_of,
    moment,
    number,
    table,
    text,
    with_added,
    with_headers,
    without_expiration,
)
from hopmq.wire import Properties, active

NAMES = st.text(max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9)
    | st.binary(max_size=9) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
HEADERS = st.none() | st.dictionaries(NAMES, VALUES, max_size=5)
SHORT = st.none() | st.text(max_size=9)
PROPERTIES = st.builds(
    Properties,
    content_type=SHORT,
    content_encoding=SHORT,
    headers=HEADERS,
    delivery_mode=st.none() | st.integers(1, 2),
    priority=st.none() | st.integers(0, 255),
    correlation_id=SHORT,
    reply_to=SHORT,
    expiration=st.none() | st.just("1000"),
    message_id=SHORT,
    type=SHORT,
    app_id=SHORT,
)


@given(PROPERTIES)
def test_a_header_is_added_and_nothing_else_changes(properties: Properties) -> None:
    raw = active.encode_properties(properties)
    added = with_added(raw, {"x-added": number(7)})
    properties.headers = {**(properties.headers or {}), "x-added": 7}
    assert active.decode_properties(added) == active.decode_properties(
        active.encode_properties(properties)
    )


@given(PROPERTIES)
def test_fields_keep_their_bytes(properties: Properties) -> None:
    raw = active.encode_properties(properties)
    before = headers_of(raw)
    after = headers_of(with_added(raw, {"x-added": number(7)}))
    assert after == {**before, "x-added": number(7)}
    assert list(after) == sorted(after)


@given(PROPERTIES)
def test_the_expiration_alone_is_cut_out(properties: Properties) -> None:
    raw = without_expiration(active.encode_properties(properties))
    properties.expiration = None
    assert raw == active.encode_properties(properties)


@given(st.binary(max_size=60))
def test_no_bytes_break_it(noise: bytes) -> None:
    raw = b"\xff\xfc" + noise
    for look in (headers_of, without_expiration, lambda raw: with_headers(raw, {})):
        try:
            look(raw)
        except MalformedTableError:
            continue
    assert with_added(raw, {"x": number(1)})


def test_headers_that_cannot_be_read_stay() -> None:
    raw = b"\x20\x00" + b"\x00\x00\x00\x05" + b"\x01a?12"
    assert with_added(raw, {"x": number(1)}) == raw


def test_one_of_the_same_name_makes_way() -> None:
    raw = active.encode_properties(Properties(headers={"x": "mine", "y": 1}))
    assert active.decode_properties(with_added(raw, {"x": number(1)})).headers == {"x": 1, "y": 1}


def test_values_are_those_that_are_read() -> None:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    fields = {
        "array": array([text("a"), number(1)]),
        "moment": moment(time),
        "number": number(-5),
        "table": table({"inner": text("ä")}),
        "text": text("text"),
    }
    raw = with_headers(active.encode_properties(Properties()), fields)
    assert active.decode_properties(raw).headers == {
        "array": ["a", 1],
        "moment": time,
        "number": -5,
        "table": {"inner": "ä"},
        "text": "text",
    }
    assert items_of(fields["array"]) == [text("a"), number(1)]
    assert fields_of(fields["table"]) == {"inner": text("ä")}
    assert items_of(text("a")) == []
    assert fields_of(text("a")) == {}


@pytest.mark.parametrize(
    "field, value",
    [
        (number(-5), -5),
        (b"b\xff", -1),
        (b"B\xff", 255),
        (b"I\xff\xff\xff\xfe", -2),
        (b"i\xff\xff\xff\xfe", 2**32 - 2),
        (text("5"), 0),
        (b"", 0),
    ],
)
def test_integers_of_every_width_are_read(field: bytes, value: int) -> None:
    assert integer_of(field) == value
