"""Frames written out byte by byte from the specification, at least one of every class."""

from typing import Any

import pytest
from pamqp import commands

from hopmq.errors import FrameSyntaxError
from hopmq.wire import Codec

from .feeding import feed_all
from .plain import plain

# Name, channel, fields, the frame without its end.
METHODS: list[tuple[str, int, dict[str, Any], bytes]] = [
    (
        "Connection.Start",
        0,
        {
            "version_major": 0,
            "version_minor": 9,
            "server_properties": {"product": "RabbitMQ"},
            "mechanisms": b"PLAIN AMQPLAIN",
            "locales": b"en_US",
        },
        (
            b"\x01\x00\x00\x00\x00\x00\x3a"  # method, channel 0, 58 bytes
            b"\x00\x0a\x00\x0a"  # class 10, method 10
            b"\x00\x09"  # version 0-9
            b"\x00\x00\x00\x15"  # table of 21 bytes
            b"\x07product"
            b"S\x00\x00\x00\x08RabbitMQ"
            b"\x00\x00\x00\x0ePLAIN AMQPLAIN"
            b"\x00\x00\x00\x05en_US"
        ),
    ),
    (
        "Connection.StartOk",
        0,
        {
            "client_properties": {},
            "mechanism": "PLAIN",
            "response": b"\x00guest\x00guest",
            "locale": "en_US",
        },
        (
            b"\x01\x00\x00\x00\x00\x00\x24"
            b"\x00\x0a\x00\x0b"
            b"\x00\x00\x00\x00"  # empty table
            b"\x05PLAIN"
            b"\x00\x00\x00\x0c\x00guest\x00guest"
            b"\x05en_US"
        ),
    ),
    (
        "Connection.TuneOk",
        0,
        {"channel_max": 2047, "frame_max": 131072, "heartbeat": 60},
        b"\x01\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x1f\x07\xff\x00\x02\x00\x00\x00\x3c",
    ),
    (
        "Connection.Open",
        0,
        {"virtual_host": "/", "capabilities": "", "insist": False},
        b"\x01\x00\x00\x00\x00\x00\x08\x00\x0a\x00\x28\x01/\x00\x00",
    ),
    (
        "Connection.Close",
        0,
        {"reply_code": 320, "reply_text": "CONNECTION_FORCED", "class_id": 0, "method_id": 0},
        (
            b"\x01\x00\x00\x00\x00\x00\x1c"
            b"\x00\x0a\x00\x32"
            b"\x01\x40"
            b"\x11CONNECTION_FORCED"
            b"\x00\x00\x00\x00"
        ),
    ),
    ("Connection.CloseOk", 0, {}, b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x33"),
    (
        "Channel.Open",
        1,
        {"out_of_band": ""},
        b"\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x0a\x00",
    ),
    (
        "Channel.Flow",
        0x0102,
        {"active": True},
        b"\x01\x01\x02\x00\x00\x00\x05\x00\x14\x00\x14\x01",
    ),
    (
        "Exchange.Declare",
        1,
        {
            "ticket": 0,
            "exchange": "logs",
            "exchange_type": "topic",
            "passive": False,
            "durable": True,
            "auto_delete": False,
            "internal": True,
            "nowait": False,
            "arguments": {},
        },
        (
            b"\x01\x00\x01\x00\x00\x00\x16"
            b"\x00\x28\x00\x0a"
            b"\x00\x00"
            b"\x04logs"
            b"\x05topic"
            b"\x0a"  # bit 1 durable, bit 3 internal
            b"\x00\x00\x00\x00"
        ),
    ),
    (
        "Exchange.UnbindOk",
        1,
        {},
        b"\x01\x00\x01\x00\x00\x00\x04\x00\x28\x00\x33",  # 51, not 41
    ),
    (
        "Queue.Declare",
        1,
        {
            "ticket": 0,
            "queue": "q",
            "passive": False,
            "durable": True,
            "exclusive": False,
            "auto_delete": False,
            "nowait": True,
            "arguments": {"x-max-length": 1000},
        },
        (
            b"\x01\x00\x01\x00\x00\x00\x1d"
            b"\x00\x32\x00\x0a"
            b"\x00\x00"
            b"\x01q"
            b"\x12"  # bit 1 durable, bit 4 no-wait
            b"\x00\x00\x00\x10"
            b"\x0cx-max-length"
            b"s\x03\xe8"
        ),
    ),
    (
        "Queue.DeclareOk",
        1,
        {"queue": "q", "message_count": 7, "consumer_count": 0x80000000},
        b"\x01\x00\x01\x00\x00\x00\x0e\x00\x32\x00\x0b\x01q\x00\x00\x00\x07\x80\x00\x00\x00",
    ),
    (
        "Basic.Qos",
        1,
        {"prefetch_size": 0, "prefetch_count": 100, "global_": True},
        b"\x01\x00\x01\x00\x00\x00\x0b\x00\x3c\x00\x0a\x00\x00\x00\x00\x00\x64\x01",
    ),
    (
        "Basic.Consume",
        1,
        {
            "ticket": 0,
            "queue": "q",
            "consumer_tag": "c",
            "no_local": False,
            "no_ack": True,
            "exclusive": True,
            "nowait": False,
            "arguments": {},
        },
        (
            b"\x01\x00\x01\x00\x00\x00\x0f"
            b"\x00\x3c\x00\x14"
            b"\x00\x00"
            b"\x01q"
            b"\x01c"
            b"\x06"  # bit 1 no-ack, bit 2 exclusive
            b"\x00\x00\x00\x00"
        ),
    ),
    (
        "Basic.GetEmpty",
        1,
        {"cluster_id": ""},
        b"\x01\x00\x01\x00\x00\x00\x05\x00\x3c\x00\x48\x00",
    ),
    (
        "Confirm.Select",
        1,
        {"nowait": False},
        b"\x01\x00\x01\x00\x00\x00\x05\x00\x55\x00\x0a\x00",
    ),
    ("Tx.Commit", 1, {}, b"\x01\x00\x01\x00\x00\x00\x04\x00\x5a\x00\x14"),
]
IDS = [name for name, *_ in METHODS]


def new(name: str, fields: dict[str, Any]) -> Any:
    """Make a pamqp method without its constructor."""
    kind = getattr(getattr(commands, name.split(".", maxsplit=1)[0]), name.split(".")[1])
    method = kind.__new__(kind)
    for field, value in fields.items():
        setattr(method, field, value)
    return method


@pytest.mark.parametrize("name, channel, fields, frame", METHODS, ids=IDS)
def test_a_method_is_written_as_specified(
    codec: Codec, name: str, channel: int, fields: dict[str, Any], frame: bytes
) -> None:
    assert codec.encode_method(channel, new(name, fields), 4096) == frame + b"\xce"


@pytest.mark.parametrize("name, channel, fields, frame", METHODS, ids=IDS)
def test_a_method_is_read_as_specified(
    codec: Codec, name: str, channel: int, fields: dict[str, Any], frame: bytes
) -> None:
    (event,) = feed_all(codec.Decoder(), frame + b"\xce")
    assert type(event).__name__ == "Method"
    assert event.channel == channel
    assert plain(event.method) == plain(new(name, fields))


ACK = b"\x01\x00\x05\x00\x00\x00\x0d\x00\x3c\x00\x50\x00\x00\x00\x00\x00\x00\x01\x02\x01\xce"
NACK = (
    b"\x01\x00\x05\x00\x00\x00\x0d\x00\x3c\x00\x78"
    b"\xff\xff\xff\xff\xff\xff\xff\xff"
    b"\x02\xce"  # bit 0 multiple, bit 1 requeue
)
REJECT = b"\x01\xff\xff\x00\x00\x00\x0d\x00\x3c\x00\x5a\x00\x00\x00\x00\x00\x00\x00\x00\x01\xce"


def test_acks_are_written_as_specified(codec: Codec) -> None:
    assert codec.encode_ack(5, 0x0102, True) == ACK
    assert codec.encode_nack(5, 2**64 - 1, False, True) == NACK
    assert codec.encode_reject(65_535, 0, True) == REJECT


def test_acks_are_read_as_specified(codec: Codec) -> None:
    ack, nack, reject = feed_all(codec.Decoder(), ACK + NACK + REJECT)
    assert (ack.channel, ack.delivery_tag, ack.multiple) == (5, 0x0102, True)
    assert (nack.channel, nack.delivery_tag) == (5, 2**64 - 1)
    assert (nack.multiple, nack.requeue) == (False, True)
    assert (reject.channel, reject.delivery_tag, reject.requeue) == (65_535, 0, True)
    kinds = [type(event).__name__ for event in (ack, nack, reject)]
    assert kinds == ["Ack", "Nack", "Reject"]


def test_heartbeat_and_protocol_header_are_as_specified(codec: Codec) -> None:
    assert codec.HEARTBEAT == b"\x08\x00\x00\x00\x00\x00\x00\xce"
    assert codec.PROTOCOL_HEADER == b"AMQP\x00\x00\x09\x01"


def test_a_heartbeat_is_read(codec: Codec) -> None:
    (event,) = feed_all(codec.Decoder(), b"\x08\x00\x00\x00\x00\x00\x00\xce")
    assert type(event).__name__ == "Heartbeat"


def test_a_protocol_header_is_read_at_the_start(codec: Codec) -> None:
    header, heartbeat = feed_all(
        codec.Decoder(), b"AMQP\x00\x00\x09\x01\x08\x00\x00\x00\x00\x00\x00\xce"
    )
    assert type(header).__name__ == "ProtocolHeader"
    assert header.raw == b"AMQP\x00\x00\x09\x01"
    assert type(heartbeat).__name__ == "Heartbeat"


def test_any_version_of_the_protocol_header_is_read(codec: Codec) -> None:
    (header,) = feed_all(codec.Decoder(), b"AMQP\x03\x01\x00\x00")
    assert header.raw == b"AMQP\x03\x01\x00\x00"


def test_a_second_protocol_header_is_a_framing_error(codec: Codec) -> None:
    _, error = feed_all(codec.Decoder(), b"AMQP\x00\x00\x09\x01" * 2)
    assert isinstance(error, FrameSyntaxError)
    assert (error.reply_code, error.offset) == (501, 8)
