"""What is not answered in time ends with its own error, and a late answer does no harm."""

import asyncio
import time

import pytest

import hopmq
from hopmq.errors import (
    PublishManyError,
    PublishUnknownError,
    PublishUnknownTimeoutError,
    RequestTimeoutError,
)
from scripted.server import ScriptedServer

from .ends import Ends, soon, start, turns
from .operations import REQUESTS, Operation

SHORT = 0.03
"""A timeout that a test can wait for."""

UNHURRIED = 0.6
"""One before which an answer comes although the machine has other things to do."""


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_an_unanswered_request_times_out_and_its_late_answer_is_absorbed(
    ends: Ends, operation: Operation
) -> None:
    held = ends.gate.hold(operation.answer)
    ends.connection._session.request_timeout = SHORT
    with pytest.raises(RequestTimeoutError, match=f"within {SHORT:g} seconds") as raised:
        await soon(operation.call(ends))
    assert isinstance(raised.value, TimeoutError)
    ends.connection._session.request_timeout = 30
    assert ends.connection.is_open
    held.release()
    await ends.check_in_step()


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_a_request_answered_in_the_turn_of_its_timeout_keeps_nothing_unknown(
    ends: Ends, operation: Operation
) -> None:
    held = ends.gate.hold(operation.answer)
    ends.connection._session.request_timeout = SHORT
    task = start(operation.call(ends))
    await soon(held.reached())
    held.release()
    time.sleep(2 * SHORT)  # noqa: ASYNC251  # so that the loop finds both at once
    try:
        outcome = await soon(task)
    except RequestTimeoutError:
        outcome = None
    ends.connection._session.request_timeout = 30
    if isinstance(outcome, hopmq.Consumer):
        assert outcome.is_active
        await soon(outcome.cancel())
    elif isinstance(outcome, hopmq.Channel):
        assert outcome.is_open
        await soon(outcome.close())
    await ends.check_in_step()


async def test_a_stalled_declare_does_not_hold_up_the_next_one_for_ever(ends: Ends) -> None:
    held = ends.gate.hold("Queue.DeclareOk")
    ends.connection._session.request_timeout = SHORT
    with pytest.raises(RequestTimeoutError):
        await soon(ends.connection.declare_queue("stalled"))
    ends.connection._session.request_timeout = 30
    assert (await soon(ends.connection.delete_queue("another"))) == 0
    held.release()
    await soon(ends.peer.receives("Channel.Close"))
    await ends.check_in_step()


async def test_a_publish_without_a_confirm_ends_as_unknown_and_its_late_confirm_is_matched(
    ends: Ends,
) -> None:
    held = ends.gate.hold("Basic.Ack")
    with pytest.raises(PublishUnknownTimeoutError) as raised:
        await soon(ends.channel.publish(b"slow", routing_key="q", timeout=SHORT))
    assert isinstance(raised.value, TimeoutError)
    assert not raised.value.retry_safe
    assert ends.core.confirms is not None
    assert ends.core.confirms.outstanding_bytes == len(b"slow")
    held.release()
    await ends.check_in_step()
    assert ends.core.confirms.unmatched == 0
    assert ends.core.confirms.outstanding_bytes == 0


async def test_each_publish_has_a_deadline_of_its_own(ends: Ends) -> None:
    held = ends.gate.hold("Basic.Ack")
    patient = ends.channel.publish_nowait(b"patient", routing_key="q", timeout=30)
    hasty = ends.channel.publish_nowait(b"hasty", routing_key="q", timeout=SHORT)
    with pytest.raises(PublishUnknownTimeoutError):
        await soon(hasty)
    assert not patient.done()
    held.release()
    assert (await soon(patient)).confirmed
    await ends.check_in_step()


async def test_publish_many_tells_which_of_its_messages_timed_out(ends: Ends) -> None:
    held = ends.gate.hold("Basic.Ack")
    task = start(ends.channel.publish_many([b"a", b"b"], routing_key="q", timeout=UNHURRIED))
    await soon(held.reached(2))
    held.let_one_go()
    with pytest.raises(PublishManyError) as raised:
        await soon(task)
    first, second = raised.value.outcomes
    assert isinstance(first, hopmq.Receipt)
    assert isinstance(second, PublishUnknownTimeoutError)
    held.release()
    await ends.check_in_step()


