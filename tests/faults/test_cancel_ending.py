"""Cancelled closes, drains and transactions end what they began."""

import asyncio

import pytest

import hopmq
from scripted.server import ScriptedServer

from .arrival import Arrival
from .ends import Ends, cancel, soon, start, turns


async def test_a_cancelled_connection_close_still_closes(server: ScriptedServer) -> None:
    connection, peer = await soon(server.connect())
    held = server.gate.hold("Connection.CloseOk")
    closing = start(connection.close())
    await soon(held.reached())
    await cancel(closing)
    held.release()
    await soon(connection.wait_closed())
    await soon(peer.lost)
    await soon(connection.close())


async def test_a_connection_close_can_be_awaited_by_several(server: ScriptedServer) -> None:
    connection, peer = await soon(server.connect())
    held = server.gate.hold("Connection.CloseOk")
    closings = [start(connection.close()) for _ in range(3)]
    await soon(held.reached())
    await cancel(closings[0])
    held.release()
    await soon(asyncio.gather(*closings[1:]))
    await soon(peer.lost)


async def test_a_close_cancelled_in_the_turn_of_its_answer_is_cancelled_and_closed(
    server: ScriptedServer, arrival: Arrival
) -> None:
    connection, peer = await soon(server.connect())
    held = server.gate.hold("Connection.CloseOk")
    closing = start(connection.close())
    await soon(held.reached())
    arrival.then(closing.cancel)
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(closing)
    await soon(connection.wait_closed())
    await soon(peer.lost)


async def test_a_cancelled_wait_for_the_end_of_a_connection_changes_nothing(ends: Ends) -> None:
    await cancel(start(ends.connection.wait_closed()))
    await ends.check_in_step()


async def test_a_cancelled_drain_closes_the_connection(ends: Ends) -> None:
    working, go_on = asyncio.Event(), asyncio.Event()

    async def handle(message: hopmq.Message) -> None:
        working.set()
        await go_on.wait()

    consumer = await soon(ends.channel.consume("q", handle))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    await soon(working.wait())
    draining = start(ends.connection.drain())
    await soon(ends.peer.receives("Basic.Cancel"))
    await turns()
    await cancel(draining)
    assert ends.connection.state == "closed"
    await soon(ends.peer.lost)
    go_on.set()


async def test_a_cancelled_channel_drain_leaves_the_connection_usable(ends: Ends) -> None:
    draining_channel = await soon(ends.connection.channel())
    held = ends.gate.hold("Basic.Ack")
    handle = draining_channel.publish_nowait(b"unconfirmed", routing_key="q")
    await soon(held.reached())
    draining = start(draining_channel.drain())
    await turns()
    await cancel(draining)
    held.release()
    assert (await soon(handle)).confirmed
    await soon(draining_channel.close())
    await ends.check_in_step()


async def test_a_cancelled_block_of_a_channel_closes_it(ends: Ends) -> None:
    inside = asyncio.Event()

    async def use() -> None:
        async with ends.connection.channel():
            inside.set()
            await asyncio.Event().wait()

    task = start(use())
    await soon(inside.wait())
    await cancel(task)
    await soon(ends.peer.receives("Channel.Close"))
    await ends.check_in_step()


@pytest.mark.parametrize("step", ["Tx.SelectOk", "Tx.CommitOk", "Tx.RollbackOk"])
@pytest.mark.parametrize("meets", [False, True], ids=["before", "with"])
async def test_a_transaction_cancelled_at_any_step_leaves_its_channel_in_step(
    ends: Ends, arrival: Arrival, step: str, meets: bool
) -> None:
    channel = await soon(ends.connection.channel(confirms=False))

    async def use() -> None:
        async with channel.transaction():
            if step == "Tx.RollbackOk":
                raise LookupError

    held = ends.gate.hold(step)
    task = start(use())
    await soon(held.reached())
    if meets:
        arrival.then(task.cancel)
        held.release()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
    else:
        await cancel(task)
        held.release()
    async with channel.transaction():
        await channel.publish(b"in the next one", routing_key="q")
    await soon(channel.close())
    await ends.check_in_step()


async def test_a_transaction_cancelled_inside_rolls_back(ends: Ends) -> None:
    channel = await soon(ends.connection.channel(confirms=False))
    inside = asyncio.Event()

    async def use() -> None:
        async with channel.transaction():
            inside.set()
            await asyncio.Event().wait()

    task = start(use())
    await soon(inside.wait())
    await cancel(task)
    await soon(ends.peer.receives("Tx.Rollback"))
    await soon(channel.close())
    await ends.check_in_step()


async def test_a_transaction_cancelled_on_a_dead_connection_is_cancelled(ends: Ends) -> None:
    channel = await soon(ends.connection.channel(confirms=False))
    inside = asyncio.Event()

    async def use() -> None:
        async with channel.transaction():
            inside.set()
            await asyncio.Event().wait()

    task = start(use())
    await soon(inside.wait())
    ends.peer.reset()
    await soon(ends.connection.wait_closed())
    await cancel(task)


async def test_what_failed_inside_a_transaction_is_raised_though_the_channel_is_gone(
    ends: Ends,
) -> None:
    channel = await soon(ends.connection.channel(confirms=False))

    async def fail() -> None:
        async with channel.transaction():
            ends.peer.reset()
            await soon(ends.connection.wait_closed())
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
