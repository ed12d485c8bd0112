"""A transaction ends with its link: all of it or nothing, and its block is told."""

from collections.abc import AsyncIterator

import pytest

from hopmq import Channel, Connection
from hopmq.broker import Broker
from hopmq.errors import ConnectionClosed, PublishNotSentError
from hopmq.testing import FaultProxy, Faults

from .ends import start, turns
from .links import back, bounce, drained, lose, quick


@pytest.fixture
async def faults(own: Broker) -> Faults:
    """Return what the broker can do, such as to confirm when it is told."""
    return Faults(own)


@pytest.fixture
async def connection(way: FaultProxy, judge: Channel) -> AsyncIterator[Connection]:
    """Return a connection by way of the proxy, to a broker with a queue `q`."""
    await judge.declare_queue("q")
    async with quick(way.url, name="subject") as opened:
        yield opened


async def test_a_transaction_ends_with_its_link_and_nothing_of_it_is_done(
    connection: Connection, way: FaultProxy, judge: Channel
) -> None:
    await judge.publish(b"to be acked", routing_key="q")
    channel = await connection.channel(confirms=False)
    consumer = await channel.consume("q")
    message = await anext(consumer)

    async def work() -> None:
        async with channel.transaction():
            await channel.publish(b"of it", routing_key="q")
            message.ack()
            await bounce(connection, way)
            with pytest.raises(PublishNotSentError, match="forgotten this transaction"):
                await channel.publish(b"behind it", routing_key="q")

    with pytest.raises(ConnectionClosed):
        await work()
    again = await anext(consumer)
    assert (again.body, again.redelivered) == (b"to be acked", True)
    async with channel.transaction():
        await channel.publish(b"of the next", routing_key="q")
        again.ack()
    assert (await anext(consumer)).body == b"of the next"


async def test_an_error_in_a_transaction_whose_link_is_lost_is_what_the_caller_hears(
    connection: Connection, way: FaultProxy, judge: Channel
) -> None:
    channel = await connection.channel(confirms=False)

    async def work() -> None:
        async with channel.transaction():
            await channel.publish(b"of it", routing_key="q")
            await lose(connection, way)
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await work()
    await back(connection)
    assert await drained(judge, "q") == []


async def test_a_transaction_begins_on_the_next_link(
    connection: Connection, way: FaultProxy, judge: Channel
) -> None:
    channel = await connection.channel(confirms=False)
    fault = way.cut("Tx.Select", reset=True)
    async with channel.transaction():
        assert fault.hits == 1
        await channel.publish(b"1", routing_key="q")
    with way.refuse_connections():
        await lose(connection, way)
        begun = start(_publish_in_transaction(channel, b"2"))
        await turns()
        assert not begun.done()
    await begun
    assert await drained(judge, "q") == [b"1", b"2"]


async def _publish_in_transaction(channel: Channel, body: bytes) -> None:
    async with channel.transaction():
        await channel.publish(body, routing_key="q")


async def test_what_a_transaction_holds_back_is_not_published_outside_of_it(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(confirms=False)

    async def work() -> None:
        async with channel.transaction():
            with faults.on(connection="subject").block():
                await connection.wait_for("blocked", timeout=30)
                held = start(channel.publish(b"of it", routing_key="q"))
                await turns()
                assert not held.done()
                await lose(connection, way)
                with pytest.raises(PublishNotSentError):
                    await held
            await back(connection)

    with pytest.raises(ConnectionClosed):
        await work()
    async with channel.transaction():
        await channel.publish(b"of the next", routing_key="q")
    assert await drained(judge, "q") == [b"of the next"]


@pytest.mark.parametrize(
    "frame, let_through, done",
    [("Tx.Commit", 0, False), ("Tx.Commit", 7, False), ("Tx.CommitOk", 0, True)],
)
async def test_a_commit_whose_link_ends_raises_and_has_done_all_or_nothing(
    connection: Connection,
    way: FaultProxy,
    judge: Channel,
    frame: str,
    let_through: int,
    done: bool,
) -> None:
    channel = await connection.channel(confirms=False)
    way.cut(frame, let_through=let_through, reset=True)

    async def work() -> None:
        async with channel.transaction():
            await channel.publish(b"1", routing_key="q")
            await channel.publish(b"2", routing_key="q")

    with pytest.raises(ConnectionClosed):
        await work()
    await back(connection)
    assert await drained(judge, "q") == ([b"1", b"2"] if done else [])
    await work()
    assert (await drained(judge, "q"))[-2:] == [b"1", b"2"]
