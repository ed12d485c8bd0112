"""Messages that come back: where they stand, how they are marked, and who gets them next."""

import pytest
from pamqp.commands import Basic

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.driver import Peer
from parity.queues import both_kinds, declare_kind, drain_soon, fill, get_soon, has_count

FIVE = [b"1", b"2", b"3", b"4", b"5"]
SEVEN = [*FIVE, b"6", b"7"]


async def got(channel: ChannelDriver, name: str, count: int) -> None:
    """Get so many messages and leave them unsettled."""
    for _ in range(count):
        await get_soon(channel, name, no_ack=False)


# --- the place in the queue --------------------------------------------------------------------

ORDERS = [[2], [1], [5], [2, 3], [3, 1, 2], [5, 4, 3, 2, 1]]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("how", ["nack", "reject"])
async def test_a_classic_queue_takes_messages_back_to_their_places(
    peer: Peer, name: str, order: list[int], how: str
) -> None:
    channel = await peer.channel()
    await declare_kind(channel, name, "classic")
    await fill(channel, name, *SEVEN)
    await got(channel, name, 5)
    for tag in order:
        getattr(channel, how)(tag)
    expected = [SEVEN[tag - 1] for tag in sorted(order)] + SEVEN[5:]
    assert await channel.drain(name) == expected


def quorum_order(release: str, limit: int | None, returned: list[bytes]) -> list[bytes]:
    """Returned messages come first, in the order of their return; 3.10 needs a delivery limit."""
    if release == "3.10" and limit is None:
        return SEVEN[5:] + returned
    return returned + SEVEN[5:]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("limit", [None, 10])
async def test_a_quorum_queue_takes_messages_back_in_the_order_of_their_return(
    peer: Peer, name: str, release: str, order: list[int], limit: int | None
) -> None:
    channel = await peer.channel()
    arguments: FieldTable = {} if limit is None else {"x-delivery-limit": limit}
    await declare_kind(channel, name, "quorum", arguments)
    await fill(channel, name, *SEVEN)
    await got(channel, name, 5)
    for tag in order:
        channel.nack(tag)
    expected = quorum_order(release, limit, [SEVEN[tag - 1] for tag in order])
    assert await drain_soon(channel, name, len(expected)) == expected


@both_kinds
async def test_all_at_once_come_back_in_their_order(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await got(channel, name, 5)
    channel.nack(0, multiple=True)
    assert await drain_soon(channel, name, 5) == FIVE


@both_kinds
@pytest.mark.parametrize("how", ["close", "cut"])
async def test_a_channel_or_connection_that_ends_gives_back_in_order(
    peer: Peer, second_peer: Peer, name: str, kind: str, how: str
) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await got(channel, name, 3)
    await channel.qos(0)
    if how == "close":
        await channel.close()
    else:
        peer.abort()
    await has_count(other, name, 5)
    assert await drain_soon(other, name, 5) == FIVE


# --- redelivered -------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("how", ["nack", "reject", "recover"])
async def test_what_comes_back_is_marked_redelivered(
    channel: ChannelDriver, name: str, kind: str, how: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1")
    await channel.consume(name)
    for number in range(1, 4):
        delivery = await channel.next(Delivery)
        assert (delivery.delivery_tag, delivery.redelivered) == (number, number > 1)
        if how == "recover":
            await channel.recover()
        else:
            getattr(channel, how)(number)


@both_kinds
async def test_the_mark_does_not_depend_on_the_consumer(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1", b"2")
    await channel.qos(1)
    await channel.consume(name)
    await channel.next(Delivery)
    await channel.close()
    marks = {}
    for _ in range(2):
        message = await get_soon(other, name)
        marks[message.body] = message.redelivered
    assert marks == {b"1": True, b"2": False}


async def test_a_classic_queue_marks_only_what_was_sent(
    peer: Peer, second_peer: Peer, name: str
) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await channel.declare(name)
    await fill(channel, name, *FIVE)
    await got(channel, name, 2)
    await peer.close()
    await has_count(other, name, len(FIVE))
    marks = [(await get_soon(other, name)).redelivered for _ in FIVE]
    assert marks == [True, True, False, False, False]


# --- who gets it -------------------------------------------------------------------------------


async def test_the_rejecting_consumer_may_get_it_again(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await fill(channel, name, b"1")
    await channel.consume(name, "only")
    for _ in range(3):
        delivery = await channel.next(Delivery)
        channel.reject(delivery.delivery_tag)
    assert (await channel.next(Delivery)).redelivered


@both_kinds
async def test_another_consumer_gets_it_when_the_first_one_leaves(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    channel, other = await peer.channel(), await second_peer.channel()
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await channel.consume(name)
    await channel.collect(Delivery, 5)
    await other.consume(name)
    await channel.close()
    deliveries = await other.collect(Delivery, 5)
    assert [each.body for each in deliveries] == FIVE
    assert all(each.redelivered for each in deliveries)


@both_kinds
async def test_a_requeued_message_takes_the_place_it_leaves(
    channel: ChannelDriver, name: str, release: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await channel.qos(2)
    await channel.consume(name)
    await channel.collect(Delivery, 2)
    channel.nack(2)
    again = await channel.next(Delivery)
    tail = kind == "quorum" and release == "3.10"  # as above: no delivery limit
    assert (again.body, again.redelivered) == ((b"3", False) if tail else (b"2", True))
    assert again.delivery_tag == 3
    await channel.expect_silence(name)


# --- recover -----------------------------------------------------------------------------------


@both_kinds
async def test_recover_brings_everything_unsettled_again(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await channel.consume(name)
    await channel.collect(Delivery, 5)
    channel.ack(2)
    await channel.recover()
    again = await channel.collect(Delivery, 4)
    assert [(each.body, each.delivery_tag) for each in again] == [
        (b"1", 6),
        (b"3", 7),
        (b"4", 8),
        (b"5", 9),
    ]


@both_kinds
async def test_recover_gives_back_what_was_got(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)
    await got(channel, name, 5)
    await channel.recover()
    assert await drain_soon(channel, name, 5) == FIVE


async def test_recover_async_does_the_same_without_an_answer(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name)
    await fill(channel, name, b"1")
    await channel.consume(name)
    await channel.next(Delivery)
    channel.send(Basic.RecoverAsync, requeue=True)
    assert (await channel.next(Delivery)).redelivered
    await channel.expect_silence(name)


async def test_recover_without_anything_unsettled(channel: ChannelDriver) -> None:
    await channel.recover()


async def test_recover_to_the_same_consumer_is_not_implemented(peer: Peer) -> None:
    channel = await peer.channel()
    assert await refusal(channel.recover(requeue=False)) == (
        "connection",
        540,
        "NOT_IMPLEMENTED - requeue=false",
    )
    assert peer.closed is not None
    assert peer.closed.blamed == (60, 110)
