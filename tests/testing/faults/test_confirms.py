"""Publishes that are refused, lost, returned, or confirmed in ways that a client must bear."""

import asyncio

import pytest

import hopmq
from hopmq import Channel, Connection, wire
from hopmq.broker import Broker
from hopmq.testing import Faults, TurnedClock
from parity.driver import Peer


@pytest.fixture
async def queue(connection: Connection, name: str) -> str:
    """Return an empty queue."""
    return (await connection.declare_queue(name)).name


def ready(broker: Broker, queue: str) -> int:
    """Return how many messages a queue has."""
    return broker.state.vhosts["/"].queues[queue].ready


async def test_the_next_publishes_are_nacked_and_those_after_them_not(
    broker: Broker, faults: Faults, channel: Channel, queue: str
) -> None:
    nack = faults.nack(times=2)
    for _ in range(2):
        with pytest.raises(hopmq.PublishNackedError):
            await channel.publish(b"", routing_key=queue)
    await channel.publish(b"", routing_key=queue)
    assert nack.hits == 2
    assert ready(broker, queue) == 1


async def test_a_nack_among_many_publishes_hits_its_own(
    faults: Faults, channel: Channel, queue: str
) -> None:
    faults.nack(nth=3)
    outcomes = await asyncio.gather(
        *(channel.publish(b"", routing_key=queue) for _ in range(5)), return_exceptions=True
    )
    refused = [isinstance(each, hopmq.PublishNackedError) for each in outcomes]
    assert refused == [False, False, True, False, False]


async def test_a_queue_says_which_publishes_are_nacked(
    faults: Faults, connection: Connection, channel: Channel, queue: str
) -> None:
    await connection.declare_queue("other")
    faults.on(queue="other").nack(times=None)
    await channel.publish(b"", routing_key=queue)
    with pytest.raises(hopmq.PublishNackedError):
        await channel.publish(b"", routing_key="other")


async def test_a_confirm_that_never_comes_leaves_the_outcome_open(
    broker: Broker, faults: Faults, channel: Channel, queue: str
) -> None:
    with faults.withhold_confirms(times=1):
        with pytest.raises(hopmq.PublishUnknownError):
            await channel.publish(b"", routing_key=queue, timeout=0.05)
        await channel.publish(b"", routing_key=queue)
    assert ready(broker, queue) == 2


async def test_a_released_confirm_arrives_late(
    faults: Faults, channel: Channel, queue: str
) -> None:
    held = faults.withhold_confirms(times=1)
    late = asyncio.ensure_future(channel.publish(b"", routing_key=queue))
    await held.happened()
    await channel.publish(b"overtakes", routing_key=queue)
    assert not late.done()
    held.release()
    await late


async def test_confirms_can_be_late_by_the_clock(name: str) -> None:
    clock = TurnedClock()
    async with (
        Broker(host=None, name=name, clock=clock, heartbeat=0) as broker,
        hopmq.connect(broker.url) as connection,
        connection.channel() as channel,
    ):
        await connection.declare_queue("q")
        Faults(broker).withhold_confirms(seconds=30)
        publish = asyncio.ensure_future(channel.publish(b"", routing_key="q", timeout=1000))
        await clock.advance(29)
        assert not publish.done()
        await clock.advance(1)
        await publish


async def test_a_late_confirm_for_a_closed_channel_is_not_sent(
    faults: Faults, connection: Connection, queue: str
) -> None:
    channel = await connection.channel()
    held = faults.withhold_confirms()
    publish = asyncio.ensure_future(channel.publish(b"", routing_key=queue))
    await held.happened()
    await channel.close()
    with pytest.raises(hopmq.PublishError):
        await publish
    held.release()
    assert await connection.declare_queue(queue)


async def test_confirms_come_one_by_one_the_last_first() -> None:
    async with Broker() as broker:
        peer = await Peer.open(broker.url)
        channel = await peer.channel()
        await channel.confirm()
        Faults(broker).reorder_confirms(3)
        for _ in range(4):
            channel.publish(b"", routing_key="nowhere")
        acks = await channel.collect(wire.active.Ack, 4)
        assert [ack.delivery_tag for ack in acks] == [3, 2, 1, 4]
        assert not any(ack.multiple for ack in acks)
        await peer.close()


async def test_the_client_bears_confirms_out_of_order(
    faults: Faults, channel: Channel, queue: str
) -> None:
    reordered = faults.reorder_confirms(5)
    await asyncio.gather(*(channel.publish(b"", routing_key=queue) for _ in range(8)))
    assert reordered.hits == 5


async def test_confirms_that_wait_for_more_publishes_are_released(
    faults: Faults, channel: Channel, queue: str
) -> None:
    reordered = faults.reorder_confirms(5)
    publish = asyncio.ensure_future(channel.publish(b"", routing_key=queue))
    await reordered.happened()
    reordered.cancel()
    await publish


async def test_a_confirm_that_is_duplicated_comes_twice() -> None:
    async with Broker() as broker:
        peer = await Peer.open(broker.url)
        channel = await peer.channel()
        await channel.confirm()
        Faults(broker).duplicate_confirms()
        for _ in range(2):
            channel.publish(b"", routing_key="nowhere")
        acks = await channel.collect(wire.active.Ack, 3)
        assert [ack.delivery_tag for ack in acks] == [1, 1, 2]
        await peer.close()


async def test_the_client_bears_confirms_that_come_twice(
    faults: Faults, channel: Channel, queue: str
) -> None:
    twice = faults.duplicate_confirms(times=3)
    await asyncio.gather(*(channel.publish(b"", routing_key=queue) for _ in range(6)))
    assert twice.hits == 3
    assert channel.is_open


async def test_a_mandatory_publish_is_returned_though_its_queue_is_there(
    broker: Broker, faults: Faults, channel: Channel, queue: str
) -> None:
    faults.unroutable()
    with pytest.raises(hopmq.PublishReturnedError):
        await channel.publish(b"", routing_key=queue, mandatory=True)
    await channel.publish(b"", routing_key=queue, mandatory=True)
    assert ready(broker, queue) == 1


async def test_another_publish_is_lost_as_where_no_queue_is_bound(
    broker: Broker, faults: Faults, channel: Channel, queue: str
) -> None:
    faults.unroutable()
    await channel.publish(b"", routing_key=queue, mandatory=False)
    assert ready(broker, queue) == 0


async def test_channels_opened_later_are_meant_as_well(
    faults: Faults, connection: Connection, queue: str
) -> None:
    faults.nack()
    async with connection.channel() as channel:
        with pytest.raises(hopmq.PublishNackedError):
            await channel.publish(b"", routing_key=queue)
