"""Publishing with confirms: single messages, pipelines and batches, and what arrives."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.conftest import Tap
from client.waiting import bodies, ready, until_ready
from hopmq import (
    Channel,
    Connection,
    EncodeError,
    Exchange,
    Properties,
    PublishManyError,
    Receipt,
    UsageError,
)

# --- one message -------------------------------------------------------------------------------------


async def test_a_confirmed_publish_gives_a_receipt(channel: Channel, queue: str) -> None:
    first = await channel.publish(b"first", routing_key=queue)
    second = await channel.publish(b"second", routing_key=queue)
    assert (first.delivery_tag, second.delivery_tag) == (1, 2)
    assert first.confirmed
    assert not first.retry_safe
    assert await bodies(channel, queue) == [b"first", b"second"]


async def test_a_receipt_means_that_the_broker_has_the_message(
    channel: Channel, other: Connection, queue: str
) -> None:
    await channel.publish(b"", routing_key=queue)
    assert await ready(other, queue) == 1


async def test_an_unroutable_message_that_is_not_mandatory_is_confirmed(channel: Channel) -> None:
    assert (await channel.publish(b"", routing_key="nowhere")).confirmed


async def test_messages_are_persistent_unless_asked_otherwise(channel: Channel, queue: str) -> None:
    await channel.publish(b"", routing_key=queue)
    await channel.publish(b"", routing_key=queue, persistent=False)
    await channel.publish(b"", routing_key=queue, headers={})
    await channel.publish_nowait(b"", routing_key=queue)
    await channel.publish_many([b""], routing_key=queue)
    await channel.publish(b"", routing_key=queue, properties=Properties())
    messages = [await channel.get(queue, no_ack=True) for _ in range(6)]
    modes = [message.properties.delivery_mode for message in messages if message]
    assert modes == [2, 1, 2, 2, 2, None]
    assert [message.persistent for message in messages if message][:2] == [True, False]


async def test_the_keywords_of_publish_are_properties(channel: Channel, queue: str) -> None:
    await channel.publish(
        b"body",
        routing_key=queue,
        headers={"tries": 3},
        content_type="text/plain",
        expiration=60,
        priority=7,
        correlation_id="request 1",
        reply_to="answers",
        message_id="message 1",
    )
    message = await channel.get(queue, no_ack=True)
    assert message is not None
    assert message.properties == Properties(
        headers={"tries": 3},
        delivery_mode=2,
        content_type="text/plain",
        expiration="60000",
        priority=7,
        correlation_id="request 1",
        reply_to="answers",
        message_id="message 1",
    )
    assert message.headers == {"tries": 3}
    assert message.content_type == "text/plain"
    assert message.correlation_id == "request 1"
    assert message.reply_to == "answers"
    assert message.message_id == "message 1"
    assert (message.exchange, message.routing_key) == ("", queue)


async def test_all_properties_arrive(channel: Channel, queue: str) -> None:
    properties = Properties(
        content_type="application/json",
        content_encoding="gzip",
        headers={"nested": {"list": [1, "two", None, True]}},
        delivery_mode=1,
        priority=0,
        correlation_id="c",
        reply_to="r",
        expiration="100000",
        message_id="m",
        timestamp=datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC),
        type="order",
        user_id="guest",
        app_id="tests",
        cluster_id="none",
    )
    await channel.publish(b"", routing_key=queue, properties=properties)
    message = await channel.get(queue, no_ack=True)
    assert message is not None
    assert message.properties == properties
    assert message.timestamp == properties.timestamp
    assert message.content_encoding == "gzip"


async def test_expiration_is_given_in_seconds(channel: Channel, queue: str) -> None:
    async with channel.consume(queue, no_ack=True) as consumer:
        given: dict[float | timedelta, str] = {
            0: "0",
            1: "1000",
            1.5: "1500",
            timedelta(minutes=1): "60000",
            0.0004: "0",
        }
        for expiration, sent in given.items():
            await channel.publish(b"", routing_key=queue, expiration=expiration)
            assert (await anext(consumer)).properties.expiration == sent


async def test_bodies_may_be_any_buffer(channel: Channel, queue: str) -> None:
    for size in (0, 1, 100, 40_000):
        body = b"x" * size
        for buffer in (body, bytearray(body), memoryview(body), memoryview(bytearray(body))):
            await channel.publish(buffer, routing_key=queue)
        assert await bodies(channel, queue) == [body] * 4


async def test_a_buffer_may_be_used_again_at_once(channel: Channel, queue: str) -> None:
    buffer = bytearray(b"a" * 50_000)
    handle = channel.publish_nowait(buffer, routing_key=queue)
    buffer[:] = b"b" * 50_000
    await handle
    assert await bodies(channel, queue) == [b"a" * 50_000]


async def test_an_exchange_may_be_named_by_its_value(channel: Channel, queue: str) -> None:
    exchange = Exchange.fanout("amq.fanout")
    await channel.bind(queue, exchange)
    await channel.publish(b"1", exchange=exchange)
    await channel.publish_nowait(b"2", exchange=exchange)
    await channel.publish_many([b"3"], exchange=exchange)
    assert await bodies(channel, queue) == [b"1", b"2", b"3"]


async def test_without_confirms_a_receipt_confirms_nothing(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(confirms=False) as channel:
        receipt = await channel.publish(b"1", routing_key=queue)
        assert (receipt.confirmed, receipt.delivery_tag) == (False, 0)
        handle = channel.publish_nowait(b"2", routing_key=queue)
        assert handle.done()
        assert len(await channel.publish_many([b"3", b"4"], routing_key=queue)) == 2
        assert await bodies(channel, queue) == [b"1", b"2", b"3", b"4"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"body": "text"}, ""),
    ({"body": None}, ""),
    ({"body": 5}, ""),
    ({"body": [b"x"]}, ""),
    ({"body": b"", "routing_key": "k" * 256}, "routing_key"),
    ({"body": b"", "routing_key": 5}, "routing_key"),
    ({"body": b"", "exchange": "é" * 128}, "exchange"),
    ({"body": b"", "headers": {"a": [1, object()]}}, "headers['a'][1]"),
    ({"body": b"", "headers": {"k" * 256: 1}}, "headers"),
    ({"body": b"", "headers": {"big": 2**63}}, "headers['big']"),
    ({"body": b"", "headers": {"when": datetime(2026, 1, 1)}}, "headers['when']"),
    ({"body": b"", "message_id": "m" * 256}, "message_id"),
    ({"body": b"", "priority": 256}, "priority"),
    ({"body": b"", "priority": -1}, "priority"),
    ({"body": b"", "expiration": "soon"}, "expiration"),
    ({"body": b"", "expiration": float("nan")}, "expiration"),
    ({"body": b"", "correlation_id": "\ud800"}, "correlation_id"),
]


async def test_what_cannot_be_encoded_is_refused_and_costs_nothing(
    channel: Channel, tap: Tap
) -> None:
    tap.sent = 0
    for wrong, path in WRONG:
        with pytest.raises(EncodeError) as caught:
            await channel.publish(**wrong)
        assert isinstance(caught.value, UsageError)
        assert path in caught.value.path
        assert tap.is_silent
        assert channel.unconfirmed == 0
    assert (await channel.publish(b"", routing_key="nowhere")).delivery_tag == 1


async def test_properties_and_keywords_for_them_are_refused_together(
    channel: Channel, queue: str
) -> None:
    with pytest.raises(UsageError, match="properties="):
        await channel.publish(
            b"", routing_key=queue, properties=Properties(priority=1), headers={"a": 1}
        )
    assert channel.unconfirmed == 0


async def test_a_negative_expiration_is_refused(channel: Channel, tap: Tap) -> None:
    tap.sent = 0
    with pytest.raises(UsageError, match="negative"):
        await channel.publish(b"", expiration=-1)
    assert tap.is_silent


# --- pipelines ---------------------------------------------------------------------------------------


async def test_500_publishes_at_once_are_all_confirmed_in_order(
    channel: Channel, queue: str
) -> None:
    sent = [b"%d" % number for number in range(500)]
    receipts = await asyncio.gather(*(channel.publish(body, routing_key=queue) for body in sent))
    assert [receipt.delivery_tag for receipt in receipts] == list(range(1, 501))
    assert channel.unconfirmed == 0
    assert await bodies(channel, queue) == sent


async def test_a_handle_has_its_outcome_once_confirmed(channel: Channel, queue: str) -> None:
    handle = channel.publish_nowait(b"", routing_key=queue)
    assert not handle.done()
    assert handle.outcome is None
    assert channel.unconfirmed == 1
    receipt = await handle
    assert handle.done()
    assert isinstance(handle.outcome, Receipt)
    assert handle.outcome.delivery_tag == receipt.delivery_tag == handle.delivery_tag == 1


async def test_a_handle_may_be_awaited_by_many_and_often(channel: Channel, queue: str) -> None:
    handle = channel.publish_nowait(b"", routing_key=queue)

    async def wait() -> Receipt:
        return await handle

    receipts = await asyncio.gather(wait(), wait(), wait())
    assert {receipt.delivery_tag for receipt in receipts} == {1}
    assert (await handle).delivery_tag == 1


async def test_a_cancelled_wait_leaves_the_handle_alone(channel: Channel, queue: str) -> None:
    handle = channel.publish_nowait(b"", routing_key=queue)
    waiting = asyncio.ensure_future(handle)
    await asyncio.sleep(0)
    waiting.cancel()
    assert (await handle).confirmed


async def test_handles_are_a_pipeline(channel: Channel, queue: str) -> None:
    handles = [channel.publish_nowait(b"%d" % number, routing_key=queue) for number in range(300)]
    for handle in handles:
        await handle
    assert [handle.delivery_tag for handle in handles] == list(range(1, 301))
    assert await bodies(channel, queue) == [b"%d" % number for number in range(300)]


async def test_a_cancelled_publish_that_was_written_leaves_the_channel_in_step(
    channel: Channel, queue: str
) -> None:
    publish = asyncio.create_task(channel.publish(b"written", routing_key=queue))
    await asyncio.sleep(0)
    publish.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publish
    assert (await channel.publish(b"next", routing_key=queue)).delivery_tag == 2
    assert await bodies(channel, queue) == [b"written", b"next"]
    assert channel.unconfirmed == 0


# --- many --------------------------------------------------------------------------------------------


def generated(count: int) -> Iterator[bytes]:
    yield from (b"%d" % number for number in range(count))


async def generated_slowly(count: int) -> AsyncIterator[bytes]:
    for body in generated(count):
        await asyncio.sleep(0)
        yield body


@pytest.mark.parametrize("source", [list, iter, generated_slowly], ids=lambda each: each.__name__)
async def test_publish_many_takes_any_iterable_through_any_window(
    connection: Connection, queue: str, source: Any
) -> None:
    for window in (1, 7, 1000):
        async with connection.channel(max_unconfirmed=window) as channel:
            many = source(100) if source is generated_slowly else source(generated(100))
            receipts = await channel.publish_many(many, routing_key=queue)
            assert [receipt.delivery_tag for receipt in receipts] == list(range(1, 101))
            assert await bodies(channel, queue) == list(generated(100))


async def test_publish_many_fits_a_window_of_few_bytes(connection: Connection, queue: str) -> None:
    async with connection.channel(max_unconfirmed_size=1000) as channel:
        many = [b"x" * size for size in (1, 400, 700, 2000, 999, 1000, 1)]
        assert len(await channel.publish_many(many, routing_key=queue)) == len(many)
        assert await bodies(channel, queue) == many


async def test_publish_many_of_nothing_sends_nothing(channel: Channel, tap: Tap) -> None:
    tap.sent = 0
    assert await channel.publish_many([]) == []
    assert tap.is_silent


async def test_publish_many_reads_no_further_than_there_is_room(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(max_unconfirmed=5) as channel:
        furthest = 0

        def counting() -> Iterator[bytes]:
            nonlocal furthest
            for body in generated(100):
                assert channel.unconfirmed <= 5
                furthest += 1
                yield body

        await channel.publish_many(counting(), routing_key=queue)
        assert furthest == 100


@pytest.mark.parametrize("confirms", [True, False])
async def test_publish_many_tells_every_outcome_in_order(
    connection: Connection, queue: str, confirms: bool
) -> None:
    many: list[Any] = [b"1", "text", b"3", None, b"5"]
    async with connection.channel(confirms=confirms) as channel:
        with pytest.raises(PublishManyError, match="2 of 5") as caught:
            await channel.publish_many(many, routing_key=queue)
        kinds = [type(outcome) for outcome in caught.value.outcomes]
        assert kinds == [Receipt, EncodeError, Receipt, EncodeError, Receipt]
        await until_ready(channel, queue, 3)
        assert await bodies(channel, queue) == [b"1", b"3", b"5"]


async def test_an_error_of_the_iterable_passes_through(channel: Channel, queue: str) -> None:
    def failing() -> Iterator[bytes]:
        yield b"1"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await channel.publish_many(failing(), routing_key=queue)
    await channel.wait_for_confirms()
    assert await bodies(channel, queue) == [b"1"]


async def test_several_batches_share_a_channel(connection: Connection, queue: str) -> None:
    async with connection.channel(max_unconfirmed=10) as channel:
        batches = [channel.publish_many(generated(50), routing_key=queue) for _ in range(4)]
        assert [len(receipts) for receipts in await asyncio.gather(*batches)] == [50] * 4
        assert len(await bodies(channel, queue)) == 200
