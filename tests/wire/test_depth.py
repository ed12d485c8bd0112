"""Tables within tables: the limit holds, on a small stack, in both directions."""

from collections.abc import Callable
from typing import Any

import pytest

from hopmq.errors import EncodeError, FrameSyntaxError
from hopmq.wire import Codec, Properties
from hopmq.wire.limits import TABLE_DEPTH

from .feeding import failure, feed_all, on_small_stack
from .reference import deliver, frame, header, longstr, shortstr

Nest = Callable[[int], tuple[bytes, dict[str, Any]]]


def tables(depth: int) -> tuple[bytes, dict[str, Any]]:
    """Return tables nested to a depth, on the wire and in Python."""
    raw, value = b"", {}
    for _ in range(depth - 1):
        raw = shortstr("k") + b"F" + longstr(raw)
        value = {"k": value}
    return longstr(raw), value


def arrays(depth: int) -> tuple[bytes, dict[str, Any]]:
    """Return arrays nested to a depth within one table."""
    raw, value = b"", []  # type: tuple[bytes, list[Any]]
    for _ in range(depth - 2):
        raw, value = b"A" + longstr(raw), [value]
    return longstr(shortstr("k") + b"A" + longstr(raw)), {"k": value}


def alternating(depth: int) -> tuple[bytes, dict[str, Any]]:
    """Return tables and arrays by turns, nested to a depth; the outermost is a table."""
    raw, value = b"", {} if depth % 2 else []  # type: tuple[bytes, Any]
    for _ in range(depth - 1):
        if isinstance(value, list):
            raw, value = shortstr("k") + b"A" + longstr(raw), {"k": value}
        else:
            raw, value = b"F" + longstr(raw), [value]
    return longstr(raw), value


NESTS = pytest.mark.parametrize("nest", [tables, arrays, alternating])


def test_the_nests_are_as_deep_as_they_say() -> None:
    for depth in (2, 3, 4, 64, 65):
        text = str(alternating(depth)[1])
        assert text.count("[") + text.count("{") == depth
        assert str(arrays(depth)[1]).count("[") == depth - 1
        assert str(tables(depth)[1]).count("{") == depth


@NESTS
def test_the_deepest_table_allowed_is_read_and_written(codec: Codec, nest: Nest) -> None:
    raw, value = nest(TABLE_DEPTH)
    assert on_small_stack(lambda: codec.decode_table(raw)) == value
    assert on_small_stack(lambda: codec.encode_table(value)) == raw


@NESTS
def test_the_deepest_table_allowed_travels_in_methods_and_headers(codec: Codec, nest: Nest) -> None:
    raw, value = nest(TABLE_DEPTH)
    start_ok = frame(1, 0, b"\x00\x0a\x00\x0b" + raw + b"\x00\x00\x00\x00\x00\x00")
    stream = start_ok + deliver(1) + header(1, 0, b"\x20\x00" + raw)
    method, delivery = on_small_stack(lambda: feed_all(codec.Decoder(), stream))
    assert method.method.client_properties == value
    assert on_small_stack(lambda: delivery.properties.headers) == value
    written = on_small_stack(lambda: codec.encode_properties(Properties(headers=value)))
    assert written == b"\x20\x00" + raw
    assert on_small_stack(lambda: codec.encode_method(0, method.method, 4096)) == start_ok


@NESTS
@pytest.mark.parametrize("depth", [TABLE_DEPTH + 1, TABLE_DEPTH + 2, 100, 640])
def test_a_deeper_table_is_a_syntax_error(codec: Codec, nest: Nest, depth: int) -> None:
    raw, _ = nest(depth)

    def decode() -> FrameSyntaxError:
        with pytest.raises(FrameSyntaxError) as caught:
            codec.decode_table(raw)
        return caught.value

    assert on_small_stack(decode).reply_code == 502
    streams = [
        frame(1, 0, b"\x00\x0a\x00\x0b" + raw + b"\x00\x00\x00\x00\x00\x00"),
        deliver(1) + header(1, 0, b"\x20\x00" + raw),
    ]
    for stream in streams:
        error = on_small_stack(lambda: failure(codec, stream, frame_max=131_072))  # noqa: B023
        assert error.reply_code == 502


@NESTS
@pytest.mark.parametrize("depth", [TABLE_DEPTH + 1, TABLE_DEPTH + 2, 640])
def test_a_deeper_table_is_refused(codec: Codec, nest: Nest, depth: int) -> None:
    _, value = nest(depth)

    def encode() -> None:
        with pytest.raises(EncodeError):
            codec.encode_table(value)
        with pytest.raises(EncodeError):
            codec.encode_properties(Properties(headers=value))
        with pytest.raises(EncodeError):
            codec.append_publish([], 1, "", "", False, Properties(headers=value), b"", 131_072)

    on_small_stack(encode)


def test_a_bomb_that_fills_a_large_frame_is_a_syntax_error(codec: Codec) -> None:
    """A hundred thousand openings in one frame; a decoder without a limit would crash."""
    levels = 100_000
    opening = shortstr("k") + b"F"
    sizes = ((7 * left).to_bytes(4, "big") for left in range(levels, 0, -1))
    raw = opening.join(sizes) + opening + bytes(4)
    stream = deliver(1) + header(1, 0, b"\x20\x00" + raw)
    error = on_small_stack(lambda: failure(codec, stream, frame_max=2**20))
    assert error.reply_code == 502
    with pytest.raises(FrameSyntaxError):
        codec.decode_table(raw)


def test_a_cycle_is_refused(codec: Codec) -> None:
    table: dict[str, Any] = {}
    table["self"] = table
    array: list[Any] = []
    array.append(array)
    for cycle in (table, {"a": array}, {"a": [table]}):
        with pytest.raises(EncodeError):
            codec.encode_table(cycle)
