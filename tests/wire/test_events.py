"""The surface of decoder and events that upper layers build on."""

import gc
import itertools
import sys
import weakref
from typing import Any

import pytest
from pamqp import commands

from hopmq.errors import FrameSyntaxError, UsageError
from hopmq.wire import Codec, Properties

from .feeding import feed_all
from .reference import (
    HEARTBEAT_FRAME,
    arguments,
    content,
    deliver,
    header,
    method,
    properties,
    publish,
)

_GET_OK = method(
    1,
    60,
    71,
    arguments(("longlong", "bit", "shortstr", "shortstr", "long"), (1, False, "e", "r", 2)),
)
_RETURN = method(
    1, 60, 50, arguments(("short", "shortstr", "shortstr", "shortstr"), (312, "NO", "e", "r"))
)
ONE_OF_EACH = (
    b"AMQP\x00\x00\x09\x01"
    + HEARTBEAT_FRAME
    + method(0, 10, 51)
    + method(1, 60, 80, bytes(9))
    + method(1, 60, 90, bytes(9))
    + method(1, 60, 120, bytes(9))
    + b"".join(
        start + content(1, b"secret body", properties({"headers": {"a": 1}}))
        for start in (deliver(1), _GET_OK, _RETURN, publish(1))
    )
    + deliver(1)
    + header(1, 2**40)
)
NAMES = [
    "ProtocolHeader",
    "Heartbeat",
    "Method",
    "Ack",
    "Reject",
    "Nack",
    "Delivery",
    "Fetched",
    "Returned",
    "Published",
    "Oversized",
]


def one_of_each(codec: Codec) -> list[Any]:
    """Return one event of every class."""
    return feed_all(codec.Decoder(), ONE_OF_EACH)


def test_every_event_has_its_class(codec: Codec) -> None:
    events = one_of_each(codec)
    assert [type(event).__name__ for event in events] == NAMES
    assert all(type(event) is getattr(codec, type(event).__name__) for event in events)


def test_the_codecs_name_themselves(codec: Codec) -> None:
    assert codec.name in ("pure", "cython")


def test_events_are_equal_when_their_fields_are(codec: Codec) -> None:
    one, other = one_of_each(codec), one_of_each(codec)
    assert one == other
    for first, second in itertools.pairwise(one):
        assert first != second
        assert first != object()
    other[3].delivery_tag = 5
    other[6].body = b"other"
    other[7].raw_properties = b"\x00\x00"
    other[10].size = 5
    assert [a == b for a, b in zip(one, other, strict=True)].count(False) == 4


def test_events_of_both_codecs_are_equal(codec: Codec, compiled: Codec) -> None:
    mine, theirs = one_of_each(codec), one_of_each(compiled)
    assert mine == theirs
    assert theirs == mine
    theirs[3].multiple = True
    assert mine[3] != theirs[3]
    assert theirs[3] != mine[3]


def test_octets_are_those_of_body_and_properties(codec: Codec) -> None:
    assert codec.Delivery(body=b"12345", raw_properties=b"\x10\x00\x02").octets() == 8
    assert codec.Returned(body=b"").octets() == 2


def test_a_delivery_is_admitted_as_unsettled_unless_it_needs_no_settling(codec: Codec) -> None:
    unsettled: set[int] = set()
    context = object()
    for needs_settling in (True, False):
        delivery = codec.Delivery(delivery_tag=7 + needs_settling)
        delivery.admit(context, unsettled if needs_settling else None)
        assert delivery.context is context
    assert unsettled == {8}


def test_context_does_not_count_when_events_are_compared(codec: Codec) -> None:
    one, other = one_of_each(codec)[6], one_of_each(codec)[6]
    other.context = object()
    assert one == other


def test_every_attribute_can_be_written(codec: Codec) -> None:
    for event in one_of_each(codec):
        for name in ("channel", "delivery_tag", "message_count", "reply_code", "size"):
            if hasattr(event, name):
                setattr(event, name, 7)
                assert getattr(event, name) == 7
        for name in ("exchange", "routing_key", "consumer_tag", "reply_text"):
            if hasattr(event, name):
                setattr(event, name, "x")
                assert getattr(event, name) == "x"
        for name in ("multiple", "requeue", "redelivered", "mandatory", "immediate"):
            if hasattr(event, name):
                setattr(event, name, True)
                assert getattr(event, name) is True
    delivery = one_of_each(codec)[6]
    delivery.body = b"new"
    delivery.context = delivery.properties = Properties(type="new")
    assert (delivery.body, delivery.properties.type) == (b"new", "new")
    assert delivery.context is delivery.properties


def test_a_repr_names_the_class_and_shows_no_body(codec: Codec) -> None:
    for event, name in zip(one_of_each(codec), NAMES, strict=True):
        assert name in repr(event)
        assert "secret body" not in repr(event)
    assert "key" in repr(one_of_each(codec)[6])
    assert "Connection.CloseOk" in repr(one_of_each(codec)[2])


def test_a_repr_of_a_method_shows_no_secret(codec: Codec) -> None:
    response = b"\x00\x00\x00\x0c\x00guest\x00s3cr"
    start_ok = method(0, 10, 11, b"\x00\x00\x00\x00\x05PLAIN" + response + b"\x00")
    (event,) = feed_all(codec.Decoder(), start_ok)
    assert "s3cr" not in repr(event)
    update = method(0, 10, 70, b"\x00\x00\x00\x04s3cr\x00")
    (event,) = feed_all(codec.Decoder(), update)
    assert "s3cr" not in repr(event)


