"""Field values of tables, both ways, written out by hand and by the reference encoder."""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from hopmq.typedefs import Timestamp
from hopmq.wire import Codec

from .plain import plain
from .reference import longstr, shortstr

INF = float("inf")
MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)

# What stands on the wire, and what it means; first those that are also written this way.
BOTH_WAYS: list[tuple[bytes, Any]] = [
    (b"V", None),
    (b"t\x01", True),
    (b"t\x00", False),
    (b"b\x00", 0),
    (b"b\x7f", 127),
    (b"b\x80", -128),
    (b"b\xff", -1),
    (b"s\x00\x80", 128),
    (b"s\xff\x7f", -129),
    (b"s\x7f\xff", 32_767),
    (b"s\x80\x00", -32_768),
    (b"I\x00\x00\x80\x00", 32_768),
    (b"I\x00\x00\xff\xff", 65_535),
    (b"I\xff\xff\x7f\xff", -32_769),
    (b"I\x7f\xff\xff\xff", 2_147_483_647),
    (b"I\x80\x00\x00\x00", -2_147_483_648),
    (b"l\x00\x00\x00\x00\x80\x00\x00\x00", 2_147_483_648),
    (b"l\x00\x00\x00\x00\xff\xff\xff\xff", 4_294_967_295),
    (b"l\xff\xff\xff\xff\x7f\xff\xff\xff", -2_147_483_649),
    (b"l\x7f\xff\xff\xff\xff\xff\xff\xff", 2**63 - 1),
    (b"l\x80\x00\x00\x00\x00\x00\x00\x00", -(2**63)),
    (b"d\x3f\xb9\x99\x99\x99\x99\x99\x9a", 0.1),
    (b"d\x80\x00\x00\x00\x00\x00\x00\x00", -0.0),
    (b"d\x7f\xf0\x00\x00\x00\x00\x00\x00", INF),
    (b"d\xff\xf0\x00\x00\x00\x00\x00\x00", -INF),
    (b"d\x00\x00\x00\x00\x00\x00\x00\x01", 5e-324),
    (b"D\x02\x00\x00\x00\x7b", Decimal("1.23")),
    (b"D\x02\xff\xff\xff\x85", Decimal("-1.23")),
    (b"D\x00\x00\x00\x00\x00", Decimal(0)),
    (b"D\x00\x7f\xff\xff\xff", Decimal(2147483647)),
    (b"D\x00\x80\x00\x00\x00", Decimal(-2147483648)),
    (b"D\x0a\x80\x00\x00\x00", Decimal("-0.2147483648")),
    (b"D\xff\x00\x00\x00\x01", Decimal("1E-255")),
    (b"D\x03\x00\x00\x04\xb0", Decimal("1.200")),
    (b"S\x00\x00\x00\x00", ""),
    (b"S\x00\x00\x00\x03\xe2\x82\xac", "€"),
    (b"S\x00\x00\x00\x04\xf0\x9f\x90\x87", "🐇"),
    (b"S\x00\x00\x00\x01\x00", "\x00"),
    (b"x\x00\x00\x00\x00", b""),
    (b"x\x00\x00\x00\x03\x00\xff\xce", b"\x00\xff\xce"),
    (b"T\x00\x00\x00\x00\x65\x53\xf1\x00", MOMENT),
    (b"T\x00\x00\x00\x00\x00\x00\x00\x00", datetime(1970, 1, 1, tzinfo=UTC)),
    (b"T\x00\x00\x00\x3a\xff\xf4\x41\x7f", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    (b"T\x00\x00\x00\x3a\xff\xf4\x41\x80", Timestamp(253_402_300_800)),
    (b"T\xff\xff\xff\xff\xff\xff\xff\xff", Timestamp(2**64 - 1)),
    (b"A\x00\x00\x00\x00", []),
    (b"A\x00\x00\x00\x05b\x01t\x01V", [1, True, None]),
    (b"A\x00\x00\x00\x05A\x00\x00\x00\x00", [[]]),
    (b"F\x00\x00\x00\x00", {}),
    (b"F\x00\x00\x00\x04\x01kb\x05", {"k": 5}),
    (b"F\x00\x00\x00\x02\x00V", {"": None}),
]

READ_ONLY: list[tuple[bytes, Any]] = [
    (b"t\x02", True),
    (b"t\xff", True),
    (b"B\xff", 255),
    (b"B\x00", 0),
    (b"u\xff\xff", 65_535),
    (b"i\xff\xff\xff\xff", 4_294_967_295),
    (b"L\xff\xff\xff\xff\xff\xff\xff\xff", -1),
    (b"L\x80\x00\x00\x00\x00\x00\x00\x00", -(2**63)),
    (b"l\x00\x00\x00\x00\x00\x00\x00\x05", 5),
    (b"I\xff\xff\xff\xff", -1),
    (b"s\xff\xff", -1),
    (b"f\x3d\xcc\xcc\xcd", 0.10000000149011612),
    (b"f\x7f\x80\x00\x00", INF),
    (b"f\x80\x00\x00\x00", -0.0),
    (b"f\x00\x00\x00\x01", 1.401298464324817e-45),
    (b"f\x7f\xc0\x00\x00", float("nan")),
    (b"d\x7f\xf8\x00\x00\x00\x00\x00\x00", float("nan")),
    (b"D\xff\x00\x00\x00\x00", Decimal("0E-255")),
    (b"S\x00\x00\x00\x02\xff\xfe", b"\xff\xfe"),
    (b"S\x00\x00\x00\x03\xed\xa0\x80", b"\xed\xa0\x80"),  # a surrogate is no UTF-8
    (b"S\x00\x00\x00\x02\xc0\x80", b"\xc0\x80"),  # nor is an overlong zero
    (b"F\x00\x00\x00\x08\x01kb\x05\x01kb\x06", {"k": 6}),  # the last of equal keys wins
    (b"F\x00\x00\x00\x0c\x01ab\x01\x01bb\x02\x01ab\x03", {"a": 3, "b": 2}),
]


def in_table(raw: bytes) -> bytes:
    """Return a table with one entry "k" of these bytes."""
    return longstr(shortstr("k") + raw)


@pytest.mark.parametrize("raw, value", BOTH_WAYS + READ_ONLY)
def test_a_value_is_read(codec: Codec, raw: bytes, value: Any) -> None:
    table = codec.decode_table(in_table(raw))
    assert type(table) is dict
    assert plain(table) == plain({"k": value})


@pytest.mark.parametrize("raw, value", BOTH_WAYS)
def test_a_value_is_written(codec: Codec, raw: bytes, value: Any) -> None:
    assert codec.encode_table({"k": value}) == in_table(raw)


@pytest.mark.parametrize("raw, value", BOTH_WAYS)
def test_a_value_is_written_in_an_array(codec: Codec, raw: bytes, value: Any) -> None:
    assert codec.encode_table({"k": [value, 1]}) == in_table(b"A" + longstr(raw + b"b\x01"))


@pytest.mark.parametrize("raw, value", BOTH_WAYS)
def test_a_value_is_read_in_an_array(codec: Codec, raw: bytes, value: Any) -> None:
    table = codec.decode_table(in_table(b"A" + longstr(raw + b"b\x01")))
    assert plain(table) == plain({"k": [value, 1]})


def test_nan_is_written(codec: Codec) -> None:
    assert codec.encode_table({"k": float("nan")}) in (
        in_table(b"d\x7f\xf8\x00\x00\x00\x00\x00\x00"),
        in_table(b"d\xff\xf8\x00\x00\x00\x00\x00\x00"),
    )


def test_the_empty_table(codec: Codec) -> None:
    assert codec.encode_table({}) == b"\x00\x00\x00\x00"
    assert codec.decode_table(b"\x00\x00\x00\x00") == {}


def test_keys_keep_their_order(codec: Codec) -> None:
    table = {"b": 1, "a": 2, "c": 3}
    assert codec.encode_table(table) == longstr(b"\x01bb\x01\x01ab\x02\x01cb\x03")
    assert list(codec.decode_table(codec.encode_table(table))) == ["b", "a", "c"]


def test_keys_may_have_255_bytes_of_utf8(codec: Codec) -> None:
    key = "é" * 127 + "x"
    raw = codec.encode_table({key: None})
    assert raw == longstr(b"\xff" + key.encode() + b"V")
    assert codec.decode_table(raw) == {key: None}


class Level(IntEnum):
    """An integer of its own class."""

    HIGH = 300


class Colour(StrEnum):
    """A string of its own class."""

    RED = "red"


class Real(float):
    """A float of its own class."""


class Raw(bytes):
    """Bytes of their own class."""


class Price(Decimal):
    """A decimal of its own class."""


class Moment(datetime):
    """A datetime of its own class."""


class Items(list[Any]):
    """A list of its own class."""


@pytest.mark.parametrize(
    "value, raw",
    [
        (Level.HIGH, b"s\x01\x2c"),
        (Colour.RED, b"S\x00\x00\x00\x03red"),
        (Real(1.5), b"d\x3f\xf8\x00\x00\x00\x00\x00\x00"),
        (Raw(b"r"), b"x\x00\x00\x00\x01r"),
        (bytearray(b"r"), b"x\x00\x00\x00\x01r"),
        (memoryview(b"r"), b"x\x00\x00\x00\x01r"),
        (memoryview(b"abcdef")[1:3], b"x\x00\x00\x00\x02bc"),
        (Price("1.5"), b"D\x01\x00\x00\x00\x0f"),
        (Moment(1970, 1, 1, 0, 0, 1, tzinfo=UTC), b"T\x00\x00\x00\x00\x00\x00\x00\x01"),
        (Items([1]), b"A\x00\x00\x00\x02b\x01"),
        ((1, 2), b"A\x00\x00\x00\x04b\x01b\x02"),
        (OrderedDict(z=1, a=2), b"F\x00\x00\x00\x08\x01zb\x01\x01ab\x02"),
        ({Colour.RED: 1}, b"F\x00\x00\x00\x06\x03redb\x01"),
        (Timestamp(1), b"T\x00\x00\x00\x00\x00\x00\x00\x01"),
        (Decimal("1E+3"), b"D\x00\x00\x00\x03\xe8"),
        (Decimal("-0"), b"D\x00\x00\x00\x00\x00"),
        (
            datetime(1970, 1, 1, 2, 0, 0, tzinfo=timezone(timedelta(hours=2))),
            b"T\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
    ],
)
def test_kin_of_the_known_types_are_written_as_these(codec: Codec, value: Any, raw: bytes) -> None:
    assert codec.encode_table({"k": value}) == in_table(raw)


def test_decimals_are_exact_in_any_decimal_context(codec: Codec) -> None:
    with localcontext() as context:
        context.prec = 2
        context.Emin = -3
        context.traps = dict.fromkeys(context.traps, False)
        (read,) = codec.decode_table(in_table(b"D\xff\x80\x00\x00\x00")).values()
        written = codec.encode_table({"k": Decimal("-21474836.48")})
    assert plain(read) == plain(Decimal("-2147483648E-255"))
    assert written == in_table(b"D\x02\x80\x00\x00\x00")


def test_a_table_is_not_read_into_a_shared_object(codec: Codec) -> None:
    first = codec.decode_table(b"\x00\x00\x00\x00")
    first["changed"] = True
    assert codec.decode_table(b"\x00\x00\x00\x00") == {}
