"""Messages exchanged with pika through RabbitMQ: every property and every field type, both ways."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pika
import pytest
from pika import data as pika_data
from pika.adapters.blocking_connection import BlockingChannel

from hopmq import Channel, Properties, Timestamp

WHEN = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)

FIELDS: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "int8": [0, 1, -1, 127, -128],
    "int16": [128, -129, 32_767, -32_768],
    "int32": [32_768, -32_769, 2**31 - 1, -(2**31)],
    "int64": [2**31, -(2**31) - 1, 2**63 - 1, -(2**63)],
    "decimal": [Decimal("3.14"), Decimal("-0.001"), Decimal(2**31 - 1), Decimal(0)],
    "text": "",
    "unicode": "grüße, 世界 🐇",
    "bytes": b"\x00\xff\xfe",
    "no bytes": b"",
    "when": WHEN,
    "list": [1, "two", None, True, [3, [4]], {"five": 6}],
    "empty list": [],
    "table": {"a": {"b": {"c": [1]}}, "é": "ü"},
    "empty table": {},
}
"""Values that both clients send and read alike."""

PROPERTIES: dict[str, Any] = {
    "content_type": "application/json; charset=utf-8",
    "content_encoding": "gzip",
    "headers": FIELDS,
    "delivery_mode": 2,
    "priority": 9,
    "correlation_id": "correlation ü",
    "reply_to": "answers",
    "expiration": "100000",
    "message_id": "m" * 255,
    "type": "order.created",
    "user_id": "guest",
    "app_id": "tests",
    "cluster_id": "cluster",
}


@pytest.fixture
def theirs(amqp_url: str) -> Iterator[BlockingChannel]:
    """Return a channel of pika's."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    yield channel
    connection.close()


def sent_by_pika(channel: BlockingChannel, queue: str, body: bytes = b"", **fields: Any) -> None:
    channel.basic_publish("", queue, body, pika.BasicProperties(**fields), mandatory=True)


def read_by_pika(channel: BlockingChannel, queue: str) -> tuple[dict[str, Any], bytes]:
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    assert method is not None
    given = {
        name: value
        for name in asdict(Properties())
        if (value := getattr(properties, name)) is not None
    }
    return given, body


async def read_by_us(channel: Channel, queue: str) -> tuple[dict[str, Any], bytes]:
    message = await channel.get(queue, no_ack=True)
    assert message is not None
    given = {name: value for name, value in asdict(message.properties).items() if value is not None}
    return given, message.body


def types(value: Any) -> Any:
    """Return the value's type and those of everything inside it."""
    if isinstance(value, dict):
        return {key: types(each) for key, each in value.items()}
    if isinstance(value, list):
        return [types(each) for each in value]
    return type(value)


# --- from us to pika ---------------------------------------------------------------------------------


