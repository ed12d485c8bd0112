"""Publishing by a pool: shared channels, chosen by load, replaced when they end."""

import asyncio
import inspect
from collections.abc import Callable

import pytest

import hopmq
from client.proxy import Proxy
from client.waiting import bodies, until, until_ready
from hopmq import (
    Channel,
    Connection,
    Pool,
    PublishNotSentError,
    PublishUnknownError,
    Recovery,
    UsageError,
)
from hopmq.errors import PublishNotSentTimeoutError

from .conftest import QUICKLY, opened

SHARED_WITH_CHANNELS = [
    "publish",
    "publish_nowait",
    "publish_many",
    "declare",
    "declare_queue",
    "declare_exchange",
    "bind",
    "unbind",
    "bind_exchange",
    "unbind_exchange",
    "purge",
    "delete_queue",
    "delete_exchange",
]


@pytest.mark.parametrize("method", SHARED_WITH_CHANNELS)
def test_a_pool_takes_what_a_channel_takes(method: str) -> None:
    assert inspect.signature(getattr(Pool, method)) == inspect.signature(getattr(Channel, method))


def keywords(of: Callable[..., object]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(of).parameters
    return {name: each for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}


def test_a_pool_connects_with_all_that_connect_takes() -> None:
    assert keywords(hopmq.connect).items() <= keywords(Pool.__init__).items()


def test_a_pool_consumes_with_all_that_a_channel_takes() -> None:
    assert keywords(Channel.consume).items() <= keywords(Pool.consume).items()


async def test_a_message_is_confirmed(pool: Pool, other: Connection, queue: str) -> None:
    receipt = await pool.publish(b"hi", routing_key=queue, headers={"a": 1}, message_id="7")
    assert receipt.confirmed
    async with other.channel() as channel:
        message = await channel.get(queue, no_ack=True)
    assert message is not None
    assert (message.body, message.headers, message.message_id) == (b"hi", {"a": 1}, "7")


async def test_a_message_that_nobody_takes_comes_back(pool: Pool) -> None:
    with pytest.raises(hopmq.PublishReturnedError):
        await pool.publish(b"", routing_key="nobody", mandatory=True)


async def test_a_handle_is_awaited_later(pool: Pool, other: Connection, queue: str) -> None:
    handles = [pool.publish_nowait(b"", routing_key=queue) for _ in range(10)]
    for handle in handles:
        assert (await handle).confirmed
    await until_ready(other, queue, 10)


async def test_a_batch_keeps_its_order(pool: Pool, other: Connection, queue: str) -> None:
    sent = [str(number).encode() for number in range(3000)]
    receipts = await pool.publish_many(sent, routing_key=queue)
    assert len(receipts) == 3000
    async with other.channel() as channel:
        assert await bodies(channel, queue) == sent


async def test_a_pool_that_is_not_open_says_so() -> None:
    pool = Pool()
    for attempt in (pool.publish(b""), pool.publish_many([b""]), pool.declare_queue("q")):
        with pytest.raises(UsageError, match="not open"):
            await attempt
    for call in (lambda: pool.publish_nowait(b""), pool.channel, lambda: pool.consume("q")):
        with pytest.raises(UsageError, match="not open"):
            call()


# --- by load ---------------------------------------------------------------------------------------


async def test_light_load_has_one_channel(pool: Pool, queue: str) -> None:
    for _ in range(20):
        await pool.publish(b"", routing_key=queue)
    statistics = pool.statistics()
    assert statistics.shared == 1
    assert statistics.publishing.connections == 1


async def until_shared(pool: Pool, count: int) -> None:
    async def is_so() -> bool:
        return pool.statistics().shared == count

    await until(is_so)


async def test_full_windows_open_more_channels_up_to_the_bounds(proxy: Proxy, queue: str) -> None:
    bounds = {"max_connections": 2, "shared_per_connection": 2, "max_unconfirmed": 3}
    async with opened(proxy.url, **bounds) as pool:
        for shared in range(1, 5):
            await until_shared(pool, shared)
            proxy.answers.hold()
            handles = [pool.publish_nowait(b"", routing_key=queue) for _ in range(3 * shared)]
            with pytest.raises(PublishNotSentError, match="window of 3 messages"):
                pool.publish_nowait(b"", routing_key=queue)
            assert pool.statistics().unconfirmed == 3 * shared
            proxy.answers.release()
            for handle in handles:
                assert (await handle).confirmed
        assert pool.statistics().publishing.connections == 2
        assert pool.statistics().shared == 4


async def test_messages_go_where_there_is_room(proxy: Proxy, queue: str) -> None:
    bounds = {"max_connections": 1, "shared_per_connection": 2, "max_unconfirmed": 3}
    async with opened(proxy.url, **bounds) as pool:
        first = [asyncio.create_task(pool.publish(b"", routing_key=queue)) for _ in range(4)]
        await until_shared(pool, 2)
        await asyncio.gather(*first)
        proxy.answers.hold()
        handles = [pool.publish_nowait(b"", routing_key=queue) for _ in range(6)]
        assert {shared.channel.unconfirmed for shared in pool._engine.shared._channels} == {3}
        proxy.answers.release()
        for handle in handles:
            await handle


async def test_where_one_channel_is_full_the_emptiest_is_next(proxy: Proxy, queue: str) -> None:
    bounds = {"max_connections": 1, "shared_per_connection": 3, "max_unconfirmed": 3}
    async with opened(proxy.url, **bounds) as pool:
        for shared in (1, 2):
            await asyncio.gather(
                *(pool.publish(b"", routing_key=queue) for _ in range(3 * shared + 1))
            )
            await until_shared(pool, shared + 1)
        proxy.answers.hold()
        channels = [shared.channel for shared in pool._engine.shared._channels]
        loads = dict.fromkeys(channels, 2)
        full = pool._engine.shared.choose().channel
        loads[full] = 3
        emptiest = next(channel for channel in reversed(channels) if channel is not full)
        loads[emptiest] = 0
        for channel, load in loads.items():
            for _ in range(load):
                channel.publish_nowait(b"", routing_key=queue)
        pool.publish_nowait(b"", routing_key=queue)
        assert emptiest.unconfirmed == 1
        proxy.answers.release()


async def test_any_number_of_publishers_share_a_few_channels(
    pool: Pool, other: Connection, queue: str
) -> None:
    await asyncio.gather(*(pool.publish(b"", routing_key=queue) for _ in range(5000)))
    await until_ready(other, queue, 5000)
    statistics = pool.statistics()
    assert 1 <= statistics.publishing.connections <= 4
    assert 1 <= statistics.shared <= 8
    assert statistics.unconfirmed == 0


async def test_what_is_not_used_any_more_is_closed(proxy: Proxy, queue: str) -> None:
    bounds = {"shared_per_connection": 1, "max_unconfirmed": 3, "max_idle": 0.05}
    async with opened(proxy.url, **bounds) as pool:
        proxy.answers.hold()
        handles = [pool.publish_nowait(b"", routing_key=queue) for _ in range(3)]
        more = asyncio.create_task(pool.publish(b"", routing_key=queue))
        proxy.answers.release()
        await asyncio.gather(more, *(handle.wait() for handle in handles))

        async def has_shrunk() -> bool:
            statistics = pool.statistics()
            return statistics.publishing.opened == 2 and statistics.publishing.connections == 1

        await until(has_shrunk)
        assert (await pool.publish(b"", routing_key=queue)).confirmed
        assert pool.statistics().publishing.lost == 0


# --- one publisher's mistake -----------------------------------------------------------------------


async def test_an_exchange_that_is_missing_costs_nobody_else_a_confirm(
    pool: Pool, queue: str
) -> None:
    neighbours = [pool.publish_nowait(b"", routing_key=queue) for _ in range(20)]
    with pytest.raises(PublishUnknownError, match="no exchange"):
        await pool.publish(b"", exchange="missing")
    for handle in neighbours:
        assert (await handle).confirmed


async def test_an_exchange_that_has_taken_a_message_shares_the_channel(
    pool: Pool, name: str
) -> None:
    await pool.declare_exchange(name, "fanout")
    for publish in (pool.publish, pool.publish, pool.publish):
        await publish(b"", exchange=name)
    assert pool.statistics().shared == 2
    assert [shared.published for shared in pool._engine.isolated._channels] == [1]
    assert [shared.published for shared in pool._engine.shared._channels] == [2]
    await pool.delete_exchange(name)


async def test_an_exchange_is_proven_by_a_handle_as_well(pool: Pool, name: str) -> None:
    await pool.declare_exchange(name, "fanout")
    with pytest.raises(PublishNotSentError, match="no channel is open for it yet"):
        pool.publish_nowait(b"", exchange=name)
    await until_shared(pool, 2)
    for _ in range(3):
        await pool.publish_nowait(b"", exchange=name)
    assert [shared.published for shared in pool._engine.isolated._channels] == [1]
    await pool.delete_exchange(name)


async def test_an_exchange_deleted_later_is_trusted_no_more(pool: Pool, name: str) -> None:
    await pool.declare_exchange(name, "fanout")
    await pool.publish(b"", exchange=name)
    await pool.publish(b"", exchange=name)
    await pool.delete_exchange(name)
    with pytest.raises(PublishUnknownError):
        await pool.publish(b"", exchange=name)
    assert (await pool.publish(b"", routing_key="nobody")).confirmed
    assert pool._engine.isolation.is_risky(name, 0, None, None)


# --- connections that end --------------------------------------------------------------------------


async def until_lost(pool: Pool) -> None:
    async def is_lost() -> bool:
        return pool.statistics().publishing.lost == 1

    await until(is_lost)


async def test_a_dead_connection_is_replaced(proxy: Proxy, queue: str) -> None:
    async with opened(proxy.url, recovery=None) as pool:
        await pool.publish(b"", routing_key=queue)
        proxy.cut()
        await until_lost(pool)
        assert (await pool.publish(b"", routing_key=queue)).confirmed
        assert pool.statistics().publishing.opened == 2


@pytest.mark.parametrize("recovery", [None, QUICKLY], ids=["off", "on"])
async def test_what_waited_in_line_is_sent_after_all(
    proxy: Proxy, other: Connection, queue: str, recovery: Recovery | None
) -> None:
    bounds = {"max_connections": 1, "shared_per_connection": 1, "max_unconfirmed": 1}
    async with opened(proxy.url, recovery=recovery, **bounds) as pool:
        proxy.answers.hold()
        proxy.requests.hold()
        written = pool.publish_nowait(b"written", routing_key=queue)
        waiting = asyncio.create_task(pool.publish(b"waiting", routing_key=queue))
        await asyncio.sleep(0)
        proxy.cut()
        proxy.answers.release()
        proxy.requests.release()
        with pytest.raises(PublishUnknownError):
            await written
        assert (await waiting).confirmed
    async with other.channel() as channel:
        assert b"waiting" in await bodies(channel, queue)


async def test_a_publish_waits_for_a_connection_no_longer_than_its_deadline(proxy: Proxy) -> None:
    async with opened(proxy.url, connect_timeout=20, recovery=None) as pool:
        proxy.answers.hold()
        proxy.cut()
        await until_lost(pool)
        with pytest.raises(PublishNotSentTimeoutError, match="deadline passed"):
            await pool.publish(b"", routing_key="nobody", timeout=0.05)
        with pytest.raises(PublishNotSentError):
            pool.publish_nowait(b"", routing_key="nobody")
        proxy.answers.release()
        assert (await pool.publish(b"", routing_key="nobody")).confirmed


async def test_a_cancelled_wait_for_a_connection_leaves_the_pool_whole(proxy: Proxy) -> None:
    async with opened(proxy.url, connect_timeout=20, recovery=None) as pool:
        proxy.answers.hold()
        proxy.cut()
        await until_lost(pool)
        publishing = asyncio.create_task(pool.publish(b"", routing_key="nobody"))
        neighbour = asyncio.create_task(pool.publish(b"", routing_key="nobody"))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
        assert publishing.cancelled()
        proxy.answers.release()
        assert (await neighbour).confirmed
        assert (await pool.publish(b"", routing_key="nobody")).confirmed


async def test_a_connection_that_recovers_is_kept(
    proxy: Proxy, other: Connection, queue: str
) -> None:
    async with opened(proxy.url, min_connections=1, recovery=QUICKLY) as pool:
        await pool.publish(b"", routing_key=queue)
        proxy.answers.hold()
        proxy.cut()

        async def is_recovering() -> bool:
            return pool.statistics().publishing.recovering == 1

        await until(is_recovering)
        waiting = asyncio.create_task(pool.publish(b"", routing_key=queue))
        borrowing = asyncio.create_task(_borrowed(pool))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert not borrowing.done()
        proxy.answers.release()
        assert (await waiting).confirmed
        assert await borrowing
        statistics = pool.statistics().publishing
        assert (statistics.opened, statistics.lost, statistics.recovering) == (1, 0, 0)


async def _borrowed(pool: Pool) -> bool:
    async with pool.channel() as channel:
        return channel.is_open
