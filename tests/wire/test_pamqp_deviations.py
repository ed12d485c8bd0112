"""Where pamqp 4 and HopMQ differ, on purpose: each row shows that the difference is still there.

When a row fails, pamqp has changed; look at it again, and at the strategies that avoid it.
"""

import logging
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pamqp import commands, decode, encode, exceptions, frame, header

from hopmq.errors import EncodeError, FrameSyntaxError
from hopmq.typedefs import Timestamp
from hopmq.wire import Codec, Properties

from . import reference
from .feeding import failure, feed_all
from .plain import plain
from .reference import longstr, shortstr

MOMENT_MS = 1_700_000_000_000
Check = Callable[[Codec], bool]


def table(raw: bytes) -> bytes:
    """Return a table with one entry "k" of these bytes."""
    return longstr(shortstr("k") + raw)


def theirs(raw: bytes) -> Any:
    """Return what pamqp reads as the value of "k"."""
    return decode.field_table(table(raw))[1]["k"]


def raises(kind: type[BaseException], function: Any, *arguments: Any) -> bool:
    """Tell whether a call raises exactly this."""
    try:
        function(*arguments)
    except kind as error:
        return type(error) is kind
    return False


def method(kind: Any, **values: Any) -> Any:
    """Make a method without pamqp's constructor."""
    made = kind.__new__(kind)
    for name in kind.__slots__:
        zero = {"bit": False, "shortstr": "", "longstr": "", "table": {}}
        setattr(made, name, values.get(name, zero.get(kind.amqp_type(name), 0)))
    return made


def floats(codec: Codec) -> bool:
    return encode.field_table({"k": 0.1}) == table(b"f\x3d\xcc\xcc\xcd") and codec.encode_table(
        {"k": 0.1}
    ) == table(b"d\x3f\xb9\x99\x99\x99\x99\x99\x9a")


def long_keys(codec: Codec) -> bool:
    key = "k" * 200
    logging.disable(logging.WARNING)
    try:
        cut = decode.field_table(encode.field_table({key: 1}))[1]
    finally:
        logging.disable(logging.NOTSET)
    return list(cut) == ["k" * 128] and codec.decode_table(codec.encode_table({key: 1})) == {key: 1}


def sorted_keys(codec: Codec) -> bool:
    values = {"b": 1, "a": 2}
    return list(decode.field_table(encode.field_table(values))[1]) == ["a", "b"] and list(
        codec.decode_table(codec.encode_table(values))
    ) == ["b", "a"]


def names(codec: Codec) -> bool:
    declare = method(commands.Queue.Declare, queue="größe")
    return raises(ValueError, frame.marshal, declare, 1) and bool(
        codec.encode_method(1, declare, 4096)
    )


def long_names(codec: Codec) -> bool:
    declare = method(commands.Exchange.Declare, exchange="e" * 200, exchange_type="direct")
    return raises(ValueError, frame.marshal, declare, 1) and bool(
        codec.encode_method(1, declare, 4096)
    )


def empty_reserved_fields(codec: Codec) -> bool:
    opening = method(commands.Channel.Open)
    return raises(ValueError, frame.marshal, opening, 1) and codec.encode_method(
        1, opening, 4096
    ) == reference.method(1, 20, 10, b"\x00")


def bytes_in_tables(codec: Codec) -> bool:
    return raises(TypeError, encode.field_table, {"k": b"raw"}) and codec.encode_table(
        {"k": b"raw"}
    ) == table(b"x\x00\x00\x00\x03raw")


def tuples_in_tables(codec: Codec) -> bool:
    return raises(TypeError, encode.field_table, {"k": (1,)}) and codec.encode_table(
        {"k": (1,)}
    ) == table(b"A\x00\x00\x00\x02b\x01")


def byte_arrays_are_read_as_bytearray(codec: Codec) -> bool:
    raw = b"x\x00\x00\x00\x01r"
    return type(theirs(raw)) is bytearray and type(codec.decode_table(table(raw))["k"]) is bytes


def unsigned_integers(codec: Codec) -> bool:
    """The 16- and 32-bit unsigned types are known to RabbitMQ, and to few others."""
    return (
        encode.field_table({"k": 40_000}) == table(b"u\x9c\x40")
        and encode.field_table({"k": 3_000_000_000}) == table(b"i\xb2\xd0\x5e\x00")
        and codec.encode_table({"k": 40_000}) == table(b"I\x00\x00\x9c\x40")
        and codec.encode_table({"k": 3_000_000_000}) == table(b"l\x00\x00\x00\x00\xb2\xd0\x5e\x00")
    )


def milliseconds(codec: Codec) -> bool:
    raw = b"T" + MOMENT_MS.to_bytes(8, "big")
    mine = codec.decode_table(table(raw))["k"]
    return theirs(raw).year == 2023 and plain(mine) == plain(Timestamp(MOMENT_MS))


def far_timestamps(codec: Codec) -> bool:
    raw = b"T" + b"\xff" * 8
    return raises(ValueError, theirs, raw) and plain(codec.decode_table(table(raw))["k"]) == plain(
        Timestamp(2**64 - 1)
    )


def naive_datetimes(codec: Codec) -> bool:
    naive = {"k": datetime(2020, 1, 1)}
    return bool(encode.field_table(naive)) and raises(EncodeError, codec.encode_table, naive)


