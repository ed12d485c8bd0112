"""Prefetch: how many unsettled messages a consumer or a channel may hold."""

import pytest

from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.driver import Peer
from parity.queues import SHORT, bodies_of, both_kinds, declare_kind, fill, quiet
from parity.waiting import pass_time

FIVE = [b"1", b"2", b"3", b"4", b"5"]


async def five(channel: ChannelDriver, name: str, kind: str = "classic") -> None:
    """Declare a queue with five messages."""
    await declare_kind(channel, name, kind)
    await fill(channel, name, *FIVE)


# --- per consumer ------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("count", [1, 2, 4])
async def test_a_consumer_gets_no_more_than_its_prefetch(
    channel: ChannelDriver, name: str, kind: str, count: int
) -> None:
    await five(channel, name, kind)
    await channel.qos(count)
    await channel.consume(name)
    assert await bodies_of(channel, count) == FIVE[:count]
    await silence(channel, name, kind)


async def silence(channel: ChannelDriver, name: str, kind: str) -> None:
    """Prove that no more comes, by an answer of the queue without touching the prefetch."""
    if kind == "quorum":
        await pass_time(SHORT)
    await channel.expect_silence(name)


@both_kinds
async def test_without_prefetch_everything_comes(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await five(channel, name, kind)
    await channel.consume(name)
    assert await bodies_of(channel, 5) == FIVE


@both_kinds
@pytest.mark.parametrize("how", ["ack", "reject", "drop"])
async def test_each_settled_message_makes_room_for_one(
    channel: ChannelDriver, name: str, kind: str, how: str
) -> None:
    await five(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name)
    for body in FIVE:
        delivery = await channel.next(Delivery)
        assert delivery.body == body
        await silence(channel, name, kind)
        if how == "ack":
            channel.ack(delivery.delivery_tag)
        elif how == "reject":
            channel.reject(delivery.delivery_tag, requeue=False)
        else:
            channel.nack(delivery.delivery_tag, requeue=False)


@both_kinds
async def test_a_multiple_ack_makes_room_for_all(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await five(channel, name, kind)
    await channel.qos(3)
    await channel.consume(name)
    await channel.collect(Delivery, 3)
    channel.ack(3, multiple=True)
    assert await bodies_of(channel, 2) == FIVE[3:]


@both_kinds
async def test_no_ack_knows_no_prefetch(channel: ChannelDriver, name: str, kind: str) -> None:
    await five(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name, no_ack=True)
    assert await bodies_of(channel, 5) == FIVE


@both_kinds
async def test_each_consumer_has_the_prefetch_to_itself(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await five(channel, name, kind)
    await channel.qos(2)
    await channel.consume(name, "a")
    await channel.consume(name, "b")
    tags = sorted(each.consumer_tag for each in await channel.collect(Delivery, 4))
    assert tags == ["a", "a", "b", "b"]
    await silence(channel, name, kind)


@both_kinds
async def test_a_new_prefetch_is_for_new_consumers(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await five(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name, "one")
    await channel.next(Delivery)
    await channel.qos(3)
    await silence(channel, name, kind)
    await channel.consume(name, "three")
    assert {each.consumer_tag for each in await channel.collect(Delivery, 3)} == {"three"}
    await silence(channel, name, kind)


@both_kinds
async def test_messages_that_were_got_do_not_count(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await five(channel, name, kind)
    await channel.qos(1)
    for _ in range(3):
        assert await channel.get(name, no_ack=False) is not None
    await channel.consume(name)
    assert await bodies_of(channel, 1) == FIVE[3:4]
    await silence(channel, name, kind)


@both_kinds
async def test_cancel_makes_no_room_for_another_consumer_but_its_own(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await five(channel, name, kind)
    await channel.qos(1)
    tag = await channel.consume(name)
    await channel.next(Delivery)
    await channel.cancel(tag)
    await channel.consume(name, "again")
    assert (await channel.next(Delivery)).body == b"2"
    await silence(channel, name, kind)


@pytest.mark.parametrize("count", [0, 1, 65535])
async def test_any_count_is_taken(channel: ChannelDriver, count: int) -> None:
    await channel.qos(count)


async def test_a_prefetch_in_bytes_is_not_implemented(peer: Peer) -> None:
    channel = await peer.channel()
    assert await refusal(channel.qos(1, size=1)) == (
        "connection",
        540,
        "NOT_IMPLEMENTED - prefetch_size!=0 (1)",
    )
    assert peer.closed is not None
    assert peer.closed.blamed == (60, 10)


# --- per channel -------------------------------------------------------------------------------

PER_CONSUMER = {"4.3"}
"""Releases that take a prefetch of the whole channel for one of each consumer."""


@pytest.fixture
def _permitted(release: str) -> None:
    """Leave out the releases that have no prefetch of the whole channel."""
    if release in PER_CONSUMER:
        pytest.skip("not permitted by this release")


async def test_a_prefetch_of_the_channel_or_of_each_consumer(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await five(channel, name)
    await channel.qos(1, global_=True)
    await channel.consume(name, "a")
    await channel.consume(name, "b")
    expected = ["a", "b"] if release in PER_CONSUMER else ["a"]
    deliveries = await channel.collect(Delivery, len(expected))
    assert [each.consumer_tag for each in deliveries] == expected
    await channel.expect_silence(name)


@pytest.mark.usefixtures("_permitted")
class TestGlobal:
    async def test_all_consumers_of_the_channel_share_it(
        self, channel: ChannelDriver, name: str
    ) -> None:
        await five(channel, name)
        await channel.qos(3, global_=True)
        await channel.consume(name, "a")
        await channel.consume(name, "b")
        await channel.collect(Delivery, 3)
        await channel.expect_silence(name)
        channel.ack(1)
        await channel.next(Delivery)
        await channel.expect_silence(name)

    async def test_it_takes_effect_on_consumers_that_are_there(
        self, channel: ChannelDriver, name: str
    ) -> None:
        await channel.declare(name, durable=True)
        await channel.consume(name)
        await channel.qos(2, global_=True)
        await fill(channel, name, *FIVE)
        assert await bodies_of(channel, 2) == FIVE[:2]
        await channel.expect_silence(name)

    async def test_raising_it_lets_more_through(self, channel: ChannelDriver, name: str) -> None:
        await five(channel, name)
        await channel.qos(1, global_=True)
        await channel.consume(name)
        await channel.next(Delivery)
        await channel.qos(3, global_=True)
        assert await bodies_of(channel, 2) == FIVE[1:3]
        await channel.qos(0, global_=True)
        assert await bodies_of(channel, 2) == FIVE[3:]

    async def test_lowering_it_waits_until_enough_is_settled(
        self, channel: ChannelDriver, name: str
    ) -> None:
        await five(channel, name)
        await channel.qos(3, global_=True)
        await channel.consume(name)
        await channel.collect(Delivery, 3)
        await channel.qos(1, global_=True)
        channel.ack(1)
        channel.ack(2)
        await channel.expect_silence(name)
        channel.ack(3)
        assert await bodies_of(channel, 1) == FIVE[3:4]
        await channel.expect_silence(name)

    async def test_both_limits_hold_if_the_channels_came_last(
        self, channel: ChannelDriver, name: str
    ) -> None:
        await five(channel, name)
        await channel.qos(2)
        await channel.qos(3, global_=True)
        await channel.consume(name, "a")
        await channel.consume(name, "b")
        deliveries = await channel.collect(Delivery, 3)
        assert sorted(each.consumer_tag for each in deliveries) == ["a", "a", "b"]
        await channel.expect_silence(name)

    async def test_one_for_consumers_takes_the_channels_away(
        self, channel: ChannelDriver, name: str
    ) -> None:
        await five(channel, name)
        await channel.qos(1, global_=True)
        await channel.qos(2)
        await channel.consume(name, "a")
        await channel.consume(name, "b")
        await channel.collect(Delivery, 4)
        await channel.expect_silence(name)

    async def test_a_quorum_queue_cannot_be_consumed_under_it(self, peer: Peer, name: str) -> None:
        channel = await peer.channel()
        await declare_kind(channel, name, "quorum")
        await channel.qos(3, global_=True)
        assert await refusal(channel.consume(name)) == (
            "connection",
            540,
            f"NOT_IMPLEMENTED - queue '{name}' in vhost '/' does not support global qos",
        )


async def test_channels_are_apart(channel: ChannelDriver, name: str) -> None:
    other = await channel.peer.channel()
    await five(channel, name)
    await channel.qos(1)
    await channel.consume(name)
    await channel.next(Delivery)
    await other.consume(name)
    assert await bodies_of(other, 4) == FIVE[1:]
    await quiet(channel)
