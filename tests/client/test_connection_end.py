"""How connections end: closed, drained, broken; everybody who waits is told why."""

import asyncio
import logging
from contextlib import suppress

import pytest

import hopmq
from client.proxy import Proxy
from client.waiting import bodies, until_ready
from hopmq import (
    Channel,
    ChannelClosed,
    Connection,
    ConnectionClosed,
    ConnectionLostError,
    HopMQError,
    Message,
    PublishNotSentError,
    PublishUnknownError,
    Receipt,
)

# --- close -----------------------------------------------------------------------------------------


async def test_close_is_idempotent(connection: Connection) -> None:
    await asyncio.gather(connection.close(), connection.close())
    await connection.close()
    assert connection.state == "closed"
    assert not connection.is_open


async def test_a_closed_connection_says_that_we_closed_it(connection: Connection) -> None:
    await connection.close()
    error = await connection.wait_closed()
    assert type(error) is ConnectionClosed
    assert error.reply_code == 200
    assert not error.by_peer


async def test_nothing_works_on_a_closed_connection(
    connection: Connection, channel: Channel
) -> None:
    await connection.close()
    for attempt in (
        connection.channel(),
        connection.declare_queue("q"),
        connection.update_secret("guest"),
        channel.get("q"),
        channel.consume("q"),
        channel.set_prefetch(1),
        channel.recover(),
    ):
        with pytest.raises(ConnectionClosed):
            await attempt
    assert not channel.is_open
    await channel.close()


async def test_publishing_on_a_closed_connection_is_not_sent(
    connection: Connection, channel: Channel
) -> None:
    await connection.close()
    with pytest.raises(PublishNotSentError) as caught:
        await channel.publish(b"late", routing_key="q")
    assert caught.value.retry_safe
    with pytest.raises(PublishNotSentError):
        channel.publish_nowait(b"late", routing_key="q")


async def test_closing_while_publishing_gives_each_publish_one_outcome(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(max_unconfirmed=50)
    publishes = [
        asyncio.create_task(channel.publish(b"%d" % number, routing_key=queue))
        for number in range(500)
    ]
    with suppress(PublishUnknownError):
        await publishes[60]
    await connection.close()
    outcomes = await asyncio.gather(*publishes, return_exceptions=True)
    arrived = set(await bodies(await other.channel(), queue))
    for number, outcome in enumerate(outcomes):
        body = b"%d" % number
        assert isinstance(outcome, Receipt | PublishUnknownError | PublishNotSentError)
        if isinstance(outcome, Receipt):
            assert body in arrived
        elif isinstance(outcome, PublishNotSentError):
            assert body not in arrived
    kinds = {type(outcome) for outcome in outcomes}
    assert {Receipt, PublishNotSentError} <= kinds


async def test_close_is_bounded_when_the_broker_does_not_answer(
    proxy: Proxy, proxied: Connection
) -> None:
    proxy.answers.hold()
    await proxied.close(timeout=0.05)
    assert proxied.state == "closed"


async def test_close_is_prompt_when_something_else_comes_before_the_answer(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str
) -> None:
    channel = await proxied.channel()
    proxy.answers.hold()
    handle = channel.publish_nowait(b"", routing_key=queue)
    await until_ready(other, queue, 1)
    proxy.answers.release()
    async with asyncio.timeout(20):
        await proxied.close(timeout=60)
    assert handle.done()


async def test_an_error_in_the_block_closes_at_once(amqp_url: str, queue: str) -> None:
    connection = await hopmq.connect(amqp_url)
    channel = await connection.channel()
    handle = channel.publish_nowait(b"", routing_key=queue)
    with pytest.raises(ZeroDivisionError):
        async with connection:
            raise ZeroDivisionError
    assert connection.state == "closed"
    assert handle.done()


# --- a broken link -----------------------------------------------------------------------------------


async def test_a_broken_link_is_a_connection_error_for_all_who_wait(
    proxy: Proxy, proxied: Connection, queue: str
) -> None:
    channel = await proxied.channel()
    iterating, closing = await proxied.channel(), await proxied.channel()
    consumer = await iterating.consume(queue)
    proxy.requests.hold()
    waiting = [
        asyncio.create_task(awaited)
        for awaited in (
            channel.get(queue),
            channel.set_prefetch(5),
            channel.recover(),
            proxied.declare_queue(queue),
            proxied.update_secret("guest"),
            anext(consumer),
            consumer.wait_closed(),
            closing.close(),
        )
    ]
    await asyncio.sleep(0)
    proxy.cut()
    *failed, closed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionLostError] * len(failed)
    assert len({id(error) for error in failed}) == len(failed)
    assert closed is None