async def test_a_publish_that_timed_out_unconfirmed_is_not_decided_twice(ends: Ends) -> None:
    held = ends.gate.hold("Basic.Ack")
    handle = ends.channel.publish_nowait(b"slow", routing_key="q", timeout=SHORT)
    with pytest.raises(PublishUnknownTimeoutError):
        await soon(handle)
    held.release()
    await ends.check_in_step()
    assert isinstance(handle.outcome, PublishUnknownError)


async def test_an_unanswered_channel_close_is_bounded_and_keeps_its_number(ends: Ends) -> None:
    another = await soon(ends.connection.channel())
    held = ends.gate.hold("Channel.CloseOk")
    ends.connection._session.request_timeout = SHORT
    with pytest.raises(RequestTimeoutError):
        await soon(another.close())
    ends.connection._session.request_timeout = 30
    third = await soon(ends.connection.channel())
    assert third.number != another.number
    held.release()
    await soon(third.close())
    await ends.check_in_step()


async def test_an_unanswered_connection_close_is_bounded(server: ScriptedServer) -> None:
    connection, peer = await soon(server.connect())
    server.gate.drop("Connection.CloseOk")
    before = time.monotonic()
    await soon(connection.close(timeout=SHORT))
    assert time.monotonic() - before < 5  # for which it waits when it is told nothing
    assert connection.state == "closed"
    await soon(peer.lost)


@pytest.mark.parametrize("confirms", [False, True])
async def test_closing_towards_a_peer_that_reads_nothing_is_bounded(
    server: ScriptedServer, confirms: bool
) -> None:
    connection, peer = await soon(server.connect())
    channel = await soon(connection.channel(confirms=confirms))
    peer.transport.pause_reading()
    publishing = start(channel.publish_many([bytes(1024 * 1024)] * 64, routing_key="q"))
    while not connection._session.link.write_paused:
        await asyncio.sleep(0)
    await soon(connection.close(timeout=SHORT))
    with pytest.raises(PublishManyError):
        await soon(publishing)
    peer.transport.resume_reading()
    await soon(peer.lost)


async def test_a_drain_is_bounded_though_a_handler_is_not(ends: Ends) -> None:
    working, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(message: hopmq.Message) -> None:
        working.set()
        await go_on.wait()
        assert message.ack() is hopmq.Settlement.STALE
        finished.set()

    consumer = await soon(ends.channel.consume("q", handle))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    await soon(working.wait())
    await soon(ends.connection.drain(timeout=SHORT))
    assert ends.connection.state == "closed"
    go_on.set()
    await soon(finished.wait())


async def test_a_drain_is_bounded_though_confirms_do_not_come(ends: Ends) -> None:
    ends.gate.drop("Basic.Ack")
    handle = ends.channel.publish_nowait(b"unconfirmed", routing_key="q")
    await soon(ends.connection.drain(timeout=SHORT))
    with pytest.raises(PublishUnknownError):
        await soon(handle)
    await soon(ends.connection.drain())


async def test_what_arrives_after_an_unanswered_cancel_goes_back(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q"))
    held = ends.gate.hold("Basic.CancelOk")
    ends.connection._session.request_timeout = SHORT
    with pytest.raises(RequestTimeoutError):
        await soon(consumer.cancel())
    ends.connection._session.request_timeout = 30
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    assert (await soon(ends.peer.receives("Nack"))).requeue is True
    held.release()
    await ends.check_in_step()


async def test_what_failed_inside_a_block_is_raised_though_its_end_is_not_answered(
    ends: Ends,
) -> None:
    ends.gate.drop("Basic.CancelOk")
    ends.gate.drop("Channel.CloseOk")
    ends.gate.drop("Tx.RollbackOk")
    plain = await soon(ends.connection.channel(confirms=False))
    another = await soon(ends.connection.channel())
    ends.connection._session.request_timeout = SHORT
    with pytest.raises(LookupError):
        async with ends.channel.consume("q"):
            raise LookupError
    with pytest.raises(LookupError):
        async with another:
            raise LookupError
    with pytest.raises(LookupError):
        async with plain.transaction():
            raise LookupError


async def test_a_cancelled_block_stays_cancelled_though_its_end_is_not_answered(
    ends: Ends,
) -> None:
    ends.gate.drop("Basic.CancelOk")
    ends.connection._session.request_timeout = 30
    inside = asyncio.Event()

    async def use() -> None:
        async with ends.channel.consume("q"):
            ends.connection._session.request_timeout = SHORT
            inside.set()
            await asyncio.Event().wait()

    task = start(use())
    await soon(inside.wait())
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
