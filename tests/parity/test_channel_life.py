"""Channels: opening, closing, and what happens to frames around a close."""

import pytest
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection, Queue

from hopmq.wire import Ack, new_method
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer
from parity.endings import ending
from parity.queues import get_soon

MISSING = new_method(Queue.Declare, queue="no-such-queue", passive=True)
NOT_FOUND = ("channel", 404, "NOT_FOUND - no queue 'no-such-queue' in vhost '/'")


def channel_error(text: str) -> tuple[str, int, str]:
    """Return the answer to a frame for a channel in another state."""
    return ("connection", 504, f"CHANNEL_ERROR - {text}")


NOT_OPEN = channel_error("expected 'channel.open'")
OPEN_TWICE = channel_error("second 'channel.open' seen")


async def test_a_channel_is_opened_once(peer: Peer) -> None:
    channel = await peer.channel()
    channel.send(Channel.Open)
    closed = await peer.until_closed()
    assert closed.answer == OPEN_TWICE
    assert closed.blamed == (20, 10)


@pytest.mark.parametrize("number", [1, 2, 2047, 65_535])
async def test_any_number_will_do(peer: Peer, number: int) -> None:
    channel = await peer.channel(number)
    await channel.qos(1)


@pytest.mark.parametrize(
    "method",
    [
        new_method(Queue.Declare, queue="q"),
        new_method(Basic.Publish),
        new_method(Channel.Close),
        new_method(Channel.CloseOk),
        new_method(Channel.Flow, active=True),
        new_method(Basic.Cancel),
    ],
    ids=lambda method: method.name,
)
@pytest.mark.parametrize("number", [5, 3000])
async def test_a_channel_that_is_not_open_costs_the_connection(
    peer: Peer, method: Frame, number: int
) -> None:
    channel = peer.unopened(number)
    channel.send(method)
    if method.name == "Basic.Publish":  # it is judged with its content
        channel.frame(2, b"\0\x3c\0\0" + bytes(8) + b"\0\0")
    closed = await peer.until_closed()
    assert closed.answer == NOT_OPEN
    assert closed.blamed == divmod(method.index, 1 << 16)


async def test_a_number_is_free_after_close_ok(peer: Peer) -> None:
    for _ in range(3):
        channel = await peer.channel(7)
        await channel.close()


@pytest.mark.parametrize("code", [0, 200, 404, 541, 65_535])
async def test_a_channel_may_be_closed_for_any_reason(peer: Peer, code: int) -> None:
    channel = await peer.channel()
    close = new_method(Channel.Close, reply_code=code, reply_text="ü", class_id=1, method_id=2)
    await channel.call(close, Channel.CloseOk)


async def test_a_channel_is_not_open_once_its_close_is_answered(peer: Peer) -> None:
    channel = await peer.channel()
    await channel.call(new_method(Channel.Close), Channel.CloseOk)
    channel.send(MISSING)
    assert await ending(peer) == NOT_OPEN


async def test_a_channel_that_was_refused_something_can_be_opened_again(peer: Peer) -> None:
    for _ in range(3):
        channel = await peer.channel(1)
        with pytest.raises(Closed) as caught:
            await channel.call(MISSING, Queue.DeclareOk)
        assert caught.value.answer == NOT_FOUND


async def test_other_channels_do_not_notice(peer: Peer) -> None:
    other = await peer.channel()
    channel = await peer.channel()
    channel.send(MISSING)
    await channel.until_closed()
    await other.expect_silence()


async def test_requests_behind_the_one_that_is_refused_are_not_acted_upon(
    peer: Peer, name: str
) -> None:
    channel = await peer.channel()
    channel.send(MISSING)
    channel.send(Queue.Declare, queue=name)
    assert (await channel.until_closed()).answer == NOT_FOUND
    assert not channel.inbox
    other = await peer.channel()
    with pytest.raises(Closed, match=f"no queue '{name}'"):
        await other.declare(name, passive=True)