def microseconds(codec: Codec) -> bool:
    fine = {"k": datetime(2020, 1, 1, microsecond=5, tzinfo=UTC)}
    return bool(encode.field_table(fine)) and raises(EncodeError, codec.encode_table, fine)


def before_1970(codec: Codec) -> bool:
    early = {"k": datetime(1969, 1, 1, tzinfo=UTC)}
    return raises(struct.error, encode.field_table, early) and raises(
        EncodeError, codec.encode_table, early
    )


def the_zero_type(codec: Codec) -> bool:
    return theirs(b"\x00") is None and raises(FrameSyntaxError, codec.decode_table, table(b"\x00"))


def overruns(codec: Codec) -> bool:
    """A value may reach beyond the table that holds it."""
    raw = (3).to_bytes(4, "big") + b"\x01kI\x00\x00\x00\x05"
    return decode.field_table(raw)[1] == {"k": 5} and raises(
        FrameSyntaxError, codec.decode_table, raw
    )


def cut_strings(codec: Codec) -> bool:
    raw = table(b"S\x00\x00\x00\x09cut")
    return decode.field_table(raw)[1] == {"k": "cut"} and raises(
        FrameSyntaxError, codec.decode_table, raw
    )


def trailing_bytes(codec: Codec) -> bool:
    raw = reference.method(1, 60, 11, b"trailing")
    return frame.unmarshal(raw)[2].name == "Basic.QosOk" and failure(codec, raw).reply_code == 502


def empty_properties(codec: Codec) -> bool:
    empty = commands.Basic.Properties(correlation_id="")
    return empty.marshal() == b"\x00\x00" and codec.encode_properties(
        Properties(correlation_id="")
    ) == (b"\x04\x00\x00")


def property_flags(codec: Codec) -> bool:
    """A second word of flags is read, and the reserved flag is ignored."""
    raw = struct.pack(">HHQ", 60, 0, 0) + b"\x00\x03\x00\x00"
    content = header.ContentHeader()
    content.unmarshal(raw)
    return content.body_size == 0 and raises(
        FrameSyntaxError, codec.decode_properties, b"\x00\x03\x00\x00"
    )


def delivery_tags(codec: Codec) -> bool:
    ack = method(commands.Basic.Ack, delivery_tag=2**63)
    return raises(TypeError, frame.marshal, ack, 1) and codec.encode_ack(
        1, 2**63, False
    ) == reference.method(1, 60, 80, b"\x80" + bytes(8))


def long_strings(codec: Codec) -> bool:
    """Long strings of methods are bytes: they are SASL responses, not text."""
    raw = reference.method(0, 10, 20, longstr("text"))
    (event,) = feed_all(codec.Decoder(), raw)
    return frame.unmarshal(raw)[2].challenge == "text" and event.method.challenge == b"text"


def long_strings_of_bytes(codec: Codec) -> bool:
    secure = method(commands.Connection.SecureOk, response=b"\x00\xff")
    return raises(TypeError, frame.marshal, secure, 0) and bool(
        codec.encode_method(0, secure, 4096)
    )


def hostile_tables(codec: Codec) -> bool:
    opening = shortstr("k") + b"F"
    levels = 5_000
    raw = opening.join((7 * left).to_bytes(4, "big") for left in range(levels, -1, -1))
    return raises(RecursionError, decode.field_table, raw) and raises(
        FrameSyntaxError, codec.decode_table, raw
    )


def empty_body_frames(codec: Codec) -> bool:
    raw = reference.frame(3, 1, b"")
    stream = reference.deliver(1) + reference.header(1, 1) + raw + reference.frame(3, 1, b"x")
    (event,) = feed_all(codec.Decoder(), stream)
    return raises(exceptions.UnmarshalingException, frame.unmarshal, raw) and event.body == b"x"


def heartbeats(codec: Codec) -> bool:
    """A heartbeat is taken on any channel and with any end."""
    raw = b"\x08\x00\x07\x00\x00\x00\x00\x00"
    return frame.unmarshal(raw)[2].name == "Heartbeat" and failure(codec, raw).reply_code == 501


def large_frames(codec: Codec) -> bool:
    """A frame of any size is waited for."""
    raw = struct.pack(">BHI", 1, 0, 2**32 - 1)
    return (
        raises(exceptions.UnmarshalingException, frame.unmarshal, raw)
        and failure(codec, raw).reply_code == 501
    )


def bad_names(codec: Codec) -> bool:
    raw = reference.method(1, 60, 21, b"\x05cut")
    return frame.unmarshal(raw)[2].consumer_tag == "cut" and failure(codec, raw).reply_code == 502


DEVIATIONS: dict[str, Check] = {
    check.__name__: check
    for check in (
        *(floats, long_keys, sorted_keys, names, long_names, empty_reserved_fields),
        *(bytes_in_tables, tuples_in_tables, byte_arrays_are_read_as_bytearray),
        *(unsigned_integers, milliseconds, far_timestamps, naive_datetimes, microseconds),
        *(before_1970, the_zero_type, overruns, cut_strings, trailing_bytes),
        *(empty_properties, property_flags, delivery_tags, long_strings),
        *(long_strings_of_bytes, hostile_tables, empty_body_frames, heartbeats),
        *(large_frames, bad_names),
    )
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_pamqp_still_differs_in(codec: Codec, deviation: str) -> None:
    assert DEVIATIONS[deviation](codec)
