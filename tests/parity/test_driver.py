"""The driver itself: what tests of brokers rely on."""

import pytest
from pamqp.commands import Basic, Queue

from hopmq.wire import Ack, Delivery, Returned
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer


async def test_a_refusal_is_raised_with_its_code_text_and_method(channel: ChannelDriver) -> None:
    with pytest.raises(Closed) as caught:
        await channel.declare("no-such-queue", passive=True)
    assert caught.value.answer == (
        "channel",
        404,
        "NOT_FOUND - no queue 'no-such-queue' in vhost '/'",
    )
    assert caught.value.blamed == (50, 10)


async def test_what_comes_unasked_keeps_its_order(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.confirm()
    channel.publish(b"lost", routing_key=f"{name}-none", mandatory=True)
    assert (await channel.next(Returned)).reply_code == 312
    assert (await channel.next(Ack)).delivery_tag == 1
    channel.publish(b"kept", routing_key=name)
    await channel.next(Ack)
    await channel.consume(name, "tag", no_ack=True)
    assert (await channel.next(Delivery)).body == b"kept"
    await channel.expect_silence(name)


async def test_silence_fails_when_something_came(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.consume(name, no_ack=True)
    await channel.confirm()
    await channel.put(b"a word", routing_key=name)
    with pytest.raises(AssertionError, match="silence expected"):
        await channel.expect_silence(name)


async def test_a_get_returns_the_message_or_none(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    assert await channel.get(name) is None
    channel.publish(b"body", routing_key=name)
    message = await channel.get(name)
    assert message is not None
    assert message.body == b"body"
    assert await channel.drain(name) == []


async def test_the_broker_cancels_a_consumer(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    tag = await channel.consume(name)
    await channel.delete(name)
    assert await channel.until_cancelled() == tag


async def test_the_next_event_may_be_an_answer(channel: ChannelDriver, name: str) -> None:
    channel.send(Queue.Declare, queue=name, exclusive=True)
    assert isinstance(await channel.any(), Queue.DeclareOk)


async def test_an_unexpected_kind_fails(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    channel.publish(routing_key=name)
    with pytest.raises(AssertionError, match="Cancel expected"):
        await channel.next(Basic.Cancel)


async def test_a_connection_may_be_dropped_without_a_word(peer: Peer) -> None:
    channel = await peer.channel()
    channel.raw(50, 99)
    await peer.until_dropped()


async def test_what_a_test_declares_is_gone_after_it(
    peer: Peer, second_peer: Peer, name: str
) -> None:
    await (await peer.channel()).declare(name)
    (declared,) = peer.declared
    assert isinstance(declared, Queue.Declare)
    assert declared.queue == name
