"""Cancelled waits of consumers lose no message, and leave no consumer that nobody reads."""

import asyncio

import pytest

import hopmq
from hopmq.errors import ConsumerCancelledError
from scripted.peer import cancelled

from .arrival import Arrival
from .ends import Ends, cancel, soon, start, turns


async def test_a_consume_cancelled_before_its_answer_is_undone_by_basic_cancel(ends: Ends) -> None:
    held = ends.gate.hold("Basic.ConsumeOk")
    task = start(ends.channel.consume("q", consumer_tag="gone"))
    await soon(held.reached())
    await cancel(task)
    held.release()
    assert (await soon(ends.peer.receives("Basic.Cancel"))).consumer_tag == "gone"
    await ends.check_in_step()


async def test_a_consume_cancelled_in_the_turn_of_its_answer_is_undone_by_basic_cancel(
    ends: Ends, arrival: Arrival
) -> None:
    held = ends.gate.hold("Basic.ConsumeOk")
    task = start(ends.channel.consume("q", consumer_tag="gone"))
    await soon(held.reached())
    arrival.then(task.cancel)
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert (await soon(ends.peer.receives("Basic.Cancel"))).consumer_tag == "gone"
    await ends.check_in_step()


async def test_what_a_cancelled_consume_still_receives_goes_back_to_the_queue(ends: Ends) -> None:
    held = ends.gate.hold("Basic.ConsumeOk")
    stopping = ends.gate.hold("Basic.CancelOk")
    task = start(ends.channel.consume("q", consumer_tag="gone"))
    await soon(held.reached())
    await cancel(task)
    held.release()
    ends.peer.deliver(ends.channel.number, "gone", 1)
    await soon(ends.peer.receives("Basic.Cancel"))
    ends.peer.deliver(ends.channel.number, "gone", 2)
    for tag in (1, 2):
        returned = await soon(ends.peer.receives("Nack"))
        assert (returned.delivery_tag, returned.requeue) == (tag, True)
    stopping.release()
    await ends.check_in_step()


async def test_the_tag_of_a_cancelled_consume_is_taken_until_the_broker_has_answered(
    ends: Ends,
) -> None:
    held = ends.gate.hold("Basic.ConsumeOk")
    task = start(ends.channel.consume("q", consumer_tag="mine"))
    await soon(held.reached())
    await cancel(task)
    with pytest.raises(hopmq.UsageError):
        await soon(ends.channel.consume("q", consumer_tag="mine"))
    held.release()
    await ends.check_in_step()
    again = await soon(ends.channel.consume("q", consumer_tag="mine"))
    await soon(again.cancel())


async def test_a_consume_with_a_handler_that_is_cancelled_leaves_no_worker(ends: Ends) -> None:
    async def handle(message: hopmq.Message) -> None:
        raise AssertionError(message)

    held = ends.gate.hold("Basic.ConsumeOk")
    task = start(ends.channel.consume("q", handle, concurrency=5, consumer_tag="gone"))
    await soon(held.reached())
    await cancel(task)
    held.release()
    await ends.check_in_step()
    await turns()
    assert not [each for each in asyncio.all_tasks() if "worker" in each.get_name()]


async def test_a_cancelled_iteration_loses_no_message(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q"))
    waiting = start(consumer.__anext__())
    await turns()
    await cancel(waiting)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"kept")
    assert (await soon(anext(consumer))).body == b"kept"
    await soon(consumer.cancel())
    await ends.check_in_step()


async def test_an_iteration_cancelled_in_the_turn_of_a_delivery_loses_no_message(
    ends: Ends, arrival: Arrival
) -> None:
    consumer = await soon(ends.channel.consume("q"))
    waiting = start(consumer.__anext__())
    await turns()
    arrival.then(waiting.cancel)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"kept")
    with pytest.raises(asyncio.CancelledError):
        await soon(waiting)
    assert (await soon(anext(consumer))).body == b"kept"
    await soon(consumer.cancel())


async def test_a_second_reader_gets_what_a_cancelled_one_was_woken_for(
    ends: Ends, arrival: Arrival
) -> None:
    consumer = await soon(ends.channel.consume("q"))
    first = start(consumer.__anext__())
    await turns()
    second = start(consumer.__anext__())
    await turns()
    arrival.then(first.cancel)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"kept")
    assert (await soon(second)).body == b"kept"
    assert first.cancelled()
    await soon(consumer.cancel())


async def test_a_timed_out_iteration_leaves_the_consumer_iterable(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(consumer)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 2)
    received = []
    async for message in consumer:
        received.append(message.delivery_tag)
        message.ack()
        if len(received) == 2:
            break
    assert received == [1, 2]
    await soon(consumer.cancel())
    await ends.check_in_step()


async def test_what_arrives_after_a_cancelled_cancel_goes_back_to_the_queue(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q"))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"unread")
    held = ends.gate.hold("Basic.CancelOk")
    stopping = start(consumer.cancel())
    await soon(held.reached())
    await cancel(stopping)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 2, b"late")
    for tag in (1, 2):
        returned = await soon(ends.peer.receives("Nack"))
        assert (returned.delivery_tag, returned.requeue) == (tag, True)
    held.release()
    with pytest.raises(StopAsyncIteration):
        await soon(anext(consumer))
    await soon(consumer.cancel())
    await ends.check_in_step()


