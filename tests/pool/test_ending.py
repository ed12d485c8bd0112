"""How pools begin and end."""

import asyncio
import socket

import pytest

from client.proxy import Proxy
from client.waiting import ready, until
from hopmq import (
    ConnectError,
    Connection,
    ConnectionClosed,
    Message,
    Pool,
    PublishNotSentError,
    UsageError,
)

from .conftest import opened


async def test_the_block_of_a_pool_opens_and_drains_it(amqp_url: str) -> None:
    async with Pool(amqp_url) as pool:
        assert pool.state == "open"
        assert pool.statistics().publishing.connections == 1
    assert pool.state == "closed"


async def test_the_broker_shows_which_connection_is_which(amqp_url: str, queue: str) -> None:
    for name, shown in (("shop", "shop"), (None, socket.gethostname())):
        async with Pool(amqp_url, name=name) as pool, pool.consume(queue):
            engine = pool._engine
            (publishing,) = engine.publishing.connections.values()
            (consuming,) = engine.consuming.connections.values()
            assert publishing.name.startswith(shown)
            assert publishing.name.endswith("(publishing 1)")
            assert consuming.name.endswith("(consuming 1)")


async def test_a_pool_is_opened_once_however_many_tasks_open_it(amqp_url: str) -> None:
    pool = Pool(amqp_url)
    await asyncio.gather(*(pool.open() for _ in range(10)))
    assert pool.statistics().publishing.opened == 1
    await asyncio.gather(pool.close(), pool.close())
    await pool.close()


async def test_a_broker_that_is_not_there_is_told_at_once() -> None:
    pool = Pool("amqp://127.0.0.1:1")
    with pytest.raises(ConnectError):
        await pool.open()
    with pytest.raises(ConnectError):  # and once more
        await pool.open()
    assert pool.state == "new"
    await pool.close()


async def test_a_cancelled_opening_leaves_nothing_behind(proxy: Proxy) -> None:
    proxy.answers.hold()
    pool = Pool(proxy.url)
    opening = asyncio.create_task(pool.open())
    waiting = asyncio.create_task(pool.open())
    await asyncio.sleep(0.01)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    proxy.answers.release()
    await waiting  # the other one takes over
    assert pool.state == "open"
    await pool.close()


async def test_a_pool_without_a_minimum_connects_when_it_is_used(amqp_url: str) -> None:
    async with Pool(amqp_url, min_connections=0) as pool:
        assert pool.statistics().publishing.opened == 0
        assert (await pool.publish(b"", routing_key="nobody")).confirmed
        assert pool.statistics().publishing.opened == 1
        assert pool.statistics().consuming.opened == 0


async def test_a_minimum_is_connected_from_the_beginning(amqp_url: str) -> None:
    async with opened(amqp_url, min_connections=3) as pool:

        async def all_are_open() -> bool:
            return pool.statistics().publishing.connections == 3

        await until(all_are_open)


async def test_a_closed_pool_is_of_no_use(amqp_url: str) -> None:
    async with Pool(amqp_url) as pool:
        pass
    with pytest.raises(PublishNotSentError, match="closed"):
        await pool.publish(b"", routing_key="nobody")
    with pytest.raises(PublishNotSentError, match="closed"):
        pool.publish_nowait(b"", routing_key="nobody")
    with pytest.raises(ConnectionClosed, match="closed"):
        async with pool.channel():
            pass
    with pytest.raises(ConnectionClosed):
        await pool.consume("q")
    with pytest.raises(ConnectionClosed):
        await pool.declare_queue("q")
    with pytest.raises(UsageError, match="make another one"):
        await pool.open()


async def test_closing_tells_whoever_waits(amqp_url: str) -> None:
    async def borrow(pool: Pool) -> None:
        async with pool.channel():
            pass

    bounds = {"max_connections": 1, "channels_per_connection": 2}
    async with opened(amqp_url, **bounds) as pool, pool.channel():
        waiting = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(ConnectionClosed, match="the pool is closed"):
            await waiting


async def test_closing_ends_what_is_borrowed(pool: Pool) -> None:
    async with pool.channel() as channel:
        await pool.close()
        assert not channel.is_open