async def test_frames_between_the_close_and_its_answer_are_ignored(peer: Peer, name: str) -> None:
    peer.answers_closes = False
    channel = await peer.channel(1)
    channel.send(MISSING)
    await channel.until_closed()
    channel.send(Queue.Declare, queue=name)
    channel.publish(b"a message", routing_key=name)
    channel.send(Basic.Qos, prefetch_size=1)  # not implemented, but nobody looks
    channel.ack(99)
    channel.send(Channel.CloseOk)
    reopened = await peer.channel(1)
    await reopened.expect_silence()
    with pytest.raises(Closed, match=f"no queue '{name}'"):
        await reopened.declare(name, passive=True)


async def test_a_channel_is_not_opened_again_before_its_close_is_answered(peer: Peer) -> None:
    peer.answers_closes = False
    channel = await peer.channel()
    channel.send(MISSING)
    await channel.until_closed()
    peer.answers_closes = True
    channel.send(Channel.Open)
    assert await ending(peer) == OPEN_TWICE


async def test_two_closes_may_cross(peer: Peer) -> None:
    peer.answers_closes = False
    channel = await peer.channel(1)
    channel.send(MISSING)
    channel.send(Channel.Close, reply_code=200)
    assert (await channel.until_closed()).answer == NOT_FOUND
    await peer.wait(lambda: channel.inbox or None)
    assert isinstance(await channel.any(), Channel.CloseOk)
    channel.send(Channel.CloseOk)
    other = await peer.channel(2)
    await other.qos(1)


async def test_closing_a_channel_puts_back_what_it_had_not_settled(
    peer: Peer, channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name)
    channel.publish(b"a message", routing_key=name)
    holder = await peer.channel()
    message = await channel.get(name, no_ack=False)
    assert message is not None
    await channel.close()
    again = await get_soon(holder, name)  # RabbitMQ's queue hears of the end by itself
    assert (again.body, again.redelivered) == (b"a message", True)


# --- channel.flow ------------------------------------------------------------------------------


async def test_flow_can_be_asked_for(channel: ChannelDriver) -> None:
    flow = await channel.call(new_method(Channel.Flow, active=True), Channel.FlowOk)
    assert flow.active is True


async def test_flow_cannot_be_stopped(peer: Peer) -> None:
    channel = await peer.channel()
    channel.send(Channel.Flow, active=False)
    closed = await peer.until_closed()
    assert closed.answer == ("connection", 540, "NOT_IMPLEMENTED - active=false")
    assert closed.blamed == (20, 20)


# --- closing the connection --------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 200, 320, 541])
async def test_a_connection_may_be_closed_for_any_reason(peer: Peer, code: int) -> None:
    channel = await peer.channel()
    close = new_method(Connection.Close, reply_code=code, reply_text="x" * 255, class_id=9)
    await peer.control.call(close, Connection.CloseOk)
    assert channel.closed is None
    peer.abort()
    await peer.until_eof()


async def test_frames_between_the_connections_close_and_its_answer_are_ignored(
    peer: Peer,
) -> None:
    peer.answers_closes = False
    channel = await peer.channel()
    peer.control.send(Channel.Open)
    await peer.until_closed()
    channel.send(Basic.Qos)
    channel.raw(99, 99)
    peer.control.send(Connection.CloseOk)
    await peer.until_eof()
    assert not channel.inbox


async def test_two_closes_of_a_connection_may_cross(peer: Peer) -> None:
    peer.answers_closes = False
    peer.control.send(Channel.Open)
    await peer.until_closed()
    peer.control.send(Connection.Close, reply_code=200)
    await peer.wait(lambda: peer.control.inbox or None)
    assert isinstance(await peer.control.any(), Connection.CloseOk)


async def test_requests_before_the_close_are_answered(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.confirm()
    channel.send(Queue.Declare, queue=name, exclusive=True)
    channel.publish(routing_key=name)
    await channel.expect(Queue.DeclareOk)
    await channel.next(Ack)
    await peer.control.call(new_method(Connection.Close), Connection.CloseOk)
    peer.abort()


# --- connection.update-secret ------------------------------------------------------------------


@pytest.mark.parametrize("secret", [b"guest", b"another", b""])
async def test_a_secret_may_be_replaced_and_is_not_asked_for_again(
    peer: Peer, secret: bytes
) -> None:
    channel = await peer.channel()
    update = new_method(Connection.UpdateSecret, new_secret=secret, reason="expiry")
    await peer.control.call(update, Connection.UpdateSecretOk)
    await channel.qos(1)
    await channel.expect_silence()
