"""Both codecs against the reference encoder, against each other, and against pamqp."""

from typing import Any

import pytest
from hypothesis import given, strategies as st
from pamqp import base, body, commands, decode, encode, frame, header

from hopmq.errors import EncodeError, FrameSyntaxError
from hopmq.typedefs import Timestamp
from hopmq.wire import PURE, Codec, Properties

from . import reference, strategies
from .feeding import feed_all, feed_pieces, outcome
from .plain import plain
from .streams import broken_streams, method_frame, splits, streams

FRAME_MAX = 131_072


def channel_of(method: base.Frame) -> int:
    """Return a channel that a method may travel on."""
    return 0 if method.index >> 16 == 10 else 1


# --- against the grammar ---------------------------------------------------------------------------


@given(table=strategies.python_tables)
def test_tables_are_written_by_the_grammar_and_read_again(
    codec: Codec, table: dict[str, Any]
) -> None:
    raw = codec.encode_table(table)
    assert raw == reference.python_table(table)
    assert plain(codec.decode_table(raw)) == plain(table)


@given(pairs=strategies.tagged_tables)
def test_tables_of_every_field_type_are_read(
    codec: Codec, pairs: list[tuple[str, reference.Tagged]]
) -> None:
    expected = {name: reference.python_value(value) for name, value in pairs}
    assert plain(codec.decode_table(reference.table(pairs))) == plain(expected)


@given(values=strategies.property_sets)
def test_properties_are_written_by_the_grammar_and_read_again(
    codec: Codec, values: dict[str, Any]
) -> None:
    properties = Properties(**values)
    raw = codec.encode_properties(properties)
    assert raw == reference.properties(values)
    assert plain(codec.decode_properties(raw)) == plain(properties)


@given(method=strategies.methods)
def test_methods_are_written_by_the_grammar(codec: Codec, method: base.Frame) -> None:
    channel = channel_of(method)
    assert codec.encode_method(channel, method, FRAME_MAX) == method_frame(channel, method)


@given(method=strategies.methods.filter(lambda method: method.index >> 16 != 60))
def test_methods_are_read_as_they_were_written(codec: Codec, method: base.Frame) -> None:
    channel = channel_of(method)
    decoder = codec.Decoder(frame_max=FRAME_MAX)
    (event,) = feed_all(decoder, method_frame(channel, method))
    assert event.channel == channel
    assert plain(event.method) == plain(method)


@given(
    channel=strategies.channels,
    tag=strategies.short_texts,
    number=strategies.U64,
    again=st.booleans(),
    route=st.tuples(strategies.short_texts, strategies.short_texts),
    values=strategies.property_sets,
    content=strategies.bodies,
    frame_max=st.sampled_from([4096, FRAME_MAX]),
)
def test_deliveries_are_written_by_the_grammar_and_read_again(
    codec: Codec,
    channel: int,
    tag: str,
    number: int,
    again: bool,
    route: tuple[str, str],
    values: dict[str, Any],
    content: bytes,
    frame_max: int,
) -> None:
    raw = reference.properties(values)
    out: list[Any] = []
    given_properties = Properties(**values)
    codec.append_deliver(
        out, channel, tag, number, again, *route, given_properties, content, frame_max
    )
    stream = b"".join(out)
    start = reference.deliver(channel, tag, number, again, *route)
    assert stream == start + reference.content(channel, content, raw, frame_max)
    (event,) = feed_all(codec.Decoder(frame_max=frame_max), stream)
    assert (event.channel, event.consumer_tag, event.delivery_tag) == (channel, tag, number)
    assert (event.redelivered, event.exchange, event.routing_key) == (again, *route)
    assert (event.body, event.raw_properties) == (content, raw)
    assert plain(event.properties) == plain(given_properties)


# --- any split gives the same -------------------------------------------------------------------


@given(data=st.data(), stream=streams | broken_streams())
def test_any_split_gives_the_same_events(codec: Codec, data: st.DataObject, stream: bytes) -> None:
    whole = outcome(codec, stream)
    pieces = data.draw(splits(stream))
    assert [plain(event) for event in feed_pieces(codec.Decoder(), pieces)] == whole


@given(stream=streams | broken_streams())
def test_byte_by_byte_gives_the_same_events(codec: Codec, stream: bytes) -> None:
    stream = stream[:1000]
    pieces = (stream[place : place + 1] for place in range(len(stream)))
    apart = [plain(event) for event in feed_pieces(codec.Decoder(), pieces)]
    assert apart == outcome(codec, stream)


