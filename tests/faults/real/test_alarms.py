"""Memory and disk alarms: publishes are held and never lost, and consumers go on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import hopmq
from faults.outages.witness import Witness
from faults.traffic import Traffic
from hopmq.errors import PublishNotSentTimeoutError
from hopmq.events import Blocked, Unblocked
from hopmq.testing import RabbitMQ

SECONDS = 90.0

_DISK_INSTEAD_OF_MEMORY = """\
rabbit_disk_monitor:set_disk_free_limit(1000000000000000),
vm_memory_monitor:set_vm_memory_high_watermark(0.4).
"""
_ALL_IS_WELL = """\
vm_memory_monitor:set_vm_memory_high_watermark(0.4),
rabbit_disk_monitor:set_disk_free_limit(50000000).
"""


@pytest.fixture
async def alarmed(victim: RabbitMQ) -> AsyncIterator[RabbitMQ]:
    """Return a broker that has no alarm any more when the test is over."""
    yield victim
    await asyncio.to_thread(victim.evaluate, _ALL_IS_WELL)


async def test_publishes_are_held_and_consumers_go_on_until_the_last_alarm_is_over(
    alarmed: RabbitMQ, witness: Witness, traffic: Traffic, name: str
) -> None:
    connection = witness.connection
    channel = await connection.channel()
    await channel.declare_queue(name)
    await channel.publish_many([b"%d" % number for number in range(20)], routing_key=name)
    await asyncio.to_thread(alarmed.set_memory_alarm)
    await witness.until(Blocked)
    assert connection.state == "blocked"
    with pytest.raises(PublishNotSentTimeoutError, match="memory"):
        await channel.publish(b"not sent", routing_key=name, timeout=0.05)
    assert await consumed_elsewhere(alarmed, name) == 20
    await asyncio.to_thread(alarmed.evaluate, _DISK_INSTEAD_OF_MEMORY)
    assert connection.state == "blocked"
    assert not witness.of(Unblocked)
    await asyncio.to_thread(alarmed.evaluate, _ALL_IS_WELL)
    await witness.until(Unblocked)
    assert connection.state == "open"
    await traffic.goes_on()
    assert (await channel.delete_queue(name)) == 0, "what was not sent has not arrived"
    assert len(witness.of(Unblocked)) == 1


async def consumed_elsewhere(broker: RabbitMQ, queue: str) -> int:
    """Take and settle everything, by a connection that publishes nothing."""
    count = 0
    async with hopmq.connect(broker.url) as connection:
        channel = await connection.channel(prefetch=1)
        async with channel.consume(queue) as consumer:
            async for message in consumer:
                message.ack()
                count += 1
                if count == 20:
                    break
    return count
