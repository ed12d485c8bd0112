"""A delivery that is not settled in time costs its own channel or consumer, and says so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from conftest import RunningBroker
from faults.outages.witness import Witness, recovering
from hopmq import Channel, Consumer, Message, Queue
from hopmq.errors import PreconditionFailedError
from hopmq.events import ChannelLost, ConsumerLost, ConsumerRestored
from hopmq.testing import RabbitMQ
from parity.conditions import set_delivery_timeout

SECONDS = 60.0

PATIENCE = 400
"""Milliseconds that a delivery may stay unsettled."""

CANCELS_CONSUMERS = "4.3"
"""Release from which it is the consumer that ends, and not its channel."""


@pytest.fixture(scope="module")
async def impatient(victim_of_all: RabbitMQ) -> AsyncIterator[RabbitMQ]:
    """Return a broker that waits for settlements for a short time only."""
    victim = victim_of_all
    running = RunningBroker(label="victim", url=victim.url, rabbitmq=victim)
    await asyncio.to_thread(victim.start)
    await set_delivery_timeout(running, PATIENCE)
    yield victim
    await set_delivery_timeout(running, None)


class Holder:
    """A consumer that has one of two messages, and does not settle it."""

    channel: Channel
    consumer: Consumer
    message: Message

    @classmethod
    async def on(cls, witness: Witness, name: str) -> "Holder":
        """Consume from a new queue."""
        self = cls()
        self.channel = await witness.connection.channel(prefetch=1)
        await self.channel.declare_queue(Queue.quorum(name))
        await self.channel.publish_many([b"1", b"2"], routing_key=name)
        self.consumer = await self.channel.consume(name)
        self.message = await anext(self.consumer)
        return self

    async def settle_rest(self) -> None:
        """Take both messages, and settle them in time."""
        found = set()
        while found != {b"1", b"2"}:
            message = await anext(self.consumer)
            found.add(message.body)
            message.ack()


async def others_go_on(witness: Witness, name: str) -> None:
    """See that another channel works."""
    async with witness.connection.channel() as other:
        await other.publish(b"", routing_key=f"{name}-nowhere")
    await witness.connection.delete_queue(name)


async def test_its_end_is_named_and_nobody_else_is_affected(impatient: RabbitMQ, name: str) -> None:
    async with recovering(impatient.url) as witness:
        holder = await Holder.on(witness, name)
        if impatient.version.startswith(CANCELS_CONSUMERS):
            await witness.until(ConsumerLost)
            await witness.until(ConsumerRestored)
            holder.message.ack()  # too late, and no harm
            await holder.settle_rest()
            assert holder.channel.is_open
            assert not witness.of(ChannelLost)
        else:
            lost = await witness.until(ChannelLost)
            assert not lost.reopened
            assert isinstance(lost.error, PreconditionFailedError)
            assert "delivery acknowledgement" in str(lost.error)
            with pytest.raises(PreconditionFailedError, match="timed out"):
                await holder.consumer.wait_closed()
            assert not holder.channel.is_open
            assert not holder.message.ack(), "it went back to its queue"
        await others_go_on(witness, name)


async def test_its_channel_is_opened_again_where_that_is_asked_for(
    impatient: RabbitMQ, name: str
) -> None:
    policy: dict[str, Any] = {"reopen_channels": True}
    async with recovering(impatient.url, policy=policy) as witness:
        holder = await Holder.on(witness, name)
        lost = witness.until(
            ConsumerLost if impatient.version.startswith(CANCELS_CONSUMERS) else ChannelLost
        )
        await lost
        assert not witness.of(ChannelLost) or witness.of(ChannelLost)[0].reopened
        async with asyncio.timeout(20):
            await holder.settle_rest()
        assert holder.channel.is_open
        assert holder.consumer.is_active
        await others_go_on(witness, name)
