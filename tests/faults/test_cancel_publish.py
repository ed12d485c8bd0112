"""A cancelled publish is withdrawn or settled by its confirm; it never keeps a place."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pamqp.commands import Connection

import hopmq
from hopmq.errors import PublishNotSentError
from hopmq.wire import new_method
from scripted.server import ScriptedServer

from .arrival import Arrival
from .ends import Ends, cancel, connected, soon, start, turns


async def test_a_publish_cancelled_while_held_is_never_sent(ends: Ends) -> None:
    ends.channel = await soon(ends.connection.channel(max_unconfirmed=1))
    held = ends.gate.hold("Basic.Ack")
    first = start(ends.channel.publish(b"first", routing_key="q"))
    await soon(held.reached())
    second = start(ends.channel.publish(b"second", routing_key="q"))
    third = start(ends.channel.publish(b"third", routing_key="q"))
    await turns()
    await cancel(second)
    held.release()
    await soon(first)
    await soon(third)
    bodies = [(await soon(ends.peer.receives("Published"))).body for _ in range(2)]
    assert bodies == [b"first", b"third"]
    assert ends.channel.unconfirmed == 0
    assert ends.peer.seen.count("Published") == 2


async def test_a_publish_cancelled_once_written_is_settled_by_its_late_confirm(ends: Ends) -> None:
    held = ends.gate.hold("Basic.Ack")
    task = start(ends.channel.publish(b"late", routing_key="q"))
    await soon(held.reached())
    await cancel(task)
    assert ends.channel.unconfirmed == 1
    held.release()
    await ends.check_in_step()
    assert ends.core.confirms is not None
    assert ends.core.confirms.unmatched == 0
    assert ends.core.confirms.outstanding_bytes == 0


async def test_a_publish_cancelled_in_the_turn_of_its_confirm_is_cancelled(
    ends: Ends, arrival: Arrival
) -> None:
    held = ends.gate.hold("Basic.Ack")
    task = start(ends.channel.publish(b"meets", routing_key="q"))
    await soon(held.reached())
    arrival.then(task.cancel)
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    await ends.check_in_step()


async def test_a_publish_cancelled_while_the_socket_is_given_bytes_is_not_sent_later(
    ends: Ends,
) -> None:
    narrow = await soon(ends.connection.channel(max_unconfirmed=1))
    held = ends.gate.hold("Basic.Ack")
    narrow.publish_nowait(b"fills the window", routing_key="q")
    await soon(held.reached())
    # So many bytes that the next publisher lets others run before it waits.
    ends.channel.publish_nowait(b"x" * 300_000, routing_key="q")
    publish = start(narrow.publish(b"cancelled", routing_key="q"))
    await asyncio.sleep(0)
    await cancel(publish)
    held.release()
    await soon(narrow.wait_for_confirms())
    await soon(narrow.close())
    await ends.check_in_step()
    count = ends.peer.seen.count("Published")
    bodies = [(await soon(ends.peer.receives("Published"))).body for _ in range(count)]
    assert b"cancelled" not in bodies


async def test_a_cancelled_wait_for_a_handle_leaves_the_publish_alone(ends: Ends) -> None:
    held = ends.gate.hold("Basic.Ack")
    handle = ends.channel.publish_nowait(b"one", routing_key="q")
    await soon(held.reached())

    async def wait() -> hopmq.Receipt:
        return await handle

    await cancel(start(wait()))
    await cancel(start(handle.wait()))
    held.release()
    assert (await soon(handle)).delivery_tag == 1
    await ends.check_in_step()


async def test_a_cancelled_publish_many_sends_no_more_and_keeps_no_place(ends: Ends) -> None:
    narrow = await soon(ends.connection.channel(max_unconfirmed=2))
    held = ends.gate.hold("Basic.Ack")
    task = start(narrow.publish_many([b"%d" % number for number in range(10)], routing_key="q"))
    await soon(held.reached(2))
    await cancel(task)
    held.release()
    await soon(narrow.wait_for_confirms())
    assert narrow.unconfirmed == 0
    assert (await soon(narrow.publish(b"after", routing_key="q"))).confirmed
    bodies = [(await soon(ends.peer.receives("Published"))).body for _ in range(3)]
    assert bodies == [b"0", b"1", b"after"]
    await soon(narrow.close())
    await ends.check_in_step()


async def test_publish_many_cancelled_while_its_source_waits_keeps_no_place(ends: Ends) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    task = start(ends.channel.publish_many(source(), routing_key="q"))
    await soon(ends.peer.receives("Published"))
    await cancel(task)
    await ends.check_in_step()


async def test_a_cancelled_wait_for_confirms_changes_nothing(ends: Ends) -> None:
    held = ends.gate.hold("Basic.Ack")
    handle = ends.channel.publish_nowait(b"one", routing_key="q")
    await soon(held.reached())
    waiting = start(ends.channel.wait_for_confirms())
    await turns()
    await cancel(waiting)
    again = start(ends.channel.wait_for_confirms())
    held.release()
    await soon(again)
    assert handle.done()
    await ends.check_in_step()


async def test_waiting_for_confirms_includes_what_is_still_held(ends: Ends) -> None:
    narrow = await soon(ends.connection.channel(max_unconfirmed=1))
    held = ends.gate.hold("Basic.Ack")
    first = start(narrow.publish(b"first", routing_key="q"))
    second = start(narrow.publish(b"second", routing_key="q"))
    await soon(held.reached())
    waiting = start(narrow.wait_for_confirms())
    await turns()
    held.let_one_go()
    await soon(held.reached())
    await turns()
    assert not waiting.done()
    held.release()
    await soon(waiting)
    assert first.done()
    await soon(second)
    await soon(narrow.close())


async def test_a_publish_cancelled_while_the_broker_blocks_is_never_sent(ends: Ends) -> None:
    ends.peer.send(0, new_method(Connection.Blocked, reason="alarm"))
    while not ends.connection.is_blocked:
        await asyncio.sleep(0)
    task = start(ends.channel.publish(b"held", routing_key="q"))
    await turns()
    await cancel(task)
    ends.peer.send(0, new_method(Connection.Unblocked))
    await ends.check_in_step()
    assert (await soon(ends.peer.receives("Published"))).body == b"in step"


async def test_a_publish_without_confirms_that_is_cancelled_leaves_the_channel_usable(
    server: ScriptedServer,
) -> None:
    async with connected(server) as ends:
        plain = await soon(ends.connection.channel(confirms=False))
        await cancel(start(plain.publish(b"never ran", routing_key="q")))
        assert not (await soon(plain.publish(b"ran", routing_key="q"))).confirmed
        assert (await soon(ends.peer.receives("Published"))).body == b"ran"
        await soon(plain.close())
        with pytest.raises(PublishNotSentError):
            await soon(plain.publish(b"late", routing_key="q"))