async def test_closing_while_it_opens_ends_the_opening(proxy: Proxy) -> None:
    proxy.answers.hold()
    pool = Pool(proxy.url)
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises((ConnectionClosed, UsageError)):
        await opening


async def test_draining_waits_for_handlers_that_publish_and_borrow(
    pool: Pool, other: Connection, queue: str, name: str
) -> None:
    answers = f"{name}-answers"
    await other.declare_queue(answers)
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        has_begun.set()
        await may_end.wait()
        await pool.publish(b"published", routing_key=answers)
        async with pool.channel() as channel:
            await channel.publish(b"borrowed", routing_key=answers)
        message.ack()

    await pool.consume(queue, handler=handle)
    await pool.publish(b"", routing_key=queue)
    await has_begun.wait()
    draining = asyncio.create_task(pool.drain())
    await asyncio.sleep(0)
    assert pool.state == "draining"
    may_end.set()
    await draining
    assert await ready(other, answers) == 2
    assert await ready(other, queue) == 0
    await other.delete_queue(answers)


async def test_draining_waits_until_messages_in_hand_are_settled(
    pool: Pool, other: Connection, queue: str
) -> None:
    consumer = await pool.consume(queue)
    await pool.publish(b"", routing_key=queue)
    message = await anext(consumer)
    draining = asyncio.create_task(pool.drain())
    with pytest.raises(StopAsyncIteration):
        await anext(consumer)
    for _ in range(3):
        assert await ready(other, queue) == 0
        assert not draining.done()
    assert message.ack()
    await draining
    assert await ready(other, queue) == 0


async def test_draining_waits_for_borrowers(amqp_url: str, queue: str) -> None:
    pool = Pool(amqp_url)
    await pool.open()
    may_end = asyncio.Event()

    async def work() -> int:
        async with pool.channel() as channel:
            await may_end.wait()
            return (await channel.publish(b"", routing_key=queue)).delivery_tag

    working = asyncio.create_task(work())

    async def is_borrowed() -> bool:
        return pool.statistics().borrowed == 1

    await until(is_borrowed)
    draining = asyncio.create_task(pool.drain())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(ConnectionClosed, match="it lends no more"):
        async with pool.channel():
            pass
    assert not draining.done()
    may_end.set()
    assert await working == 1
    await draining


async def test_draining_waits_for_borrowers_no_longer_than_it_may(
    amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Pool(amqp_url)
    await pool.open()
    async with pool.channel() as channel:
        await pool.drain(timeout=0.05)
        assert not channel.is_open
    assert "timed out" in caplog.text


async def test_a_drain_whose_time_is_up_gives_the_broker_one_more_second(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    close = Pool.close

    async def noted(pool: Pool, timeout: float = 5.0) -> None:  # noqa: ASYNC109  # as it is
        given.append(timeout)
        await close(pool, timeout)

    monkeypatch.setattr(Pool, "close", noted)
    pool = Pool(amqp_url)
    await pool.open()
    async with pool.channel():
        await pool.drain(timeout=0.05)
    assert given == [1.0]


async def test_an_error_in_the_block_closes_at_once(amqp_url: str, queue: str) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        has_begun.set()
        await may_end.wait()

    pool = Pool(amqp_url)

    async def work() -> None:
        async with pool:
            await pool.consume(queue, handle)
            await pool.publish(b"", routing_key=queue)
            raise KeyError(await has_begun.wait())

    with pytest.raises(KeyError):
        await work()
    assert pool.state == "closed"
    may_end.set()


async def test_options_are_checked_at_the_call() -> None:
    for options in (
        {"min_connections": 2, "max_connections": 1},
        {"max_connections": 0},
        {"channels_per_connection": 0},
        {"shared_per_connection": 0},
        {"max_idle": 0},
        {"acquire_timeout": 0},
        {"max_unconfirmed": 0},
        {"heartbeat": -1},
        {"min_connections": -1},
    ):
        with pytest.raises(UsageError):
            Pool(**options)
    with pytest.raises(UsageError):
        Pool([])