async def test_pika_reads_every_property_as_we_sent_it(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    properties = Properties(**PROPERTIES, timestamp=WHEN)
    await channel.publish(b"body", routing_key=queue, properties=properties)
    given, body = read_by_pika(theirs, queue)
    # pika gives the timestamp as seconds.
    assert given == {**PROPERTIES, "timestamp": int(WHEN.timestamp())}
    assert body == b"body"


async def test_pika_reads_properties_that_stand_alone(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    for name, value in PROPERTIES.items():
        properties = Properties(**{name: value})
        await channel.publish(b"", routing_key=queue, properties=properties)
        assert read_by_pika(theirs, queue)[0] == {name: value}


async def test_pika_reads_every_field_as_we_sent_it(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    for name, value in FIELDS.items():
        await channel.publish(b"", routing_key=queue, headers={name: value})
        headers = read_by_pika(theirs, queue)[0]["headers"]
        assert headers == {name: value}
        # pika has a subclass of int for 64-bit integers.
        assert name == "int64" or types(headers) == types({name: value})


async def test_pika_cuts_the_fraction_off_a_float_that_we_sent_whole(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    await channel.publish_many(
        [b"", b""], routing_key=queue, properties=Properties(headers={"float": 2.75})
    )
    # pika reads a double (d) as an integer; on the wire it is whole, as we ourselves see.
    assert read_by_pika(theirs, queue)[0]["headers"] == {"float": 2}
    assert (await read_by_us(channel, queue))[0]["headers"] == {"float": 2.75}


async def test_pika_reads_our_bodies_and_we_pikas(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    for size in (0, 1, 131_064, 131_065, 1_000_000):
        await channel.publish(bytes(size), routing_key=queue)
        assert read_by_pika(theirs, queue) == ({"delivery_mode": 2}, bytes(size))
        sent_by_pika(theirs, queue, bytes(size))
        assert await read_by_us(channel, queue) == ({}, bytes(size))


async def test_pika_settles_what_we_published_and_we_see_it(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    await channel.publish(b"again", routing_key=queue)
    method, _, _ = theirs.basic_get(queue)
    assert method is not None
    theirs.basic_nack(method.delivery_tag, requeue=True)
    theirs.basic_qos(prefetch_count=1)  # its answer comes after the nack was handled
    async with channel.consume(queue) as consumer:
        message = await anext(consumer)
    assert message.redelivered


# --- from pika to us ---------------------------------------------------------------------------------


async def test_we_read_every_property_as_pika_sent_it(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    sent_by_pika(theirs, queue, b"body", **PROPERTIES, timestamp=int(WHEN.timestamp()))
    given, body = await read_by_us(channel, queue)
    assert given == {**PROPERTIES, "timestamp": WHEN}
    assert body == b"body"


async def test_we_read_properties_that_stand_alone(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    for name, value in PROPERTIES.items():
        sent_by_pika(theirs, queue, **{name: value})
        assert (await read_by_us(channel, queue))[0] == {name: value}


async def test_we_read_every_field_as_pika_sent_it(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    for name, value in FIELDS.items():
        sent_by_pika(theirs, queue, headers={name: value})
        headers = (await read_by_us(channel, queue))[0]["headers"]
        assert headers == {name: value}
        assert types(headers) == types({name: value})


async def test_we_read_64_bit_integers_of_pikas_own_type(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    sent_by_pika(theirs, queue, headers={"long": pika.compat.long(5)})
    headers = (await read_by_us(channel, queue))[0]["headers"]
    assert headers == {"long": 5}
    assert types(headers) == {"long": int}


async def test_we_read_a_timestamp_beyond_the_calendar(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    milliseconds = 1_795_000_000_000_000
    sent_by_pika(theirs, queue, timestamp=milliseconds)
    given, _ = await read_by_us(channel, queue)
    assert given == {"timestamp": Timestamp(milliseconds)}
    await channel.publish(b"", routing_key=queue, properties=Properties(**given))
    assert read_by_pika(theirs, queue)[0] == {"timestamp": milliseconds}


async def test_we_read_the_fields_that_pika_can_only_read(
    channel: Channel, theirs: BlockingChannel, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pika encodes no unsigned integer, no float and no short one: these are written by hand, in
    # RabbitMQ's own spelling of field types.
    raw = {
        "b": (b"b\x80", -128),
        "B": (b"B\xff", 255),
        "s": (b"s\x80\x00", -32_768),
        "u": (b"u\xff\xff", 65_535),
        "I": (b"I\x80\x00\x00\x00", -(2**31)),
        "i": (b"i\xff\xff\xff\xff", 2**32 - 1),
        "l": (b"l" + b"\xff" * 8, -1),
        "f": (b"f\x3e\x20\x00\x00", 0.15625),
        "d": (b"d\x3f\xb9\x99\x99\x99\x99\x99\x9a", 0.1),
        "S": (b"S\x00\x00\x00\x02\xff\xfe", b"\xff\xfe"),
    }
    usual: Callable[[list[bytes], Any], int] = pika_data.encode_value

    def by_hand(pieces: list[bytes], value: Any) -> int:
        if not isinstance(value, bytearray):
            return usual(pieces, value)
        pieces.append(bytes(value))
        return len(value)

    monkeypatch.setattr(pika_data, "encode_value", by_hand)
    sent_by_pika(
        theirs, queue, headers={name: bytearray(field) for name, (field, _) in raw.items()}
    )
    headers = (await read_by_us(channel, queue))[0]["headers"]
    assert headers == {name: value for name, (_, value) in raw.items()}
    assert types(headers) == {name: type(value) for name, (_, value) in raw.items()}


# --- there and back ------------------------------------------------------------------------------------


async def test_a_message_passed_on_by_pika_comes_back_unchanged(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    properties = Properties(**PROPERTIES, timestamp=WHEN)
    await channel.publish(b"round", routing_key=queue, properties=properties)
    _, passed_on, body = theirs.basic_get(queue, auto_ack=True)
    theirs.basic_publish("", queue, body, passed_on)
    message = await channel.get(queue, no_ack=True)
    assert message is not None
    assert message.properties == properties
    assert message.body == b"round"


async def test_a_message_passed_on_by_us_comes_back_unchanged(
    channel: Channel, theirs: BlockingChannel, queue: str
) -> None:
    sent_by_pika(theirs, queue, b"round", **PROPERTIES, timestamp=int(WHEN.timestamp()))
    message = await channel.get(queue, no_ack=True)
    assert message is not None
    await channel.publish(
        message.body, routing_key=queue, mandatory=True, properties=message.properties
    )
    given, body = read_by_pika(theirs, queue)
    token = set(given["headers"]) - set(FIELDS)
    assert len(token) == 1  # the header that returns of mandatory messages are matched by
    del given["headers"][token.pop()]
    assert given == {**PROPERTIES, "timestamp": int(WHEN.timestamp())}
    assert body == b"round"
