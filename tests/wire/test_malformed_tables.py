"""Malformed tables: unknown types, overruns, cut values, at the top and nested."""

from collections.abc import Callable

import pytest

from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec

from .feeding import failure
from .reference import FIXED, Tagged, array, deliver, field, frame, header, longstr, shortstr, table

KNOWN = set(b"tbBsuIilLfdDSAxTFV")
SAMPLES: list[Tagged] = [
    *((tag, 1) for tag in FIXED),
    ("t", 1),
    ("D", (2, -123)),
    ("S", "text"),
    ("S", b"\xff\xff"),
    ("x", b"bytes"),
    ("A", [("b", 1), ("S", "x")]),
    ("F", [("k", ("I", 5))]),
]

Wrap = Callable[[bytes], bytes]
WRAPS: dict[str, Wrap] = {
    "table": lambda raw: longstr(shortstr("k") + raw),
    "array": lambda raw: longstr(shortstr("k") + b"A" + longstr(raw)),
    "nested table": lambda raw: longstr(shortstr("k") + b"F" + longstr(shortstr("n") + raw)),
    "table in array": lambda raw: longstr(
        shortstr("k") + b"A" + longstr(b"F" + longstr(shortstr("n") + raw))
    ),
}
EVERY_WRAP = pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)


def refused(codec: Codec, raw: bytes) -> FrameSyntaxError:
    """Return the error that a table must give: alone, as an argument, and as headers."""
    with pytest.raises(FrameSyntaxError) as caught:
        codec.decode_table(raw)
    error = caught.value
    assert (error.reply_code, error.offset) == (502, 0)
    start_ok = frame(1, 0, b"\x00\x0a\x00\x0b" + raw + b"\x00\x00\x00\x00\x00\x00")
    assert failure(codec, start_ok).reply_code == 502
    assert failure(codec, deliver(1) + header(1, 0, b"\x20\x00" + raw)).reply_code == 502
    return error


@EVERY_WRAP
def test_an_unknown_field_type_is_a_syntax_error(codec: Codec, wrap: Wrap) -> None:
    for octet in set(range(256)) - KNOWN:
        refused(codec, wrap(bytes([octet])))


@EVERY_WRAP
@pytest.mark.parametrize("sample", SAMPLES, ids=[f"{tag}-{value}" for tag, value in SAMPLES])
def test_a_value_cut_off_anywhere_is_a_syntax_error(
    codec: Codec, wrap: Wrap, sample: Tagged
) -> None:
    whole = field(sample)
    assert codec.decode_table(wrap(whole))
    for size in range(1, len(whole)):
        refused(codec, wrap(whole[:size]))


@EVERY_WRAP
def test_a_name_without_a_value_is_a_syntax_error(codec: Codec, wrap: Wrap) -> None:
    refused(codec, wrap(b"F" + longstr(shortstr("n"))))


@pytest.mark.parametrize("name", [b"\x05four", b"\xff", b"\x01"])
def test_a_name_longer_than_its_table_is_a_syntax_error(codec: Codec, name: bytes) -> None:
    refused(codec, longstr(name))
    refused(codec, longstr(shortstr("k") + b"F" + longstr(name)))


@pytest.mark.parametrize("change", [-1, 1])
def test_a_table_length_off_by_one_is_a_syntax_error(codec: Codec, change: int) -> None:
    content = shortstr("k") + field(("I", 5))
    size = (len(content) + change).to_bytes(4, "big")
    refused(codec, size + content)
    refused(codec, longstr(shortstr("n") + b"F" + size + content))


@pytest.mark.parametrize("change", [-1, 1])
def test_an_array_length_off_by_one_is_a_syntax_error(codec: Codec, change: int) -> None:
    content = field(("I", 5)) + field(("I", 6))
    size = (len(content) + change).to_bytes(4, "big")
    refused(codec, longstr(shortstr("k") + b"A" + size + content))


@pytest.mark.parametrize("tag", [b"F", b"A", b"S", b"x"])
def test_nested_content_may_not_reach_beyond_its_table(codec: Codec, tag: bytes) -> None:
    """The outer table has room for the bytes; the inner length says they are not its own."""
    inner = b"\x01nI\x00\x00\x00\x05" if tag == b"F" else b"I\x00\x00\x00\x05"
    for size in range(len(inner) + 1, len(inner) + 8):
        holder = shortstr("a") + tag + size.to_bytes(4, "big") + inner
        refused(codec, longstr(shortstr("t") + b"F" + longstr(holder) + shortstr("zzzzzzz") + b"V"))


def test_a_nested_table_may_not_take_its_neighbours_bytes(codec: Codec) -> None:
    """The inner table is cut within its integer; the rest of it lies in the outer table."""
    inner_says = (4).to_bytes(4, "big")
    content = shortstr("a") + b"F" + inner_says + b"\x01nI\x00\x00\x00\x05"
    refused(codec, longstr(content))
    as_array = shortstr("a") + b"A" + (2).to_bytes(4, "big") + b"I\x00\x00\x00\x05"
    refused(codec, longstr(as_array))


def test_bytes_behind_a_table_are_a_syntax_error(codec: Codec) -> None:
    for extra in (b"\x00", b"\x01kV"):
        with pytest.raises(FrameSyntaxError):
            codec.decode_table(table([("k", ("b", 1))]) + extra)


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\x00\x00"])
def test_less_than_a_length_is_a_syntax_error(codec: Codec, raw: bytes) -> None:
    with pytest.raises(FrameSyntaxError):
        codec.decode_table(raw)


def test_an_array_of_every_type_is_read_to_its_end(codec: Codec) -> None:
    raw = longstr(shortstr("k") + b"A" + array(SAMPLES))
    (items,) = codec.decode_table(raw).values()
    assert isinstance(items, list)
    assert len(items) == len(SAMPLES)
