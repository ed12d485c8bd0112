"""A cancelled request leaves channel and connection in step, whenever it is cancelled."""

import asyncio

import pytest

from scripted.peer import fetched

from .arrival import Arrival
from .ends import Ends, cancel, soon, start
from .operations import REQUESTS, TOPOLOGY, Operation


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_a_request_cancelled_before_its_answer_has_the_answer_absorbed(
    ends: Ends, operation: Operation
) -> None:
    held = ends.gate.hold(operation.answer)
    task = start(operation.call(ends))
    await soon(held.reached())
    await cancel(task)
    held.release()
    await ends.check_in_step()


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_a_request_cancelled_in_the_turn_of_its_answer_is_cancelled_and_undone(
    ends: Ends, operation: Operation, arrival: Arrival
) -> None:
    held = ends.gate.hold(operation.answer)
    task = start(operation.call(ends))
    await soon(held.reached())
    arrival.then(task.cancel)
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    await ends.check_in_step()


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_a_request_cancelled_before_it_runs_sends_nothing(
    ends: Ends, operation: Operation
) -> None:
    sent = len(ends.peer.seen)
    await cancel(start(operation.call(ends)))
    assert len(ends.peer.seen) == sent
    await ends.check_in_step()


@pytest.mark.parametrize("operation", TOPOLOGY[1:], ids=str)
async def test_a_late_answer_does_not_reach_the_next_request_of_its_kind(
    ends: Ends, operation: Operation
) -> None:
    held = ends.gate.hold(operation.answer)
    first = start(operation.call(ends))
    await soon(held.reached())
    await cancel(first)
    second = start(operation.call(ends))
    await soon(held.reached(2))
    held.let_one_go()
    await soon(ends.channel.set_prefetch(3))
    assert not second.done()
    held.release()
    await soon(second)
    await ends.check_in_step()


async def test_the_answers_of_cancelled_and_of_waiting_requests_are_told_apart(ends: Ends) -> None:
    held = ends.gate.hold("Queue.DeclareOk")
    tasks = [start(ends.connection.declare_queue(f"q{number}")) for number in range(6)]
    await soon(held.reached(len(tasks)))
    for task in tasks[::2]:
        await cancel(task)
    held.release()
    assert [(await soon(task)).name for task in tasks[1::2]] == ["q1", "q3", "q5"]
    await ends.check_in_step()


async def test_a_declare_cancelled_while_another_opens_the_topology_channel_costs_it_nothing(
    ends: Ends,
) -> None:
    held = ends.gate.hold("Channel.OpenOk")
    first = start(ends.connection.declare_queue("first"))
    await soon(held.reached())
    second = start(ends.connection.declare_queue("second"))
    await cancel(second)
    held.release()
    assert (await soon(first)).name == "first"
    await ends.check_in_step()


async def test_whoever_waits_for_the_topology_channel_opens_it_when_its_opener_is_cancelled(
    ends: Ends,
) -> None:
    held = ends.gate.hold("Channel.OpenOk")
    first = start(ends.connection.declare_queue("first"))
    await soon(held.reached())
    second = start(ends.connection.declare_queue("second"))
    await cancel(first)
    await soon(held.reached(2))
    held.release()
    assert (await soon(second)).name == "second"
    await ends.check_in_step()


async def test_a_cancelled_channel_close_frees_its_number_when_it_is_answered(ends: Ends) -> None:
    another = await soon(ends.connection.channel())
    held = ends.gate.hold("Channel.CloseOk")
    closing = start(another.close())
    await soon(held.reached())
    await cancel(closing)
    await soon(another.close())
    assert not another.is_open
    held.release()
    await ends.check_in_step()
    assert (await soon(ends.connection.channel())).number == another.number


async def test_a_message_fetched_by_a_cancelled_get_goes_back(ends: Ends) -> None:
    ends.gate.drop("Basic.GetEmpty")
    task = start(ends.channel.get("q"))
    await soon(ends.peer.receives("Basic.Get"))
    await cancel(task)
    ends.peer.write(fetched(ends.channel.number, 1))
    returned = await soon(ends.peer.receives("Nack"))
    assert (returned.delivery_tag, returned.requeue) == (1, True)
    ends.gate.open("Basic.GetEmpty")
    await ends.check_in_step()


async def test_a_message_fetched_in_the_turn_of_the_cancel_goes_back(
    ends: Ends, arrival: Arrival
) -> None:
    ends.gate.drop("Basic.GetEmpty")
    task = start(ends.channel.get("q"))
    await soon(ends.peer.receives("Basic.Get"))
    arrival.then(task.cancel)
    ends.peer.write(fetched(ends.channel.number, 1))
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert (await soon(ends.peer.receives("Nack"))).requeue is True
    ends.gate.open("Basic.GetEmpty")
    await ends.check_in_step()
