"""Transactions: publishes and acks that take effect together."""

import pytest

from client.conftest import Tap
from client.waiting import bodies, ready, until_ready
from hopmq import Connection, NotFoundError, UsageError


async def test_a_transaction_takes_effect_at_its_end(
    connection: Connection, other: Connection, queue: str
) -> None:
    async with connection.channel(confirms=False) as channel:
        async with channel.transaction():
            await channel.publish(b"1", routing_key=queue)
            await channel.publish(b"2", routing_key=queue)
            assert await ready(other, queue) == 0
        assert await ready(other, queue) == 2


async def test_an_error_rolls_back(connection: Connection, other: Connection, queue: str) -> None:
    async with connection.channel(confirms=False) as channel:
        transaction = channel.transaction()
        await transaction.__aenter__()
        await channel.publish(b"1", routing_key=queue)
        error = ZeroDivisionError()
        await transaction.__aexit__(type(error), error, None)
        async with channel.transaction():
            await channel.publish(b"2", routing_key=queue)
        assert await bodies(await other.channel(), queue) == [b"2"]


async def test_commit_and_rollback_inside_the_block_begin_anew(
    connection: Connection, other: Connection, queue: str
) -> None:
    async with connection.channel(confirms=False) as channel:
        async with channel.transaction() as transaction:
            await channel.publish(b"1", routing_key=queue)
            await transaction.commit()
            assert await ready(other, queue) == 1
            await channel.publish(b"2", routing_key=queue)
            await transaction.rollback()
            await channel.publish(b"3", routing_key=queue)
        assert await bodies(await other.channel(), queue) == [b"1", b"3"]


async def test_acks_belong_to_the_transaction(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel(confirms=False)
    async with channel.transaction() as transaction:
        await channel.publish(b"1", routing_key=queue)
        await transaction.commit()
        message = await channel.get(queue)
        assert message is not None
        message.ack()
        await transaction.rollback()
    await channel.close()
    await until_ready(other, queue, 1)

    channel = await connection.channel(confirms=False)
    async with channel.transaction():
        message = await channel.get(queue)
        assert message is not None
        message.ack()
    await channel.close()
    assert await bodies(await other.channel(), queue) == []


async def test_a_channel_with_confirms_has_no_transactions(
    connection: Connection, tap: Tap
) -> None:
    channel = await connection.channel()
    tap.sent = 0
    with pytest.raises(UsageError, match="confirms=False"):
        channel.transaction()
    assert tap.is_silent
    assert (await channel.publish(b"", routing_key="nowhere")).confirmed


async def test_an_error_that_closed_the_channel_is_what_the_caller_hears(
    connection: Connection,
) -> None:
    channel = await connection.channel(confirms=False)
    with pytest.raises(NotFoundError, match="no such queue"):
        async with channel.transaction():
            await channel.get("no such queue")


async def test_what_is_published_between_transactions_is_refused(
    connection: Connection, queue: str
) -> None:
    async with connection.channel(confirms=False) as channel:
        async with channel.transaction():
            await channel.publish(b"1", routing_key=queue)
        with pytest.raises(UsageError, match="transaction"):
            await channel.publish(b"lost", routing_key=queue)
        async with channel.transaction():
            await channel.publish(b"2", routing_key=queue)
        assert await bodies(channel, queue) == [b"1", b"2"]


async def test_what_a_rollback_has_undone_can_be_settled_again(
    connection: Connection, other: Connection, queue: str
) -> None:
    await (await other.channel()).publish_many([b"1", b"2", b"3"], routing_key=queue)
    channel = await connection.channel(confirms=False)
    messages = [await channel.get(queue) for _ in range(3)]
    first, second, third = [message for message in messages if message is not None]
    async with channel.transaction() as transaction:
        second.ack(multiple=True)
        third.ack()
        await transaction.rollback()
        assert [message.settled for message in (first, second, third)] == [False] * 3
        second.ack()
        third.ack()
    await channel.close()
    await until_ready(other, queue, 1)
    assert await bodies(await other.channel(), queue) == [b"1"]