@given(stream=streams)
def test_legal_streams_are_read_to_their_end(codec: Codec, stream: bytes) -> None:
    decoder = codec.Decoder(frame_max=FRAME_MAX)
    events = feed_all(decoder, stream)
    assert not any(isinstance(event, FrameSyntaxError) for event in events)
    assert decoder.buffered == 0


# --- against each other -------------------------------------------------------------------------


@given(stream=streams)
def test_both_codecs_make_the_same_of_legal_streams(compiled: Codec, stream: bytes) -> None:
    assert outcome(compiled, stream) == outcome(PURE, stream)


@given(data=st.data(), stream=broken_streams())
def test_both_codecs_make_the_same_of_broken_streams(
    compiled: Codec, data: st.DataObject, stream: bytes
) -> None:
    options: dict[str, Any] = data.draw(
        st.sampled_from([{}, {"max_message_size": 50}, {"channel_max": 100}])
    )
    expected = outcome(PURE, stream, **options)
    assert outcome(compiled, stream, **options) == expected
    pieces = data.draw(splits(stream))
    apart = feed_pieces(compiled.Decoder(**options), pieces)
    assert [plain(event) for event in apart] == expected


def verdict(function: Any, *arguments: Any) -> Any:
    """Return what a call gives, or its error's words."""
    try:
        return plain(function(*arguments))
    except FrameSyntaxError as error:
        return plain(error)
    except EncodeError as error:
        return ("EncodeError", error.reason, error.path)


@given(data=st.data(), pairs=strategies.tagged_tables.filter(bool))
def test_both_codecs_make_the_same_of_broken_tables(
    compiled: Codec, data: st.DataObject, pairs: list[tuple[str, reference.Tagged]]
) -> None:
    raw = bytearray(reference.table(pairs))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(strategies.U8 | st.sampled_from(list(b"tbBsuIilLfdDSAxTFV")))
    for table in (bytes(raw), bytes(raw[:-1]), bytes(raw) + b"\x00"):
        assert verdict(compiled.decode_table, table) == verdict(PURE.decode_table, table)
        headers = b"\x20\x00" + table
        mine, theirs = PURE.decode_properties, compiled.decode_properties
        assert verdict(theirs, headers) == verdict(mine, headers)


@given(table=strategies.lying_tables())
def test_both_codecs_make_the_same_of_lengths_that_are_wrong(compiled: Codec, table: bytes) -> None:
    assert verdict(compiled.decode_table, table) == verdict(PURE.decode_table, table)
    start_ok = b"\x00\x0a\x00\x0b" + table + bytes(6)
    streams = (
        reference.frame(reference.METHOD, 0, start_ok),
        reference.deliver(1) + reference.header(1, 0, b"\x20\x00" + table),
    )
    for stream in streams:
        assert outcome(compiled, stream) == outcome(PURE, stream)


@given(raw=st.binary(max_size=60))
def test_both_codecs_make_the_same_of_any_properties(compiled: Codec, raw: bytes) -> None:
    assert verdict(compiled.decode_properties, raw) == verdict(PURE.decode_properties, raw)


