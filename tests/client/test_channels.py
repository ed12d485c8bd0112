"""Channels: opened, closed, opened again, and as many as there are ids for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hopmq
from client.conftest import Tap
from client.waiting import bodies, ready, until_ready
from hopmq import (
    Channel,
    ChannelClosed,
    Connection,
    NoChannelAvailableError,
    NotFoundError,
    PublishNotSentError,
    Receipt,
    UsageError,
)


async def test_a_channel_opens_by_await(connection: Connection) -> None:
    channel = await connection.channel()
    assert channel.is_open
    assert isinstance(await channel.publish(b"", routing_key="nowhere"), Receipt)


async def test_the_block_of_a_channel_closes_it(connection: Connection) -> None:
    async with connection.channel() as channel:
        assert channel.is_open
    assert not channel.is_open
    assert connection.is_open


async def test_a_channel_without_await_is_of_no_use(connection: Connection, tap: Tap) -> None:
    assert not hasattr(connection.channel(), "publish")
    assert tap.is_silent


async def test_close_is_idempotent(channel: Channel) -> None:
    await asyncio.gather(channel.close(), channel.close())
    await channel.close()
    assert not channel.is_open


async def test_a_closed_channel_says_that_we_closed_it(
    connection: Connection, channel: Channel
) -> None:
    await channel.close()
    for attempt in (
        channel.get("q"),
        channel.consume("q"),
        channel.set_prefetch(1),
        channel.recover(),
        channel.declare_queue("q"),
        channel.transaction().commit(),
    ):
        with pytest.raises(ChannelClosed) as caught:
            await attempt
        assert caught.value.reply_code == 200
        assert not caught.value.by_peer
    assert connection.is_open


async def test_publishing_on_a_closed_channel_is_not_sent(
    connection: Connection, channel: Channel, tap: Tap
) -> None:
    await channel.close()
    tap.sent = 0
    with pytest.raises(PublishNotSentError):
        await channel.publish(b"late", routing_key="q")
    with pytest.raises(PublishNotSentError):
        channel.publish_nowait(b"late", routing_key="q")
    with pytest.raises(hopmq.PublishManyError) as caught:
        await channel.publish_many([b"late", b"later"], routing_key="q")
    assert [type(outcome) for outcome in caught.value.outcomes] == [PublishNotSentError] * 2
    assert caught.value.retry_safe
    assert tap.is_silent


async def test_channels_are_opened_and_closed_over_and_over(connection: Connection) -> None:
    for _ in range(30):
        async with connection.channel() as channel:
            assert (await channel.publish(b"", routing_key="nowhere")).delivery_tag == 1
    assert channel.number == 1


async def test_closing_returns_what_is_unsettled(
    connection: Connection, other: Connection, channel: Channel, queue: str
) -> None:
    await channel.publish_many([b"1", b"2", b"3"], routing_key=queue)
    async with channel.consume(queue) as consumer:
        await anext(consumer)
        await channel.close()
    await until_ready(other, queue, 3)


async def test_a_channel_that_the_broker_closed_leaves_the_others_alone(
    connection: Connection, channel: Channel
) -> None:
    async with connection.channel() as victim:
        with pytest.raises(NotFoundError) as caught:
            await victim.get("no such queue")
        assert caught.value.reply_code == 404
        assert caught.value.by_peer
        assert (caught.value.class_id, caught.value.method_id) == (60, 70)
        assert "no such queue" in caught.value.reply_text
        assert not victim.is_open
        with pytest.raises(NotFoundError):
            await victim.set_prefetch(1)
    assert isinstance(await channel.publish(b"", routing_key="nowhere"), Receipt)


async def test_the_number_of_a_channel_that_the_broker_closed_is_used_again(
    amqp_url: str,
) -> None:
    async with hopmq.connect(amqp_url, channel_max=1) as connection:
        for _ in range(5):
            channel = await connection.channel()
            with pytest.raises(NotFoundError):
                await channel.get("no such queue")


async def test_channels_beyond_channel_max_are_refused_here(amqp_url: str) -> None:
    async with hopmq.connect(amqp_url, channel_max=4) as connection:
        channels = [await connection.channel() for _ in range(4)]
        with pytest.raises(NoChannelAvailableError, match="4"):
            await connection.channel()
        assert all(channel.is_open for channel in channels)
        await channels[1].close()
        again = await connection.channel()
        assert again.is_open
        assert len({channel.number for channel in [*channels[:1], *channels[2:], again]}) == 4


async def test_many_channels_open_at_once(connection: Connection) -> None:
    channels = await asyncio.gather(*(connection.channel() for _ in range(100)))
    assert len({channel.number for channel in channels}) == 100
    await asyncio.gather(*(channel.close() for channel in channels))


@pytest.mark.parametrize("prefetch", [-1, 65_536, "5", 1.5, None])
async def test_a_prefetch_that_cannot_be_is_refused_here(
    connection: Connection, channel: Channel, tap: Tap, prefetch: Any
) -> None:
    with pytest.raises(UsageError, match="prefetch"):
        await channel.set_prefetch(prefetch)
    with pytest.raises(UsageError, match="prefetch"):
        await connection.channel(prefetch=prefetch)
    assert tap.is_silent


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "30"])
async def test_a_publish_timeout_that_cannot_be_is_refused_here(
    connection: Connection, tap: Tap, seconds: Any
) -> None:
    with pytest.raises(UsageError, match="publish_timeout"):
        await connection.channel(publish_timeout=seconds)
    assert tap.is_silent


@pytest.mark.parametrize("nothing", [None, 5, b"name"])
async def test_what_is_neither_a_name_nor_an_entity_is_refused_here(
    channel: Channel, tap: Tap, nothing: Any
) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: channel.publish(b"", exchange=nothing, routing_key="k"),
        lambda: channel.publish_nowait(b"", exchange=nothing, routing_key="k"),
        lambda: channel.publish_many([b""], exchange=nothing, routing_key="k"),
        lambda: channel.consume(nothing),
        lambda: channel.get(nothing),
        lambda: channel.bind(nothing, "amq.direct"),
        lambda: channel.bind_exchange("amq.direct", nothing),
        lambda: channel.purge(nothing),
        lambda: channel.delete_queue(nothing),
        lambda: channel.delete_exchange(nothing),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=type(nothing).__name__):
            await call()
    assert tap.is_silent


@pytest.mark.parametrize("window", [{"max_unconfirmed": 0}, {"max_unconfirmed_size": 0}], ids=str)
async def test_a_window_that_holds_nothing_is_refused_here(
    connection: Connection, tap: Tap, window: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match="window"):
        await connection.channel(**window)  # type: ignore[arg-type]
    assert tap.is_silent


async def test_the_block_waits_for_confirms(
    connection: Connection, other: Connection, queue: str
) -> None:
    async with connection.channel(max_unconfirmed=2) as channel:
        publishes = [
            asyncio.create_task(channel.publish(b"%d" % number, routing_key=queue))
            for number in range(20)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*publishes)
    assert await bodies(await other.channel(), queue) == [b"%d" % number for number in range(20)]


async def test_channels_are_apart(connection: Connection, queue: str) -> None:
    one, two = await connection.channel(), await connection.channel()
    await one.publish(b"", routing_key=queue)
    await two.publish(b"", routing_key=queue)
    await one.close()
    await two.publish(b"", routing_key=queue)
    assert await ready(connection, queue) == 3


async def test_a_channel_shows_number_state_and_connection(channel: Channel) -> None:
    assert repr(channel).startswith(f"<Channel {channel.number} open of tests (")
    await channel.close()
    assert "closed" in repr(channel) or "closing" in repr(channel)


async def test_flow_is_on_and_can_only_be_asked_to_be_on(channel: Channel) -> None:
    assert await channel.flow(True) is True
    with pytest.raises(UsageError, match="prefetch"):
        await channel.flow(False)
    assert channel.is_open
