"""Ack, nack and reject: what each settles, and how unknown tags are refused."""

import pytest
from pamqp.commands import Basic

from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer
from parity.queues import both_kinds, declare_kind, drain_soon, fill, has_count

FIVE = [b"1", b"2", b"3", b"4", b"5"]
METHODS = {"ack": (60, 80), "nack": (60, 120), "reject": (60, 90)}


def settle(channel: ChannelDriver, how: str, tag: int, *, multiple: bool = False) -> None:
    """Settle one way or another; nacks and rejects drop the message."""
    if how == "ack":
        channel.ack(tag, multiple)
    elif how == "nack":
        channel.nack(tag, multiple, requeue=False)
    else:
        channel.reject(tag, requeue=False)


async def unknown(channel: ChannelDriver, how: str, tag: int) -> None:
    """Expect the channel to be closed for that tag."""
    closed = await channel.until_closed()
    assert closed.answer == ("channel", 406, f"PRECONDITION_FAILED - unknown delivery tag {tag}")
    assert closed.blamed == METHODS[how]


async def five(channel: ChannelDriver, name: str, kind: str = "classic") -> None:
    """Hold five unsettled messages."""
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await channel.consume(name, "tag")
    await channel.collect(Delivery, 5)


async def left(peer: Peer, channel: ChannelDriver, name: str, count: int) -> list[bytes]:
    """Return what the queue has after the channel is gone."""
    await channel.close()
    return await drain_soon(await peer.channel(), name, count)


# --- what is settled ---------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("how", METHODS)
async def test_one_is_settled(peer: Peer, name: str, kind: str, how: str) -> None:
    channel = await peer.channel()
    await five(channel, name, kind)
    settle(channel, how, 3)
    assert await left(peer, channel, name, 4) == [b"1", b"2", b"4", b"5"]


@both_kinds
@pytest.mark.parametrize("how", ["ack", "nack"])
async def test_multiple_settles_up_to_the_tag(peer: Peer, name: str, kind: str, how: str) -> None:
    channel = await peer.channel()
    await five(channel, name, kind)
    settle(channel, how, 3, multiple=True)
    assert await left(peer, channel, name, 2) == [b"4", b"5"]


@both_kinds
@pytest.mark.parametrize("how", ["ack", "nack"])
async def test_multiple_with_tag_zero_settles_all(
    peer: Peer, name: str, kind: str, how: str
) -> None:
    channel = await peer.channel()
    await five(channel, name, kind)
    settle(channel, how, 0, multiple=True)
    assert await left(peer, channel, name, 0) == []


@pytest.mark.parametrize("how", ["ack", "nack"])
async def test_multiple_spans_queues_and_gets(peer: Peer, name: str, how: str) -> None:
    channel = await peer.channel()
    await five(channel, name)
    await channel.declare(f"{name}-2")
    await fill(channel, f"{name}-2", b"got")
    message = await channel.get(f"{name}-2", no_ack=False)
    assert message is not None
    settle(channel, how, message.delivery_tag, multiple=True)
    await channel.close()
    other = await peer.channel()
    assert await other.count(name) == 0
    assert await other.count(f"{name}-2") == 0


@pytest.mark.parametrize("how", METHODS)
async def test_any_order_will_do(channel: ChannelDriver, name: str, how: str) -> None:
    await five(channel, name)
    for tag in (4, 1, 5, 3, 2):
        settle(channel, how, tag)
    await channel.qos(0)


@both_kinds
async def test_what_is_not_settled_is_ready_again_after_the_channel(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await five(channel, name, kind)
    await peer.close()
    assert await drain_soon(other, name, 5) == FIVE


@both_kinds
async def test_what_is_not_settled_is_ready_again_after_a_cut(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await five(channel, name, kind)
    channel.ack(2)
    await channel.qos(0)
    peer.abort()
    assert await drain_soon(other, name, 4) == [b"1", b"3", b"4", b"5"]


async def test_no_ack_messages_are_gone_when_sent(peer: Peer, second_peer: Peer, name: str) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await channel.declare(name)
    await fill(channel, name, *FIVE)
    await channel.consume(name, no_ack=True)
    await channel.collect(Delivery, 5)
    await peer.close()
    assert await other.count(name) == 0


# --- unknown tags ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", METHODS)
@pytest.mark.parametrize("tag", [0, 1, 99])
async def test_a_tag_never_given_out(channel: ChannelDriver, how: str, tag: int) -> None:
    settle(channel, how, tag)
    await unknown(channel, how, tag)


@pytest.mark.parametrize("how", METHODS)
@pytest.mark.parametrize("tag", [0, 6, 1 << 62])
async def test_a_tag_not_among_the_unsettled(
    channel: ChannelDriver, name: str, how: str, tag: int
) -> None:
    await five(channel, name)
    settle(channel, how, tag)
    await unknown(channel, how, tag)


@pytest.mark.parametrize("how", ["ack", "nack"])
async def test_multiple_beyond_the_last(channel: ChannelDriver, name: str, how: str) -> None:
    await five(channel, name)
    settle(channel, how, 9, multiple=True)
    await unknown(channel, how, 9)


@pytest.mark.parametrize("how", ["ack", "nack"])
@pytest.mark.parametrize("tag", [0, 5])
async def test_multiple_without_anything_unsettled(
    channel: ChannelDriver, how: str, tag: int
) -> None:
    settle(channel, how, tag, multiple=True)
    if tag == 0:
        await channel.qos(0)
        return
    await unknown(channel, how, tag)


@both_kinds
@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", METHODS)
async def test_settling_twice(
    channel: ChannelDriver, name: str, kind: str, first: str, second: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1", b"2")
    await channel.consume(name)
    await channel.collect(Delivery, 2)
    settle(channel, first, 1)
    settle(channel, second, 1)
    await unknown(channel, second, 1)


async def test_below_a_multiple(channel: ChannelDriver, name: str) -> None:
    await five(channel, name)
    channel.ack(3, multiple=True)
    channel.ack(2)
    await unknown(channel, "ack", 2)


async def test_multiple_up_to_a_tag_settled_before(channel: ChannelDriver, name: str) -> None:
    await five(channel, name)
    channel.ack(3)
    channel.ack(3, multiple=True)
    await unknown(channel, "ack", 3)


async def test_the_tag_of_a_no_ack_delivery(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await fill(channel, name, b"1")
    await channel.consume(name, no_ack=True)
    await channel.next(Delivery)
    channel.ack(1)
    await unknown(channel, "ack", 1)


async def test_the_tag_of_another_channel(channel: ChannelDriver, name: str) -> None:
    other = await channel.peer.channel()
    await five(channel, name)
    other.ack(1)
    await unknown(other, "ack", 1)
    channel.ack(1)
    await channel.qos(0)


async def test_the_tag_from_before_a_requeue(channel: ChannelDriver, name: str) -> None:
    await five(channel, name)
    channel.nack(5, requeue=True)
    again = await channel.next(Delivery)
    assert again.delivery_tag == 6
    channel.ack(5)
    await unknown(channel, "ack", 5)


async def test_a_refused_tag_gives_all_unsettled_back(peer: Peer, name: str) -> None:
    channel, other = await peer.channel(), await peer.channel()
    await five(channel, name)
    channel.ack(99)
    with pytest.raises(Closed):
        await channel.call(Basic.Qos(), Basic.QosOk)
    await has_count(other, name, 5)