ODD = st.one_of(
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(),
    st.none(),
    st.text(st.characters(codec=None), max_size=300),
    st.binary(max_size=5),
    st.decimals(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.integers(-(2**70), 2**70).map(Timestamp),
    st.complex_numbers(),
    st.dictionaries(st.integers() | st.text(max_size=3), st.integers(), max_size=2),
    st.lists(st.complex_numbers() | st.integers(), max_size=2),
    st.tuples(st.integers()),
    st.binary(max_size=5).map(bytearray),
    st.binary(min_size=2, max_size=6).map(lambda raw: memoryview(raw)[::2]),
    st.just(object),
)


@given(value=ODD, name=st.sampled_from([name for name, _ in reference.PROPERTY_TYPES]))
def test_both_codecs_take_and_refuse_the_same_values(
    compiled: Codec, value: Any, name: str
) -> None:
    for table in (value, {"k": value}, {"k": [value]}, {"k": {"n": (value,)}}):
        assert verdict(compiled.encode_table, table) == verdict(PURE.encode_table, table)
    properties = Properties(**{name: value})
    mine, theirs = PURE.encode_properties, compiled.encode_properties
    assert verdict(theirs, properties) == verdict(mine, properties)


@given(data=st.data(), method=strategies.methods, value=ODD)
def test_both_codecs_take_and_refuse_the_same_arguments(
    compiled: Codec, data: st.DataObject, method: base.Frame, value: Any
) -> None:
    if method.__slots__:
        setattr(method, data.draw(st.sampled_from(list(method.__slots__))), value)
    for channel in (1, value):
        mine = verdict(PURE.encode_method, channel, method, FRAME_MAX)
        assert verdict(compiled.encode_method, channel, method, FRAME_MAX) == mine


@given(data=st.data(), value=ODD)
def test_both_codecs_take_and_refuse_the_same_contents(
    compiled: Codec, data: st.DataObject, value: Any
) -> None:
    calls: list[tuple[str, list[Any]]] = [
        ("append_publish", [1, "e", "r", False, None, b"body", 4096]),
        ("append_deliver", [1, "c", 1, False, "e", "r", None, b"body", 4096]),
        ("append_get_ok", [1, 1, False, "e", "r", 1, None, b"body", 4096]),
        ("append_return", [1, 312, "t", "e", "r", None, b"body", 4096]),
        ("encode_ack", [1, 1, False]),
        ("encode_nack", [1, 1, False, False]),
        ("encode_reject", [1, 1, False]),
    ]
    name, arguments = data.draw(st.sampled_from(calls))
    places = range(len(arguments) - (1 if name.startswith("append") else 0))
    place = data.draw(st.sampled_from([at for at in places if arguments[at] is not None]))
    changed = [*arguments[:place], value, *arguments[place + 1 :]]
    results = []
    for codec in (PURE, compiled):
        out: list[Any] = []
        lead = [out] if name.startswith("append") else []
        results.append((verdict(getattr(codec, name), *lead, *changed), b"".join(out)))
    assert results[0] == results[1]


# --- against pamqp ------------------------------------------------------------------------------


def as_text(value: Any) -> Any:
    """Turn a long string into what pamqp makes of it."""
    return reference.text_or_bytes(value) if isinstance(value, bytes) else value


@given(method=strategies.pamqp_methods)
def test_methods_are_written_as_pamqp_does(codec: Codec, method: base.Frame) -> None:
    channel = channel_of(method)
    assert codec.encode_method(channel, method, FRAME_MAX) == frame.marshal(method, channel)


@given(method=strategies.pamqp_methods.filter(lambda method: method.index >> 16 != 60))
def test_methods_are_read_as_pamqp_does(codec: Codec, method: base.Frame) -> None:
    raw = frame.marshal(method, channel_of(method))
    (event,) = feed_all(codec.Decoder(frame_max=FRAME_MAX), raw)
    _, channel, theirs = frame.unmarshal(raw)
    assert event.channel == channel
    mine = {name: as_text(getattr(event.method, name)) for name in method.__slots__}
    assert plain(mine) == plain({name: getattr(theirs, name) for name in method.__slots__})


@given(table=strategies.pamqp_tables)
def test_tables_are_written_and_read_as_pamqp_does(codec: Codec, table: dict[str, Any]) -> None:
    raw = encode.field_table(table)
    assert codec.encode_table(table) == raw
    assert plain(codec.decode_table(raw)) == plain(decode.field_table(raw)[1])


@given(values=strategies.pamqp_property_sets, content=st.binary(min_size=1, max_size=100))
def test_publishes_are_written_as_pamqp_does(
    codec: Codec, values: dict[str, Any], content: bytes
) -> None:
    out: list[Any] = []
    codec.append_publish(out, 9, "ex", "key", True, Properties(**values), content, FRAME_MAX)
    named = {"message_type" if name == "type" else name: values[name] for name in values}
    theirs = commands.Basic.Properties()
    for name, value in named.items():
        setattr(theirs, name, value)
    parts: list[Any] = [
        commands.Basic.Publish(0, "ex", "key", True, False),
        header.ContentHeader(body_size=len(content), properties=theirs),
        body.ContentBody(content),
    ]
    assert b"".join(out) == b"".join(frame.marshal(part, 9) for part in parts)


@pytest.mark.parametrize("name", ["encode_ack", "encode_reject", "encode_nack"])
@given(tag=st.integers(0, 2**63 - 1), bits=st.tuples(st.booleans(), st.booleans()))
def test_acks_are_written_as_pamqp_does(
    codec: Codec, name: str, tag: int, bits: tuple[bool, bool]
) -> None:
    kinds: dict[str, Any] = {
        "encode_ack": lambda: commands.Basic.Ack(tag, bits[0]),
        "encode_reject": lambda: commands.Basic.Reject(tag, bits[0]),
        "encode_nack": lambda: commands.Basic.Nack(tag, *bits),
    }
    arguments = bits if name == "encode_nack" else bits[:1]
    mine = getattr(codec, name)(3, tag, *arguments)
    assert mine == frame.marshal(kinds[name](), 3)
