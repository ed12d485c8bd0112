"""What is negotiated of channels: channel_max."""

import asyncio

import pytest

from hopmq import NoChannelAvailableError, Pool
from hopmq.errors import PoolTimeoutError

from .conftest import opened


async def test_no_more_channels_are_opened_than_channel_max(amqp_url: str) -> None:
    bounds = {"max_connections": 2, "channel_max": 4}
    async with opened(amqp_url, **bounds) as pool:
        await pool.declare_queue("channel-max", exclusive=True)
        loans = [pool.channel() for _ in range(5)]
        borrowed = [await loan.__aenter__() for loan in loans]
        with pytest.raises(PoolTimeoutError):
            await pool.channel(timeout=0.05).__aenter__()
        # One number of each connection is for declaring, and publishers share one channel.
        assert {channel.number for channel in borrowed} <= {1, 2, 3, 4}
        assert all(channel.is_open for channel in borrowed)
        assert pool.statistics().publishing.lost == 0
        for loan in loans:
            await loan.__aexit__(None, None, None)
        async with pool.channel():
            pass


async def test_a_connection_of_one_channel_is_of_use(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channel_max=1) as pool:
        assert (await pool.publish(b"", routing_key="nobody")).confirmed
        with pytest.raises(PoolTimeoutError):
            async with pool.channel(timeout=0.05):
                pass


async def test_a_number_that_is_taken_by_others_is_waited_for(amqp_url: str) -> None:
    async with opened(amqp_url, max_connections=1, channel_max=3) as pool:
        (connection,) = pool._engine.publishing.connections.values()
        mine = await connection.channel()
        theirs = await connection.channel()
        with pytest.raises(NoChannelAvailableError):
            await connection.channel()
        borrowing = asyncio.create_task(_borrow(pool))
        with pytest.raises(PoolTimeoutError):
            async with pool.channel(timeout=0.05):
                pass
        await mine.close()
        await theirs.close()
        await pool._engine.shared._channels[0].channel.close()
        await pool.publish(b"", routing_key="nobody")
        await borrowing


async def _borrow(pool: Pool) -> None:
    async with pool.channel():
        pass