def test_a_batch_ends_behind_a_connection_method(codec: Codec) -> None:
    decoder = codec.Decoder()
    ack, close = method(1, 60, 80, bytes(9)), method(0, 10, 51)
    first = decoder.feed(ack + close + ack + ack + close + ack)
    batches = [first, decoder.more(), decoder.more(), decoder.more()]
    assert [len(batch) for batch in batches] == [2, 3, 1, 0]
    assert decoder.buffered == 0


def test_a_batch_ends_behind_a_protocol_header(codec: Codec) -> None:
    decoder = codec.Decoder()
    assert len(decoder.feed(b"AMQP\x00\x00\x09\x01" + HEARTBEAT_FRAME)) == 1
    assert len(decoder.more()) == 1


def test_bytes_may_arrive_before_the_last_batch_is_finished(codec: Codec) -> None:
    decoder = codec.Decoder()
    ack, close = method(1, 60, 80, bytes(9)), method(0, 10, 51)
    events = list(decoder.feed(close + ack))
    assert decoder.buffered == len(ack)
    events += decoder.feed(ack)
    while batch := decoder.more():
        events += batch
    assert [type(event).__name__ for event in events] == ["Method", "Ack", "Ack"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_can_be_fed(codec: Codec, kind: Any) -> None:
    (event,) = codec.Decoder().feed(kind(method(1, 60, 11)))
    assert type(event.method) is commands.Basic.QosOk


def test_fed_bytes_are_copied(codec: Codec) -> None:
    data = bytearray(deliver(1) + content(1, b"body")[:-2])
    decoder = codec.Decoder()
    assert decoder.feed(data) == []
    data[:] = bytes(len(data))
    (event,) = decoder.feed(b"y\xce")
    assert (event.routing_key, event.body) == ("key", b"body")


def test_nothing_fed_is_nothing_read(codec: Codec) -> None:
    decoder = codec.Decoder()
    assert decoder.feed(b"") == []
    assert decoder.more() == []
    assert decoder.received(0) == []
    assert decoder.buffered == 0


def test_a_subclass_of_delivery_is_built_without_its_constructor(codec: Codec) -> None:
    class Mine(codec.Delivery):  # type: ignore[name-defined,misc]
        __slots__ = ("extra",)

        def __init__(self) -> None:
            raise AssertionError

    class Other(codec.Fetched):  # type: ignore[name-defined,misc]
        __slots__ = ("extra",)

        def __init__(self) -> None:
            raise AssertionError

    decoder = codec.Decoder(delivery_type=Mine, fetched_type=Other)
    stream = deliver(1, "tag", 9) + content(1, b"one") + _GET_OK + header(1, 0)
    stream += deliver(1) + content(1, b"several frames", frame_max=10)
    first, fetched, second = feed_all(decoder, stream)
    assert (type(first), type(fetched), type(second)) == (Mine, Other, Mine)
    assert (first.consumer_tag, first.delivery_tag, first.body) == ("tag", 9, b"one")
    assert (fetched.message_count, fetched.body) == (2, b"")
    assert second.body == b"several frames"
    assert first.properties == Properties()
    assert first.context is None
    assert not hasattr(first, "extra")
    first.extra = 1


def test_a_subclass_may_have_a_dict(codec: Codec) -> None:
    class Mine(codec.Delivery):  # type: ignore[name-defined,misc]
        pass

    (event,) = feed_all(codec.Decoder(delivery_type=Mine), deliver(1) + content(1, b"x"))
    event.anything = 5
    assert (event.anything, event.body) == (5, b"x")


def test_a_cycle_through_an_event_is_collected(codec: Codec) -> None:
    class Anchor:
        event: Any

    (event,) = feed_all(codec.Decoder(), deliver(1) + content(1, b"x"))
    anchor = Anchor()
    anchor.event, event.context = event, anchor
    ghost = weakref.ref(anchor)
    del anchor, event
    gc.collect()
    assert ghost() is None


def test_a_decoder_keeps_no_event(codec: Codec) -> None:
    decoder = codec.Decoder()
    (event,) = feed_all(decoder, deliver(1) + content(1, b"x"))
    assert sys.getrefcount(event) == 2


def test_fault_attributes_are_readable(codec: Codec) -> None:
    (error,) = feed_all(codec.Decoder(), b"\x07" * 8)
    assert isinstance(error, FrameSyntaxError)
    assert error.reason
    assert str(error.offset) in str(error)


def test_events_cannot_be_hashed(codec: Codec) -> None:
    """They are equal by content, and their content changes."""
    for event in one_of_each(codec):
        with pytest.raises(TypeError):
            hash(event)


def test_a_decoder_is_not_entered_while_it_parses(codec: Codec) -> None:
    refused: list[Any] = []

    class Curious(codec.Delivery):  # type: ignore[name-defined,misc]
        def __new__(cls) -> Any:
            for call in (decoder.more, lambda: decoder.feed(HEARTBEAT_FRAME)):
                with pytest.raises(UsageError):
                    call()
                refused.append(call)
            return super().__new__(cls)

    decoder = codec.Decoder(delivery_type=Curious)
    (event,) = decoder.feed(deliver(1) + content(1, b"x"))
    assert event.body == b"x"
    assert len(refused) == 2
    assert decoder.buffered == 0