async def test_a_cancel_cancelled_in_the_turn_of_its_answer_ends_the_consumer(
    ends: Ends, arrival: Arrival
) -> None:
    consumer = await soon(ends.channel.consume("q"))
    held = ends.gate.hold("Basic.CancelOk")
    stopping = start(consumer.cancel())
    await soon(held.reached())
    arrival.then(stopping.cancel)
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(stopping)
    assert not consumer.is_active
    await ends.check_in_step()


async def test_a_cancel_cancelled_while_it_waits_for_handlers_lets_them_finish(ends: Ends) -> None:
    working, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(message: hopmq.Message) -> None:
        working.set()
        await go_on.wait()
        message.ack()
        finished.set()

    consumer = await soon(ends.channel.consume("q", handle))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    await soon(working.wait())
    stopping = start(consumer.cancel())
    await soon(ends.peer.receives("Basic.Cancel"))
    await ends.connection.declare_queue("a round trip")
    assert not stopping.done()
    await cancel(stopping)
    go_on.set()
    await soon(finished.wait())
    assert (await soon(ends.peer.receives("Ack"))).delivery_tag == 1
    await ends.check_in_step()


async def test_stopping_all_consumers_that_is_cancelled_leaves_none(ends: Ends) -> None:
    consumers = [await soon(ends.channel.consume("q")) for _ in range(3)]
    held = ends.gate.hold("Basic.CancelOk")
    stopping = start(ends.channel.stop_consuming())
    await soon(held.reached(len(consumers)))
    await cancel(stopping)
    held.release()
    assert not any(consumer.is_active for consumer in consumers)
    await ends.check_in_step()


async def test_a_wait_for_the_end_of_a_consumer_can_be_cancelled(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q"))
    await cancel(start(consumer.wait_closed()))
    waiting = start(consumer.wait_closed())
    await soon(consumer.cancel())
    await soon(waiting)
    await ends.check_in_step()


async def test_a_consumer_cancelled_from_both_sides_at_once_ends_well(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q", consumer_tag="both"))
    held = ends.gate.hold("Basic.CancelOk")
    stopping = start(consumer.cancel())
    await soon(held.reached())
    ends.peer.write(cancelled(ends.channel.number, "both"))
    await soon(ends.connection.declare_queue("a round trip"))
    held.release()
    await soon(stopping)
    await ends.check_in_step()


async def test_readers_of_a_consumer_that_the_broker_cancels_have_an_error_each(
    ends: Ends,
) -> None:
    consumer = await soon(ends.channel.consume("q", consumer_tag="gone"))
    readers = [start(consumer.__anext__()) for _ in range(3)]
    await turns()
    ends.peer.write(cancelled(ends.channel.number, "gone"))
    errors = await soon(asyncio.gather(*readers, return_exceptions=True))
    assert {type(error) for error in errors} == {ConsumerCancelledError}
    assert len({id(error) for error in errors}) == 3
    await ends.check_in_step()


async def test_many_consumers_one_after_the_other_leave_nothing(ends: Ends) -> None:
    for _ in range(50):
        consumer = await soon(ends.channel.consume("q"))
        await soon(consumer.cancel())
    ends.check_nothing_pending()


@pytest.mark.parametrize("requeue", [True, False])
async def test_a_cancelled_process_block_rejects_its_message(ends: Ends, requeue: bool) -> None:
    consumer = await soon(ends.channel.consume("q"))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    message = await soon(anext(consumer))
    inside = asyncio.Event()

    async def work() -> None:
        async with message.process(requeue=requeue):
            inside.set()
            await asyncio.Event().wait()

    task = start(work())
    await soon(inside.wait())
    await cancel(task)
    rejected = await soon(ends.peer.receives("Reject"))
    assert (rejected.delivery_tag, rejected.requeue) == (1, requeue)
    await soon(consumer.cancel())
    await ends.check_in_step()


async def test_a_cancelled_block_of_a_consumer_cancels_it(ends: Ends) -> None:
    inside = asyncio.Event()

    async def use() -> None:
        async with ends.channel.consume("q") as consumer:
            inside.set()
            await anext(consumer)

    task = start(use())
    await soon(inside.wait())
    await cancel(task)
    await soon(ends.peer.receives("Basic.Cancel"))
    await ends.check_in_step()


async def test_a_handler_that_awaits_something_cancelled_fails_and_its_worker_lives_on(
    ends: Ends,
) -> None:
    handled = asyncio.Event()

    async def handle(message: hopmq.Message) -> None:
        if message.body == b"bad":
            never = asyncio.get_running_loop().create_future()
            never.cancel()
            await never
        message.ack()
        handled.set()

    consumer = await soon(ends.channel.consume("q", handle))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1, b"bad")
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 2, b"good")
    rejected = await soon(ends.peer.receives("Reject"))
    assert (rejected.delivery_tag, rejected.requeue) == (1, True)
    await soon(handled.wait())
    await soon(consumer.cancel())
    await ends.check_in_step()


async def test_a_callback_that_raises_cancelled_error_costs_its_message_only(ends: Ends) -> None:
    def receive(message: hopmq.Message) -> None:
        raise asyncio.CancelledError(message.delivery_tag)

    consumer = await soon(ends.channel.consume("q", receive))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    assert (await soon(ends.peer.receives("Reject"))).requeue is True
    await soon(consumer.cancel())
    await ends.check_in_step()
