"""How a single active consumer hands over: what it had not settled goes before all that follows."""

import asyncio

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.queues import declare_kind, fill
from parity.test_single_active_consumer import SINGLE

BODIES = [str(number).encode() for number in range(1, 31)]
WINDOW = 10
"""What each consumer may have unsettled: the next one gets no more at first, so order shows."""

ends = pytest.mark.parametrize("how", ["channel", "connection", "cut"])
all_kinds = pytest.mark.parametrize("kind", ["classic", "quorum", "quorum-with-limit"])


async def declare(channel: ChannelDriver, name: str, kind: str) -> None:
    """Declare a queue that has one consumer at a time."""
    kind, _, limited = kind.partition("-")
    limit: FieldTable = {"x-delivery-limit": 1000} if limited else {}
    await declare_kind(channel, name, kind, SINGLE | limit)


async def subscribe(channel: ChannelDriver, name: str) -> None:
    """Get in line."""
    await channel.qos(WINDOW)
    await channel.consume(name)


async def end(peer: Peer, channel: ChannelDriver, how: str) -> None:
    """Leave the line, as a member of a group may."""
    if how == "channel":
        await channel.close()
    elif how == "connection":
        await peer.close()
    else:
        peer.abort()


async def rest_of(channel: ChannelDriver, count: int) -> list[bytes]:
    """Take so many deliveries, settling each."""
    bodies = []
    for _ in range(count):
        delivery = await channel.next(Delivery)
        bodies.append(delivery.body)
        channel.ack(delivery.delivery_tag)
    return bodies


@all_kinds
@ends
@pytest.mark.parametrize("settled", [0, 1, 4])
async def test_the_next_one_begins_with_what_was_not_settled(
    peer: Peer, second_peer: Peer, name: str, kind: str, how: str, settled: int
) -> None:
    first, second = await peer.channel(), await second_peer.channel()
    await declare(second, name, kind)
    await subscribe(first, name)
    await subscribe(second, name)
    await fill(second, name, *BODIES)
    for delivery in await first.collect(Delivery, WINDOW):
        if delivery.delivery_tag <= settled:
            first.ack(delivery.delivery_tag)
    if how == "cut":
        await first.collect(Delivery, settled)  # which shows that the acks were taken
    await end(peer, first, how)
    assert await rest_of(second, len(BODIES) - settled) == BODIES[settled:]


@all_kinds
async def test_whoever_closes_its_channel_gets_in_line_again_at_its_end(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    channels = [await each.channel() for each in (peer, second_peer, peer)]
    await declare(channels[0], name, kind)
    for each in channels:
        await subscribe(each, name)
    await fill(channels[0], name, *BODIES)
    taken: list[bytes] = []
    for turn in range(6):
        active = channels.pop(0)
        got = await active.collect(Delivery, WINDOW)
        taken += [each.body for each in got[:3]]
        active.ack(got[2].delivery_tag, multiple=True)
        await active.close()
        again = await (second_peer if turn % 3 == 1 else peer).channel()
        await subscribe(again, name)
        channels.append(again)
    assert taken == BODIES[: len(taken)]
    assert await rest_of(channels[0], len(BODIES) - len(taken)) == BODIES[len(taken) :]


@all_kinds
async def test_acks_on_their_way_count_when_the_channel_is_closed_behind_them(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    first, second = await peer.channel(), await second_peer.channel()
    await declare(second, name, kind)
    await subscribe(first, name)
    await subscribe(second, name)
    await fill(second, name, *BODIES)
    for delivery in await first.collect(Delivery, WINDOW):
        first.ack(delivery.delivery_tag)
    closing = asyncio.ensure_future(first.close())
    received = await rest_of(second, 1)
    await closing
    assert int(received[0]) > WINDOW
    first_left = int(received[0])
    assert await rest_of(second, len(BODIES) - first_left) == BODIES[first_left:]


@all_kinds
async def test_one_that_settles_while_it_leaves_lets_nothing_overtake(
    peer: Peer, second_peer: Peer, name: str, kind: str
) -> None:
    """Whatever arrives meanwhile, the next begins where the settled ones end."""
    first, second = await peer.channel(), await second_peer.channel()
    await declare(second, name, kind)
    await subscribe(first, name)
    await subscribe(second, name)
    await fill(second, name, *BODIES[:15])
    for delivery in (await first.collect(Delivery, WINDOW))[:7]:
        first.ack(delivery.delivery_tag)
    filling = asyncio.ensure_future(fill(second, name, *BODIES[15:]))
    await first.close()
    await filling
    assert await rest_of(second, len(BODIES) - 7) == BODIES[7:]


@all_kinds
async def test_what_is_given_back_by_hand_comes_first_again(
    peer: Peer, name: str, kind: str, release: str
) -> None:
    """But for one of 3.10 that has no limit, which puts it last."""
    channel = await peer.channel()
    await declare(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name)
    await fill(channel, name, *BODIES[:3])
    channel.nack((await channel.next(Delivery)).delivery_tag)
    goes_last = (release, kind) == ("3.10", "quorum")
    assert await rest_of(channel, 3) == ([b"2", b"3", b"1"] if goes_last else [b"1", b"2", b"3"])
