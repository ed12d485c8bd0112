"""Borrowed channels: exclusive, in order, and back in the pool whatever happens."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

import hopmq
from client.proxy import Proxy
from client.waiting import until
from hopmq import Channel, Pool, PublishError, Recovery, UsageError
from hopmq.errors import PoolTimeoutError

from .conftest import QUICKLY, opened


def lent(pool: Pool) -> int:
    """Count the channels that are lent, or on the way to or from somebody, but the shared one."""
    statistics = pool.statistics()
    return statistics.publishing.lent - statistics.shared


async def borrow(pool: Pool) -> Channel:
    async with pool.channel() as channel:
        return channel


async def test_a_borrowed_channel_is_nobody_elses(pool: Pool) -> None:
    async with pool.channel() as first, pool.channel() as second:
        assert first is not second
        assert first.is_open
        assert second.is_open
        assert pool.statistics().borrowed == 2
    assert pool.statistics().borrowed == 0


async def test_a_returned_channel_is_lent_again(pool: Pool) -> None:
    first = await borrow(pool)
    assert first.is_open
    assert await borrow(pool) is first


async def test_a_channel_of_other_settings_is_another_one(pool: Pool) -> None:
    first = await borrow(pool)
    async with pool.channel(confirms=False) as second:
        assert second is not first
    async with pool.channel(prefetch=1) as third:
        assert third not in {first, second}


async def test_a_block_that_fails_returns_its_channel(pool: Pool) -> None:
    with pytest.raises(KeyError):
        async with pool.channel():
            raise KeyError
    assert pool.statistics().borrowed == lent(pool) == 0


async def test_the_end_of_a_block_waits_for_confirms(pool: Pool, queue: str) -> None:
    async with pool.channel() as channel:
        handle = channel.publish_nowait(b"", routing_key=queue)
    assert handle.done()
    assert await borrow(pool) is channel


async def test_on_return_does_not_outlive_its_borrower(pool: Pool) -> None:
    async with pool.channel() as channel:
        channel.on_return = print
    assert await borrow(pool) is channel
    assert channel.on_return is None


# --- channels that nobody else should get --------------------------------------------------------


async def leave_a_consumer(channel: Channel, queue: str) -> None:
    await channel.consume(queue)


async def leave_a_message(channel: Channel, queue: str) -> None:
    await channel.publish(b"", routing_key=queue)
    assert await channel.get(queue) is not None


async def close(channel: Channel, queue: str) -> None:
    await channel.close()


async def be_closed(channel: Channel, queue: str) -> None:
    with pytest.raises(hopmq.NotFoundError):
        await channel.get(f"not {queue}")


LEFTOVERS = [leave_a_consumer, leave_a_message, close, be_closed]


@pytest.mark.parametrize("leave", LEFTOVERS, ids=lambda leave: leave.__name__)
async def test_a_channel_with_leftovers_is_not_lent_again(
    pool: Pool, queue: str, leave: Callable[[Channel, str], Awaitable[None]]
) -> None:
    async with pool.channel() as spoilt:
        await leave(spoilt, queue)
    async with pool.channel() as channel:
        assert channel is not spoilt
        await channel.publish(b"fresh", routing_key=queue)
    await until_closed(spoilt)


async def test_a_channel_of_another_prefetch_is_not_lent_again(pool: Pool) -> None:
    async with pool.channel() as spoilt:
        await spoilt.set_prefetch(1)
    assert await borrow(pool) is not spoilt
    await until_closed(spoilt)


async def test_a_transactional_channel_is_not_lent_again(pool: Pool, queue: str) -> None:
    async with pool.channel(confirms=False) as spoilt, spoilt.transaction():
        await spoilt.publish(b"", routing_key=queue)
    async with pool.channel(confirms=False) as channel:
        assert channel is not spoilt
        await channel.publish(b"", routing_key=queue)
    await until_closed(spoilt)


async def test_a_transaction_that_was_not_finished_is_not_lent(pool: Pool, queue: str) -> None:
    async with pool.channel(confirms=False) as spoilt:
        await spoilt.transaction().__aenter__()
    async with pool.channel(confirms=False) as channel:
        assert channel is not spoilt


async def test_a_channel_that_owes_an_answer_is_not_lent_again(proxy: Proxy, queue: str) -> None:
    async with opened(proxy.url) as pool:
        async with pool.channel() as spoilt:
            proxy.answers.hold()
            asking = asyncio.create_task(spoilt.get(queue))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
        next_one = asyncio.create_task(borrow(pool))
        await until_waiting(pool, 1)
        proxy.answers.release()
        assert await next_one is not spoilt


async def test_messages_that_were_left_go_back_to_their_queue(pool: Pool, queue: str) -> None:
    async with pool.channel() as channel:
        await leave_a_message(channel, queue)
    async with pool.channel() as other:

        async def is_back() -> bool:
            return await other.get(queue, no_ack=True) is not None

        await until(is_back)


async def until_closed(channel: Channel) -> None:
    async def is_closed() -> bool:
        return not channel.is_open

    await until(is_closed)


# --- bounds and order ------------------------------------------------------------------------------


async def until_waiting(pool: Pool, count: int) -> None:
    async def is_so() -> bool:
        return pool.statistics().publishing.waiting == count

    await until(is_so)


async def test_waiters_are_served_in_order(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channels_per_connection=2) as pool:
        order: list[int] = []

        async def work(number: int) -> None:
            async with pool.channel() as channel:
                order.append(number)
                await channel.publish(b"", routing_key="nobody")

        async with asyncio.TaskGroup() as group, pool.channel():
            for number in range(20):
                group.create_task(work(number))
                await until_waiting(pool, number + 1)
            assert not order
        assert order == list(range(20))


async def test_a_newcomer_does_not_overtake(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channels_per_connection=2) as pool:
        order: list[str] = []

        async def work(name: str, confirms: bool) -> None:
            async with pool.channel(confirms=confirms):
                order.append(name)

        async with asyncio.TaskGroup() as group:
            async with pool.channel():
                group.create_task(work("first", False))
                await until_waiting(pool, 1)
            # The channel is back, but it is not as the first one wants it.
            group.create_task(work("second", True))
        assert order == ["first", "second"]


async def test_a_wait_that_takes_too_long_says_what_was_waited_for(amqp_url: str) -> None:
    options = {"max_connections": 1, "channels_per_connection": 2, "acquire_timeout": 0.05}
    async with opened(amqp_url, **options) as pool, pool.channel(timeout=20):
        with pytest.raises(PoolTimeoutError) as caught:
            await borrow(pool)
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, hopmq.HopMQError)
        assert "no channel for publishing within 0.05 seconds" in str(caught.value)
        assert "channels_per_connection" in str(caught.value)
        assert pool.statistics().publishing.timeouts == 1


async def test_a_borrower_that_borrows_once_more_does_not_wait_for_ever(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channels_per_connection=2) as pool:
        with pytest.raises(PoolTimeoutError):
            async with pool.channel(), pool.channel(timeout=0.05):
                pass
        assert (await borrow(pool)).is_open


async def test_a_loan_is_entered_once(pool: Pool) -> None:
    loan = pool.channel()
    async with loan:
        with pytest.raises(UsageError, match="borrowed already"):
            await loan.__aenter__()
    async with loan as channel:  # and again, when it is over
        assert channel.is_open


# --- cancellation ----------------------------------------------------------------------------------


async def test_a_cancelled_waiter_leaves_its_place_to_the_next(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channels_per_connection=2) as pool:
        async with pool.channel() as channel:
            first = asyncio.create_task(borrow(pool))
            await until_waiting(pool, 1)
            second = asyncio.create_task(borrow(pool))
            await until_waiting(pool, 2)
            first.cancel()
            await asyncio.wait([first])
        assert await second is channel
        assert first.cancelled()
        assert pool.statistics().publishing.waiting == 0


async def test_a_place_in_line_that_was_left_is_not_kept(amqp_url: str) -> None:
    bounds = {"max_connections": 1, "channels_per_connection": 2}
    async with opened(amqp_url, **bounds) as pool, pool.channel():
        waiting = [asyncio.create_task(borrow(pool)) for _ in range(10)]
        await until_waiting(pool, 10)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert pool._engine.publishing.sizing.waiting == 0


async def test_a_waiter_cancelled_in_the_turn_of_its_channel_loses_none(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channels_per_connection=2) as pool:
        async with pool.channel() as channel:
            waiter = asyncio.create_task(borrow(pool))
            await until_waiting(pool, 1)
        # The channel was handed over just now; the waiter has not run since.
        waiter.cancel()
        await asyncio.wait([waiter])
        assert waiter.cancelled()
        assert await borrow(pool) is channel


async def test_a_waiter_cancelled_before_its_channel_comes_gets_none(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channels_per_connection=2) as pool:
        async with pool.channel() as channel:
            waiter = asyncio.create_task(borrow(pool))
            await until_waiting(pool, 1)
            waiter.cancel()
        await asyncio.wait([waiter])
        assert waiter.cancelled()
        assert await borrow(pool) is channel


async def test_a_channel_whose_borrower_left_while_it_opened_serves_another(proxy: Proxy) -> None:
    async with opened(proxy.url) as pool:
        proxy.answers.hold()
        waiter = asyncio.create_task(borrow(pool))
        await until_waiting(pool, 1)
        waiter.cancel()
        await asyncio.wait([waiter])
        next_one = asyncio.create_task(borrow(pool))
        await until_waiting(pool, 1)
        proxy.answers.release()
        assert (await next_one).is_open
        assert lent(pool) == 0


async def test_many_waiters_in_time_trouble_leave_a_whole_pool(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=2, channels_per_connection=3) as pool:

        async def hurry(number: int) -> None:
            try:
                async with asyncio.timeout(0.0005 * (number % 10)), pool.channel() as channel:
                    await channel.publish(b"", routing_key="nobody")
            except TimeoutError:
                pass

        await asyncio.gather(*(hurry(number) for number in range(300)))
        assert pool.statistics().borrowed == 0

        async def all_are_back() -> bool:
            return lent(pool) == 0 and not pool.statistics().publishing.waiting

        await until(all_are_back)
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(borrow(pool))


async def test_a_borrower_cancelled_while_it_waits_for_confirms_returns_its_channel(
    proxy: Proxy, queue: str
) -> None:
    async with opened(proxy.url) as pool:
        published: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            async with pool.channel() as channel:
                proxy.answers.hold()
                channel.publish_nowait(b"", routing_key=queue)
                published.set_result(channel)

        working = asyncio.create_task(work())
        await published
        await asyncio.sleep(0)
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled()
        assert pool.statistics().borrowed == lent(pool) == 0
        next_one = asyncio.create_task(borrow(pool))
        await until_waiting(pool, 1)
        proxy.answers.release()
        channel = await next_one
        assert channel.is_open
        assert channel is not await published  # its confirm is nobody else's


async def test_a_channel_that_was_closed_after_its_return_is_not_lent(pool: Pool) -> None:
    closed = await borrow(pool)
    await closed.close()
    async with pool.channel() as channel:
        assert channel is not closed
        assert channel.is_open


# --- links that end --------------------------------------------------------------------------------


@pytest.mark.parametrize("recovery", [None, QUICKLY], ids=["off", "on"])
async def test_a_channel_that_died_while_it_was_idle_is_not_lent(
    proxy: Proxy, recovery: Recovery | None
) -> None:
    async with opened(proxy.url, recovery=recovery) as pool:
        assert (await borrow(pool)).is_open
        proxy.cut()
        for _ in range(10):
            async with pool.channel() as channel:
                assert channel.is_open
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("recovery", [None, QUICKLY], ids=["off", "on"])
async def test_a_connection_that_ends_under_its_borrowers_costs_the_pool_nothing(
    proxy: Proxy, queue: str, recovery: Recovery | None
) -> None:
    bounds = {"max_connections": 2, "channels_per_connection": 3}
    async with opened(proxy.url, recovery=recovery, **bounds) as pool:

        async def work() -> None:
            for _ in range(10):
                async with pool.channel() as channel:
                    with contextlib.suppress(PublishError):
                        await channel.publish(b"", routing_key=queue)

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(work())
            for _ in range(5):
                await asyncio.sleep(0.01)
                proxy.cut()

        async def all_are_back() -> bool:
            statistics = pool.statistics().publishing
            return lent(pool) == 0 and not statistics.waiting and not statistics.recovering

        await until(all_are_back)
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(borrow(pool))
        assert pool.statistics().publishing.connections <= 2


async def test_a_link_that_ends_while_a_channel_opens_does_not_fail_its_borrower(
    proxy: Proxy,
) -> None:
    async with opened(proxy.url, recovery=None) as pool:
        proxy.answers.hold()
        borrowing = asyncio.create_task(borrow(pool))
        await until_waiting(pool, 1)
        proxy.cut()
        proxy.answers.release()
        assert (await borrowing).is_open


async def test_a_transaction_that_its_link_has_cost_is_not_lent(proxy: Proxy, queue: str) -> None:
    async with opened(proxy.url, recovery=QUICKLY) as pool:
        async with pool.channel(confirms=False) as spoilt:
            with contextlib.suppress(hopmq.HopMQError):
                async with spoilt.transaction():
                    proxy.cut()
                    await spoilt.get(queue)  # on the next link, where no transaction has begun
            assert spoilt.is_open
        async with pool.channel(confirms=False) as channel:
            assert channel is not spoilt
            await channel.publish(b"", routing_key=queue)