async def test_a_broken_link_is_why_the_connection_ended(
    proxy: Proxy, proxied: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    channels = [await proxied.channel() for _ in range(3)]
    caplog.set_level(logging.WARNING, "hopmq")
    caplog.clear()
    proxy.cut()
    error = await proxied.wait_closed()
    assert type(error) is ConnectionLostError
    assert error.by_peer
    assert proxied.state == "closed"
    assert not any(channel.is_open for channel in channels)
    [line] = caplog.records
    assert "tests, by way of the relay" in line.getMessage()


async def test_handlers_outlive_the_link(proxy: Proxy, proxied: Connection, queue: str) -> None:
    channel = await proxied.channel()
    begun, go_on = asyncio.Event(), asyncio.Event()
    finished: list[object] = []

    async def handle(message: Message) -> None:
        begun.set()
        await go_on.wait()
        finished.append(message.ack())

    await channel.consume(queue, handle)
    await channel.publish(b"", routing_key=queue)
    await begun.wait()
    proxy.cut()
    await proxied.wait_closed()
    go_on.set()
    await channel.stop_consuming()
    assert finished == [hopmq.Settlement.STALE]


# --- drain -----------------------------------------------------------------------------------------


async def test_drain_lets_handlers_finish_and_settle(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=3)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        begun.set()
        await go_on.wait()
        message.ack()

    await channel.publish_many([b"handled", b"unread", b"unread"], routing_key=queue)
    await channel.consume(queue, handle)
    await begun.wait()
    drained = asyncio.create_task(connection.drain())
    await until_ready(other, queue, 2)  # what nobody has read went back
    assert not drained.done()
    go_on.set()
    await drained
    assert await bodies(await other.channel(), queue) == [b"unread", b"unread"]


async def test_drain_waits_for_confirms(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str
) -> None:
    channel = await proxied.channel()
    proxy.answers.hold()
    handle = channel.publish_nowait(b"", routing_key=queue)
    drained = asyncio.create_task(proxied.drain())
    await until_ready(other, queue, 1)
    assert not drained.done()
    proxy.answers.release()
    await drained
    assert isinstance(handle.outcome, Receipt)


async def test_drain_waits_for_messages_that_are_held_back(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(max_unconfirmed=3)
    publishes = [
        asyncio.create_task(channel.publish(b"%d" % number, routing_key=queue))
        for number in range(50)
    ]
    await asyncio.sleep(0)
    await connection.drain()
    outcomes = await asyncio.gather(*publishes, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Receipt}
    assert len(await bodies(await other.channel(), queue)) == 50


async def test_drain_is_bounded(
    connection: Connection, other: Connection, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await connection.channel()
    begun, never = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        begun.set()
        await never.wait()

    await channel.publish(b"stuck", routing_key=queue)
    consumer = await channel.consume(queue, handle)
    await begun.wait()
    await connection.drain(timeout=0.05)
    assert connection.state == "closed"
    assert "drain" in caplog.text
    await until_ready(other, queue, 1)
    never.set()
    await consumer.cancel()


async def test_drain_is_idempotent(connection: Connection) -> None:
    await asyncio.gather(connection.drain(), connection.drain())
    await connection.drain()
    assert connection.state == "closed"


async def test_drain_of_a_broken_connection_returns(proxy: Proxy, proxied: Connection) -> None:
    await proxied.channel()
    proxy.cut()
    await proxied.wait_closed()
    await proxied.drain()


async def test_the_block_of_connect_drains(amqp_url: str, other: Connection, queue: str) -> None:
    async with hopmq.connect(amqp_url) as connection:
        channel = await connection.channel(max_unconfirmed=2)
        publishes = [
            asyncio.create_task(channel.publish(b"", routing_key=queue)) for _ in range(20)
        ]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*publishes)) == 20
    assert len(await bodies(await other.channel(), queue)) == 20


async def test_the_end_is_told_alike_on_every_channel(connection: Connection) -> None:
    channels = [await connection.channel() for _ in range(3)]
    await connection.close()
    for channel in channels:
        with pytest.raises(HopMQError) as caught:
            await channel.set_prefetch(1)
        assert isinstance(caught.value, ConnectionClosed)
        assert not isinstance(caught.value, ChannelClosed)
