"""Which consumer gets which message, under which tags."""

import pytest

from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.queues import bodies_of, both_kinds, declare_kind, fill, quiet

SIX = [b"1", b"2", b"3", b"4", b"5", b"6"]


# --- delivery tags -----------------------------------------------------------------------------


async def test_tags_count_per_channel_over_all_consumers(channel: ChannelDriver, name: str) -> None:
    queues = [f"{name}-{each}" for each in "ab"]
    for queue in queues:
        await channel.declare(queue)
        await channel.consume(queue, queue)
    for number in range(1, 7):
        queue = queues[number % 2]
        channel.publish(routing_key=queue)
        delivery = await channel.next(Delivery)
        assert (delivery.delivery_tag, delivery.consumer_tag) == (number, queue)


async def test_gets_and_no_ack_deliveries_take_tags_too(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await fill(channel, name, *SIX)
    tags = []
    for no_ack in (True, False, True):
        message = await channel.get(name, no_ack=no_ack)
        assert message is not None
        tags.append(message.delivery_tag)
    await channel.consume(name, no_ack=True)
    tags += [each.delivery_tag for each in await channel.collect(Delivery, 3)]
    assert tags == [1, 2, 3, 4, 5, 6]


async def test_each_channel_begins_at_one(channel: ChannelDriver, name: str) -> None:
    other = await channel.peer.channel()
    await channel.declare(name)
    await fill(channel, name, b"1", b"2")
    for each in (channel, other):
        message = await each.get(name)
        assert message is not None
        assert message.delivery_tag == 1


async def test_a_get_tells_how_many_are_left(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await fill(channel, name, b"1", b"2", b"3")
    left = []
    while (message := await channel.get(name)) is not None:
        left.append((message.message_count, message.exchange, message.routing_key))
    assert left == [(2, "", name), (1, "", name), (0, "", name)]


# --- between consumers -------------------------------------------------------------------------


@both_kinds
async def test_consumers_take_turns(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, kind)
    for tag in "abc":
        await channel.consume(name, tag, no_ack=True)
    await fill(channel, name, *SIX)
    deliveries = await channel.collect(Delivery, 6)
    turns = "".join(each.consumer_tag for each in deliveries)
    assert sorted(turns[:3]) == ["a", "b", "c"]
    assert turns[3:] == turns[:3]
    assert [each.body for each in deliveries] == SIX


@both_kinds
async def test_a_full_consumer_misses_its_turn(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name, "full")
    await channel.qos(0)
    await channel.consume(name, "free", no_ack=True)
    await fill(channel, name, *SIX)
    tags = [each.consumer_tag for each in await channel.collect(Delivery, 6)]
    assert sorted(tags) == ["free"] * 5 + ["full"]


@both_kinds
async def test_what_was_there_goes_to_the_first_consumer(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, *SIX)
    await channel.consume(name, "first")
    assert await bodies_of(channel, 6) == SIX
    await channel.consume(name, "second")
    await channel.expect_silence(name)


# --- priorities of consumers -------------------------------------------------------------------


@both_kinds
async def test_the_higher_priority_gets_everything_while_it_has_room(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.qos(2)
    await channel.consume(name, "low", arguments={"x-priority": -1})
    await channel.consume(name, "none")
    await channel.consume(name, "high", arguments={"x-priority": 10})
    await fill(channel, name, *SIX)
    tags = [each.consumer_tag for each in await channel.collect(Delivery, 6)]
    assert tags == ["high", "high", "none", "none", "low", "low"]


@both_kinds
async def test_it_gets_the_next_one_as_soon_as_it_has_room_again(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name, "low")
    await channel.consume(name, "high", arguments={"x-priority": 1})
    await fill(channel, name, b"1", b"2", b"3", b"4")
    first, second = await channel.collect(Delivery, 2)
    assert (first.consumer_tag, second.consumer_tag) == ("high", "low")
    channel.ack(first.delivery_tag)
    third = await channel.next(Delivery)
    assert (third.consumer_tag, third.body) == ("high", b"3")
    channel.ack(second.delivery_tag)
    fourth = await channel.next(Delivery)
    assert (fourth.consumer_tag, fourth.body) == ("low", b"4")


@both_kinds
async def test_equal_priorities_take_turns(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, kind)
    for tag in "ab":
        await channel.consume(name, tag, no_ack=True, arguments={"x-priority": 5})
    await channel.consume(name, "low", no_ack=True)
    await fill(channel, name, *SIX)
    turns = [each.consumer_tag for each in await channel.collect(Delivery, 6)]
    assert sorted(turns[:2]) == ["a", "b"]
    assert turns == turns[:2] * 3


@both_kinds
async def test_cancelling_the_higher_one_leaves_all_to_the_others(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.consume(name, "low", no_ack=True)
    await channel.consume(name, "high", no_ack=True, arguments={"x-priority": 1})
    await channel.cancel("high")
    await fill(channel, name, b"1")
    assert (await channel.next(Delivery)).consumer_tag == "low"


# --- counts ------------------------------------------------------------------------------------


async def test_a_declare_counts_the_ready_and_the_consumers(
    channel: ChannelDriver, name: str
) -> None:
    other = await channel.peer.channel()
    await channel.declare(name)
    await channel.qos(1)
    await fill(channel, name, *SIX)
    await channel.consume(name)
    await channel.next(Delivery)
    await channel.get(name, no_ack=False)
    counted = await other.declare(name, passive=True)
    assert (counted.message_count, counted.consumer_count) == (4, 1)


@pytest.mark.parametrize("count", [1000])
async def test_order_is_kept_in_a_long_queue(channel: ChannelDriver, name: str, count: int) -> None:
    await channel.declare(name)
    bodies = [b"%d" % number for number in range(count)]
    for body in bodies:
        channel.publish(body, routing_key=name)
    await channel.consume(name, no_ack=True)
    assert await bodies_of(channel, count) == bodies
    await quiet(channel)
