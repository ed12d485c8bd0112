"""Queues that deliver by priority: classic ones with x-max-priority, and quorum queues."""

import pytest

from hopmq.wire import Delivery, Properties
from parity.channel import ChannelDriver
from parity.closed import refusal
from parity.queues import declare_kind, drain_soon, get_soon


async def fill_by(channel: ChannelDriver, name: str, priorities: list[int | None]) -> None:
    """Publish a message for each priority; its body says priority and turn."""
    publisher = await channel.peer.channel()
    await publisher.confirm()
    for turn, priority in enumerate(priorities):
        body = f"{priority}/{turn}".encode()
        properties = Properties(priority=priority)
        publisher.publish(body, routing_key=name, properties=properties)
        await publisher.any()
    await publisher.close()


def bodies(*texts: str) -> list[bytes]:
    """Return bodies of messages made by `fill_by`."""
    return [text.encode() for text in texts]


# --- classic -----------------------------------------------------------------------------------


@pytest.fixture
async def classic(channel: ChannelDriver, name: str) -> str:
    """Return a classic queue with priorities up to 5."""
    await channel.declare(name, arguments={"x-max-priority": 5})
    return name


async def test_higher_first_and_equal_ones_in_order(channel: ChannelDriver, classic: str) -> None:
    await fill_by(channel, classic, [1, 5, 0, 3, 5, 1])
    assert await channel.drain(classic) == bodies("5/1", "5/4", "3/3", "1/0", "1/5", "0/2")


async def test_above_the_maximum_counts_as_the_maximum(
    channel: ChannelDriver, classic: str
) -> None:
    await fill_by(channel, classic, [5, 9, 255, 4, 5])
    assert await channel.drain(classic) == bodies("5/0", "9/1", "255/2", "5/4", "4/3")


async def test_none_counts_as_zero(channel: ChannelDriver, classic: str) -> None:
    await fill_by(channel, classic, [None, 0, 1, None])
    assert await channel.drain(classic) == bodies("1/2", "None/0", "0/1", "None/3")


async def test_the_property_stays_as_it_was(channel: ChannelDriver, classic: str) -> None:
    await fill_by(channel, classic, [200, None])
    priorities = [(await get_soon(channel, classic)).properties.priority for _ in range(2)]
    assert priorities == [200, None]


async def test_what_is_requeued_goes_back_to_its_place(
    channel: ChannelDriver, classic: str
) -> None:
    await fill_by(channel, classic, [1, 2, 2, 1])
    for _ in range(3):
        await channel.get(classic, no_ack=False)
    for tag in (3, 1, 2):
        channel.nack(tag)
    assert await channel.drain(classic) == bodies("2/1", "2/2", "1/0", "1/3")


async def test_a_waiting_consumer_gets_what_comes(channel: ChannelDriver, classic: str) -> None:
    await channel.qos(1)
    await channel.consume(classic)
    await fill_by(channel, classic, [1, 2, 3])
    order = []
    for _ in range(3):
        delivery = await channel.next(Delivery)
        order.append(delivery.body)
        channel.ack(delivery.delivery_tag)
    assert order == bodies("1/0", "3/2", "2/1")


async def test_without_a_maximum_priorities_mean_nothing(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await fill_by(channel, name, [1, 5, 0])
    assert await channel.drain(name) == bodies("1/0", "5/1", "0/2")


async def test_a_full_queue_drops_what_would_be_delivered_next(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, arguments={"x-max-priority": 5, "x-max-length": 2})
    await fill_by(channel, name, [5, 1, 3])
    assert await channel.drain(name) == bodies("3/2", "1/1")


# --- quorum ------------------------------------------------------------------------------------

PRIORITIES = [None, 0, 3, 4, 5, 9, 5, 31, 32, 255, 1, 4]

QUORUM_ORDER = {
    "3.10": "None/0 0/1 3/2 4/3 5/4 9/5 5/6 31/7 32/8 255/9 1/10 4/11",
    "4.0": "5/4 9/5 None/0 5/6 31/7 0/1 32/8 255/9 3/2 4/3 1/10 4/11",
    "4.3": "31/7 32/8 255/9 9/5 5/4 5/6 None/0 4/3 4/11 3/2 1/10 0/1",
}
"""3.10 knows none; 4.0 has two levels and takes two of the higher for one of the lower, those
above 4 being the higher; 4.3 has 32 levels, and 4 is what a message without has."""


async def test_a_quorum_queue_has_priorities_of_its_own(
    channel: ChannelDriver, name: str, release: str
) -> None:
    await declare_kind(channel, name, "quorum")
    await fill_by(channel, name, [*PRIORITIES])
    order = bodies(*QUORUM_ORDER[release].split())
    assert await drain_soon(channel, name, len(order)) == order


async def test_what_a_quorum_queue_takes_back_comes_before_all_others(
    channel: ChannelDriver, name: str
) -> None:
    await declare_kind(channel, name, "quorum", {"x-delivery-limit": 10})
    await fill_by(channel, name, [1])
    await get_soon(channel, name, no_ack=False)
    await fill_by(channel, name, [9])
    channel.nack(1)
    assert await drain_soon(channel, name, 2) == bodies("1/0", "9/0")


async def test_a_quorum_queue_takes_no_maximum(channel: ChannelDriver, name: str) -> None:
    assert await refusal(declare_kind(channel, name, "quorum", {"x-max-priority": 5})) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '{name}' in vhost '/'"
            " of queue type rabbit_quorum_queue"
        ),
    )
