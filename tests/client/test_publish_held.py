"""Publishes that wait, run out of time, or are cut off on the way."""

import asyncio

import pytest

from client.proxy import Proxy
from client.waiting import bodies, ready, until_ready
from hopmq import (
    Channel,
    Connection,
    ConnectionLostError,
    PublishManyError,
    PublishNotSentError,
    PublishUnknownError,
    Receipt,
)
from hopmq.errors import EncodeError, PublishNotSentTimeoutError, PublishUnknownTimeoutError

# --- the window --------------------------------------------------------------------------------------


async def test_a_full_window_refuses_a_publish_that_may_not_wait(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(max_unconfirmed=2) as channel:
        handles = [channel.publish_nowait(b"%d" % number, routing_key=queue) for number in (1, 2)]
        with pytest.raises(PublishNotSentError, match="window of 2 messages") as caught:
            channel.publish_nowait(b"3", routing_key=queue)
        assert caught.value.retry_safe
        for handle in handles:
            await handle
        await channel.publish_nowait(b"4", routing_key=queue)
        assert await bodies(channel, queue) == [b"1", b"2", b"4"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_the_window_counts_bytes(
    connection: Connection, queue: str, kind: type[bytes]
) -> None:
    async with connection.channel(max_unconfirmed_size=100) as channel:
        first = channel.publish_nowait(kind(b"a" * 60), routing_key=queue)
        with pytest.raises(PublishNotSentError, match="100 bytes"):
            channel.publish_nowait(kind(b"b" * 41), routing_key=queue)
        second = channel.publish_nowait(kind(b"c" * 40), routing_key=queue)
        await first
        await second
        assert await bodies(channel, queue) == [b"a" * 60, b"c" * 40]


async def test_a_message_larger_than_the_window_goes_alone(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(max_unconfirmed_size=10) as channel:
        await channel.publish(b"x" * 1000, routing_key=queue)
        await asyncio.gather(*(channel.publish(b"y" * 20, routing_key=queue) for _ in range(5)))
        assert [len(body) for body in await bodies(channel, queue)] == [1000] + [20] * 5


async def test_publish_waits_for_room_and_keeps_the_order(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(max_unconfirmed=3) as channel:
        highest = 0

        async def publish(number: int) -> Receipt:
            nonlocal highest
            publishing = asyncio.ensure_future(channel.publish(b"%d" % number, routing_key=queue))
            await asyncio.sleep(0)
            highest = max(highest, channel.unconfirmed)
            return await publishing

        receipts = await asyncio.gather(*(publish(number) for number in range(100)))
        assert [receipt.delivery_tag for receipt in receipts] == list(range(1, 101))
        assert await bodies(channel, queue) == [b"%d" % number for number in range(100)]
        assert highest == 3


async def test_a_held_publish_that_is_cancelled_is_withdrawn(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed=1)
    proxy.answers.hold()
    first = channel.publish_nowait(b"first", routing_key=queue)
    held = asyncio.create_task(channel.publish(b"withdrawn", routing_key=queue))
    last = asyncio.create_task(channel.publish(b"last", routing_key=queue))
    await asyncio.sleep(0)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    proxy.answers.release()
    await first
    assert (await last).delivery_tag == 2
    assert await bodies(channel, queue) == [b"first", b"last"]


async def test_wait_for_confirms_waits_for_held_messages(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(max_unconfirmed=2) as channel:
        publishes = [
            asyncio.create_task(channel.publish(b"", routing_key=queue)) for _ in range(20)
        ]
        await asyncio.sleep(0)
        await channel.wait_for_confirms()
        assert await ready(connection, queue) == 20
        await asyncio.gather(*publishes)


async def test_a_held_message_that_cannot_be_encoded_says_so(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed=1)
    proxy.answers.hold()
    first = channel.publish_nowait(b"first", routing_key=queue)
    wrong = asyncio.create_task(channel.publish(b"", routing_key="k" * 256))
    right = asyncio.create_task(channel.publish(b"last", routing_key=queue))
    await asyncio.sleep(0)
    proxy.answers.release()
    with pytest.raises(ValueError, match="routing_key"):
        await wrong
    await first
    await right
    assert await bodies(channel, queue) == [b"first", b"last"]


# --- deadlines ---------------------------------------------------------------------------------------


async def test_no_confirm_before_the_deadline_is_unknown(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str
) -> None:
    channel = await proxied.channel()
    proxy.answers.hold()
    with pytest.raises(PublishUnknownTimeoutError) as caught:
        await channel.publish(b"late", routing_key=queue, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, PublishUnknownError)
    assert not caught.value.retry_safe
    await until_ready(other, queue, 1)  # it did arrive


async def test_a_late_confirm_is_absorbed(proxy: Proxy, proxied: Connection, queue: str) -> None:
    channel = await proxied.channel(max_unconfirmed=1)
    proxy.answers.hold()
    late = channel.publish_nowait(b"1", routing_key=queue, timeout=0.02)
    with pytest.raises(PublishUnknownTimeoutError):
        await late
    assert channel.unconfirmed == 1
    proxy.answers.release()
    assert (await channel.publish(b"2", routing_key=queue)).delivery_tag == 2
    assert channel.unconfirmed == 0
    assert isinstance(late.outcome, PublishUnknownTimeoutError)
    assert await bodies(channel, queue) == [b"1", b"2"]


async def test_a_deadline_that_ends_while_held_is_not_sent(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed=1)
    proxy.answers.hold()
    first = channel.publish_nowait(b"first", routing_key=queue)
    with pytest.raises(PublishNotSentTimeoutError, match="window") as caught:
        await channel.publish(b"held", routing_key=queue, timeout=0.02)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, PublishNotSentError)
    assert caught.value.retry_safe
    proxy.answers.release()
    await first
    assert await bodies(channel, queue) == [b"first"]


@pytest.mark.parametrize("seconds", [0, -1.5, float("nan")])
async def test_a_publish_without_time_left_is_not_sent(
    channel: Channel, queue: str, seconds: float
) -> None:
    with pytest.raises(PublishNotSentTimeoutError) as caught:
        await channel.publish(b"too late", routing_key=queue, timeout=seconds)
    assert caught.value.retry_safe
    with pytest.raises(PublishNotSentTimeoutError):
        channel.publish_nowait(b"too late", routing_key=queue, timeout=seconds)
    with pytest.raises(PublishManyError) as many:
        await channel.publish_many([b"too late"], routing_key=queue, timeout=seconds)
    assert [type(outcome) for outcome in many.value.outcomes] == [PublishNotSentTimeoutError]
    await channel.publish(b"in time", routing_key=queue)
    assert await bodies(channel, queue) == [b"in time"]


async def test_each_publish_has_its_own_deadline(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel()
    proxy.answers.hold()
    patient = channel.publish_nowait(b"1", routing_key=queue, timeout=20)
    hasty = channel.publish_nowait(b"2", routing_key=queue, timeout=0.02)
    hastier = channel.publish_nowait(b"3", routing_key=queue, timeout=0.01)
    await hasty.wait()
    assert isinstance(hastier.outcome, PublishUnknownTimeoutError)
    assert not patient.done()
    proxy.answers.release()
    assert (await patient).confirmed


async def test_the_channel_has_a_deadline_for_every_publish(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(publish_timeout=0.02, max_unconfirmed=2)
    proxy.answers.hold()
    with pytest.raises(PublishManyError) as caught:
        await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    assert [type(outcome) for outcome in caught.value.outcomes] == [
        PublishUnknownTimeoutError,
        PublishUnknownTimeoutError,
        PublishNotSentTimeoutError,
    ]


async def test_a_row_of_messages_keeps_the_window_in_bytes(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(publish_timeout=0.02, max_unconfirmed_size=100)
    proxy.answers.hold()
    with pytest.raises(PublishManyError) as caught:
        await channel.publish_many([b"1" * 60, b"2" * 40, b"3"], routing_key=queue)
    assert [type(outcome) for outcome in caught.value.outcomes] == [
        PublishUnknownTimeoutError,
        PublishUnknownTimeoutError,
        PublishNotSentTimeoutError,
    ]


async def test_whoever_follows_a_message_that_is_none_has_a_deadline_too(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(publish_timeout=0.02)
    proxy.answers.hold()
    with pytest.raises(PublishManyError) as caught:
        await channel.publish_many([None, b"1", b"2"], routing_key=queue)  # type: ignore[list-item]
    assert [type(outcome) for outcome in caught.value.outcomes] == [
        EncodeError,
        PublishUnknownTimeoutError,
        PublishUnknownTimeoutError,
    ]


# --- the link breaks -----------------------------------------------------------------------------------


async def test_a_link_cut_between_publish_and_confirm_is_unknown(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str
) -> None:
    channel = await proxied.channel()
    proxy.answers.hold()
    handle = channel.publish_nowait(b"", routing_key=queue)
    await until_ready(other, queue, 1)
    proxy.cut()
    with pytest.raises(PublishUnknownError, match="may have arrived") as caught:
        await handle
    assert not caught.value.retry_safe
    assert isinstance(caught.value.__cause__, ConnectionLostError)


async def test_a_cut_tells_apart_what_was_sent_and_what_was_held(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed=2)
    proxy.answers.hold()
    publishes = [
        asyncio.create_task(channel.publish(b"%d" % number, routing_key=queue))
        for number in range(5)
    ]
    await until_ready(other, queue, 2)
    proxy.cut()
    outcomes = await asyncio.gather(*publishes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        *[PublishUnknownError] * 2,
        *[PublishNotSentError] * 3,
    ]
    assert await bodies(await other.channel(), queue) == [b"0", b"1"]


async def test_a_returned_message_whose_confirm_is_lost_was_still_returned(
    connection: Connection, channel: Channel
) -> None:
    handle = channel.publish_nowait(b"", routing_key="nowhere", mandatory=True)
    await connection.close()
    await handle.wait()
    assert handle.done()


async def test_closing_the_channel_ends_its_publishes(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed=1)
    proxy.answers.hold()
    written = channel.publish_nowait(b"written", routing_key=queue)
    held = asyncio.create_task(channel.publish(b"held", routing_key=queue))
    await until_ready(other, queue, 1)
    closing = asyncio.create_task(channel.close())
    with pytest.raises(PublishUnknownError):
        await written
    with pytest.raises(PublishNotSentError):
        await held
    proxy.answers.release()
    await closing
    assert await bodies(await other.channel(), queue) == [b"written"]


# --- back-pressure ---------------------------------------------------------------------------------------


async def test_publishers_wait_while_the_socket_does_not_keep_up(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed_size=2**30)
    proxy.requests.hold()
    body = bytes(1024 * 1024)
    publishes = [asyncio.create_task(channel.publish(body, routing_key=queue)) for _ in range(40)]
    while not proxied._session.link.write_paused:
        await asyncio.sleep(0)
    assert 0 < channel.unconfirmed < 40
    proxy.requests.release()
    receipts = await asyncio.gather(*publishes)
    assert [receipt.delivery_tag for receipt in receipts] == list(range(1, 41))


async def test_a_row_of_messages_waits_while_the_socket_does_not_keep_up(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel(max_unconfirmed_size=2**30)
    proxy.requests.hold()
    many = [bytes(1024 * 1024)] * 40
    publishing = asyncio.create_task(channel.publish_many(many, routing_key=queue))
    while not proxied._session.link.write_paused:
        await asyncio.sleep(0)
    assert 0 < channel.unconfirmed < 40
    proxy.requests.release()
    assert len(await publishing) == 40
