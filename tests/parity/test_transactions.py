"""Transactions: what waits for the commit, what does not, and what a rollback undoes."""

import pytest
from pamqp.commands import Tx

from hopmq.wire import Delivery, Returned
from parity.channel import ChannelDriver
from parity.endings import not_found, precondition_failed, refusal
from parity.queues import get_soon

NOT_TRANSACTIONAL = precondition_failed("channel is not transactional")


@pytest.fixture
async def tx(channel: ChannelDriver) -> ChannelDriver:
    """Return another channel, with transactions."""
    other = await channel.peer.channel()
    await other.tx()
    return other


async def filled(channel: ChannelDriver, queue: str, *bodies: bytes) -> None:
    """Declare a queue with messages, all of which it knows of."""
    await channel.declare(queue, exclusive=True)
    await channel.confirm()
    for body in bodies:
        await channel.put(body, routing_key=queue)


async def held(channel: ChannelDriver, queue: str) -> int:
    """Take a message that has to be settled; return its tag."""
    message = await channel.get(queue, no_ack=False)
    assert message is not None
    return message.delivery_tag


async def test_a_commit_wants_a_transaction(channel: ChannelDriver) -> None:
    closed = await refusal(channel.commit())
    assert closed.answer == NOT_TRANSACTIONAL
    assert closed.blamed == (90, 20)


async def test_a_rollback_wants_a_transaction(channel: ChannelDriver) -> None:
    closed = await refusal(channel.rollback())
    assert closed.answer == NOT_TRANSACTIONAL
    assert closed.blamed == (90, 30)


async def test_transactions_may_be_asked_for_again(tx: ChannelDriver) -> None:
    await tx.tx()
    await tx.commit()
    await tx.rollback()


# --- publishes ---------------------------------------------------------------------------------


async def test_a_publish_is_seen_after_its_commit(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name)
    tx.publish(b"1", routing_key=name)
    tx.publish(b"2", routing_key=name)
    assert await tx.get(name) is None
    assert await channel.get(name) is None
    await tx.commit()
    assert await channel.drain(name) == [b"1", b"2"]


@pytest.mark.parametrize("ending", ["rollback", "close"])
async def test_a_publish_without_a_commit_is_never_seen(
    channel: ChannelDriver, tx: ChannelDriver, name: str, ending: str
) -> None:
    await filled(channel, name)
    tx.publish(routing_key=name)
    if ending == "rollback":
        await tx.rollback()
        await tx.commit()
    else:
        await tx.close()
    assert await channel.get(name) is None


async def test_each_commit_begins_a_transaction(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name)
    for number in range(3):
        tx.publish(str(number).encode(), routing_key=name)
        await tx.commit()
        assert await channel.drain(name) == [str(number).encode()]


async def test_a_missing_exchange_is_noticed_at_once(tx: ChannelDriver) -> None:
    tx.publish(exchange="no-such-exchange")
    closed = await tx.until_closed()
    assert closed.answer == not_found("no exchange 'no-such-exchange' in vhost '/'")
    assert closed.blamed == (60, 40)


async def test_a_mandatory_message_comes_back_before_the_commit_is_answered(
    tx: ChannelDriver, name: str
) -> None:
    tx.publish(routing_key=name, mandatory=True)
    await tx.expect_silence()
    tx.send(Tx.Commit)
    await tx.next(Returned)
    assert isinstance(await tx.any(), Tx.CommitOk)


async def test_a_mandatory_message_that_is_rolled_back_does_not_come_back(
    tx: ChannelDriver, name: str
) -> None:
    tx.publish(routing_key=name, mandatory=True)
    await tx.rollback()
    await tx.commit()
    await tx.expect_silence()


async def test_a_message_is_routed_when_it_is_published(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "fanout")
    await filled(channel, name)
    tx.publish(exchange=name)
    await tx.expect_silence()
    await channel.bind(name, name)
    await tx.commit()
    assert await channel.get(name) is None


# --- acknowledgements --------------------------------------------------------------------------


async def test_an_acknowledgement_counts_with_its_commit(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    tx.ack(await held(tx, name))
    await tx.commit()
    await tx.close()
    assert await channel.get(name) is None


async def test_an_acknowledgement_without_a_commit_does_not_count(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    tx.ack(await held(tx, name))
    await tx.close()
    assert (await get_soon(channel, name)).redelivered


async def test_a_rolled_back_acknowledgement_can_be_made_again(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    tag = await held(tx, name)
    tx.ack(tag)
    await tx.rollback()
    assert await channel.get(name) is None
    tx.ack(tag)
    await tx.commit()
    await tx.close()
    assert await channel.get(name) is None


async def test_a_message_goes_back_with_the_commit(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    tx.reject(await held(tx, name), requeue=True)
    await tx.qos(0)
    assert await channel.get(name) is None
    await tx.commit()
    assert await channel.drain(name) == [b"1"]


async def test_publishes_and_acknowledgements_are_committed_together(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    tx.ack(await held(tx, name))
    tx.publish(b"2", routing_key=name)
    await tx.commit()
    assert await channel.drain(name) == [b"2"]


async def test_an_unknown_tag_is_noticed_at_once(tx: ChannelDriver) -> None:
    tx.ack(99)
    closed = await tx.until_closed()
    assert closed.answer == precondition_failed("unknown delivery tag 99")
    assert closed.blamed == (60, 80)


async def test_a_tag_is_used_up_by_an_acknowledgement_that_waits(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    tag = await held(tx, name)
    tx.ack(tag)
    tx.ack(tag)
    closed = await tx.until_closed()
    assert closed.answer == precondition_failed(f"unknown delivery tag {tag}")


async def test_deliveries_do_not_wait_for_commits(
    channel: ChannelDriver, tx: ChannelDriver, name: str
) -> None:
    await filled(channel, name, b"1")
    await tx.consume(name, no_ack=True)
    assert (await tx.next(Delivery)).body == b"1"
