"""Purging and deleting queues, and the conditions for it."""

import pytest
from pamqp.commands import Basic, Queue

from parity.channel import ChannelDriver
from parity.endings import NO_QUEUE_BEFORE, not_found, precondition_failed, refusal

MISSING = not_found("no queue 'no-such-queue' in vhost '/'")


async def filled(channel: ChannelDriver, queue: str, count: int) -> None:
    """Declare a queue with messages, all of which it knows of."""
    await channel.declare(queue, exclusive=True)
    await channel.confirm()
    for number in range(count):
        await channel.put(str(number).encode(), routing_key=queue)


# --- purge -------------------------------------------------------------------------------------


async def test_a_purge_counts_what_it_removes(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 3)
    assert await channel.purge(name) == 3
    assert await channel.purge(name) == 0
    assert await channel.count(name) == 0


async def test_a_purge_leaves_what_is_unsettled(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 3)
    message = await channel.get(name, no_ack=False)
    assert message is not None
    assert await channel.purge(name) == 2
    channel.reject(message.delivery_tag, requeue=True)
    assert await channel.drain(name) == [b"0"]


@pytest.mark.parametrize(
    "queue, answer", [("no-such-queue", MISSING), ("", NO_QUEUE_BEFORE)], ids=["missing", "none"]
)
async def test_a_purge_needs_a_queue(
    channel: ChannelDriver, queue: str, answer: tuple[str, int, str]
) -> None:
    closed = await refusal(channel.purge(queue))
    assert closed.answer == answer
    assert closed.blamed == (50, 30)


async def test_a_purge_without_waiting_has_no_answer(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 1)
    channel.send(Queue.Purge, queue=name, nowait=True)
    await channel.expect_silence()
    assert await channel.get(name) is None


# --- delete ------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", ["no-such-queue", "amq.no-such-queue"])
@pytest.mark.parametrize("conditions", [False, True])
async def test_deleting_what_is_missing_succeeds(
    channel: ChannelDriver, queue: str, conditions: bool
) -> None:
    assert await channel.delete(queue, if_unused=conditions, if_empty=conditions) == 0


async def test_a_delete_counts_ready_messages(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 3)
    await channel.get(name, no_ack=False)
    assert await channel.delete(name) == 2
    assert (await refusal(channel.declare(name, passive=True))).is_missing


async def test_the_queue_left_out_is_the_one_declared_last(channel: ChannelDriver) -> None:
    declared = await channel.declare(exclusive=True)
    await channel.delete("")
    closed = await refusal(channel.get(""))
    assert closed.answer == not_found(f"no queue '{declared.queue}' in vhost '/'")


async def test_without_a_queue_declared_before_none_can_be_left_out(
    channel: ChannelDriver,
) -> None:
    closed = await refusal(channel.delete(""))
    assert closed.answer == NO_QUEUE_BEFORE
    assert closed.blamed == (50, 40)


async def test_a_queue_with_messages_is_not_empty(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 1)
    closed = await refusal(channel.delete(name, if_empty=True))
    assert closed.answer == precondition_failed(f"queue '{name}' in vhost '/' not empty")
    assert closed.blamed == (50, 40)


async def test_a_queue_with_nothing_but_unsettled_messages_is_empty(
    channel: ChannelDriver, name: str
) -> None:
    await filled(channel, name, 1)
    await channel.get(name, no_ack=False)
    assert await channel.delete(name, if_empty=True) == 0


async def test_a_queue_with_a_consumer_is_in_use(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.consume(name)
    closed = await refusal(channel.delete(name, if_unused=True))
    assert closed.answer == precondition_failed(f"queue '{name}' in vhost '/' in use")


async def test_a_queue_is_unused_once_its_consumer_is_cancelled(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, exclusive=True)
    tag = await channel.consume(name)
    await channel.cancel(tag)
    await channel.delete(name, if_unused=True)


async def test_of_both_conditions_emptiness_is_named(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 2)
    await channel.qos(1)
    await channel.consume(name)
    closed = await refusal(channel.delete(name, if_unused=True, if_empty=True))
    assert closed.answer == precondition_failed(f"queue '{name}' in vhost '/' not empty")


async def test_a_delete_tells_consumers(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    consumer = await channel.peer.channel()
    tag = await consumer.consume(name)
    await channel.delete(name)
    assert await consumer.until_cancelled() == tag


async def test_a_delete_without_waiting_has_no_answer(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    channel.send(Queue.Delete, queue=name, nowait=True)
    await channel.expect_silence()
    assert (await refusal(channel.declare(name, passive=True))).is_missing


async def test_a_deleted_queue_may_be_declared_anew_differently(
    channel: ChannelDriver, name: str
) -> None:
    await filled(channel, name, 1)
    await channel.delete(name)
    await channel.declare(name, exclusive=True, auto_delete=True, arguments={"x-max-length": 5})
    assert await channel.get(name) is None


# --- get ---------------------------------------------------------------------------------------


async def test_a_get_counts_what_is_left(channel: ChannelDriver, name: str) -> None:
    await filled(channel, name, 3)
    messages = [await channel.get(name, no_ack=no_ack) for no_ack in (True, False, False)]
    assert [
        (m.delivery_tag, m.message_count, m.redelivered, m.body, m.exchange, m.routing_key)
        for m in messages
        if m is not None
    ] == [
        (1, 2, False, b"0", "", name),
        (2, 1, False, b"1", "", name),
        (3, 0, False, b"2", "", name),
    ]
    channel.send(Basic.Get, queue=name)
    assert (await channel.expect(Basic.GetEmpty)).cluster_id == ""


@pytest.mark.parametrize(
    "queue, answer", [("no-such-queue", MISSING), ("", NO_QUEUE_BEFORE)], ids=["missing", "none"]
)
async def test_a_get_needs_a_queue(
    channel: ChannelDriver, queue: str, answer: tuple[str, int, str]
) -> None:
    closed = await refusal(channel.get(queue))
    assert closed.answer == answer
    assert closed.blamed == (60, 70)


async def test_a_message_got_without_acknowledgement_is_settled(
    channel: ChannelDriver, name: str
) -> None:
    await filled(channel, name, 1)
    message = await channel.get(name, no_ack=True)
    assert message is not None
    channel.ack(message.delivery_tag)
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed("unknown delivery tag 1")
    assert closed.blamed == (60, 80)


async def test_tags_go_on_over_queues_and_kinds_of_delivery(
    channel: ChannelDriver, name: str
) -> None:
    await filled(channel, name, 2)
    first = await channel.get(name, no_ack=False)
    assert first is not None
    channel.reject(first.delivery_tag, requeue=True)
    again = await channel.get(name, no_ack=False)
    other = await channel.get(name, no_ack=False)
    assert again is not None
    assert other is not None
    assert (again.body, again.delivery_tag, again.redelivered) == (b"0", 2, True)
    assert (other.body, other.delivery_tag, other.redelivered) == (b"1", 3, False)


async def test_deleting_what_is_missing_without_waiting_is_silent(channel: ChannelDriver) -> None:
    channel.send(Queue.Delete, queue="no-such-queue", nowait=True)
    await channel.expect_silence()
