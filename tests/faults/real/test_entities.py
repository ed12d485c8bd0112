"""Queues that others delete or declare otherwise, and channels that make mistakes, under load."""

import asyncio
from contextlib import suppress

import hopmq
from faults.outages.witness import Witness, recovering
from faults.traffic import Traffic
from hopmq import Queue
from hopmq.errors import (
    ConnectionForcedError,
    NotFoundError,
    PreconditionFailedError,
    PublishReturnedError,
)
from hopmq.events import (
    ChannelLost,
    ConsumerLost,
    ConsumerRestored,
    EntityFailed,
    Recovered,
    Recovering,
)
from hopmq.testing import RabbitMQ

SECONDS = 90.0
UNKNOWN_TAG = 4711


async def test_a_queue_that_others_delete_is_declared_again(
    victim: RabbitMQ, witness: Witness, traffic: Traffic, name: str
) -> None:
    channel = await witness.connection.channel()
    for queue in (Queue.quorum(f"{name}-q"), Queue(f"{name}-c")):
        # Lost twice, where the queue was still being deleted when it was declared again.
        lost_before, restored = len(witness.of(ConsumerLost)), len(witness.of(ConsumerRestored))
        await witness.connection.declare_queue(queue)
        await witness.connection.bind(queue, "amq.topic", f"{queue.name}.#")
        consumer = await channel.consume(queue)
        async with hopmq.connect(victim.url) as other:
            await other.delete_queue(queue)
        lost = await witness.until(ConsumerLost, lost_before + 1)
        assert lost.queue == queue.name
        await witness.until(ConsumerRestored, restored + 1)
        again = asyncio.ensure_future(anext(consumer))
        while not again.done():  # what goes to a queue that is still being deleted, is lost
            with suppress(PublishReturnedError):
                await channel.publish(
                    b"again", exchange="amq.topic", routing_key=f"{queue.name}.x", mandatory=True
                )
            await asyncio.wait([again], timeout=0.2)
        message = await again
        assert message.body == b"again"
        message.ack()
        await witness.connection.delete_queue(queue)
    await traffic.goes_on()


async def test_mistakes_cost_their_own_channels(witness: Witness, traffic: Traffic) -> None:
    connection = witness.connection
    wrong_ack, wrong_publish = await connection.channel(), await connection.channel()
    wrong_ack._core._write_ack(UNKNOWN_TAG, multiple=False)
    wrong_publish.publish_nowait(b"", exchange="no-such-exchange")
    await witness.until(ChannelLost, 2)
    assert {type(lost.error): lost.reopened for lost in witness.of(ChannelLost)} == {
        PreconditionFailedError: False,
        NotFoundError: False,
    }
    await traffic.goes_on()
    assert not wrong_ack.is_open
    assert not wrong_publish.is_open


async def test_connections_that_an_operator_closes_find_a_queue_declared_otherwise(
    victim: RabbitMQ, witness: Witness, traffic: Traffic, name: str
) -> None:
    connection = witness.connection
    await connection.declare_queue(name)
    async with recovering(victim.url) as other:
        await other.connection.delete_queue(name)
        await other.connection.declare_queue(name, arguments={"x-max-length": 5})
        await asyncio.to_thread(victim.close_connections, "for maintenance")
        ended = await witness.until(Recovering)
        assert isinstance(ended.error, ConnectionForcedError)
        assert "for maintenance" in str(ended.error)
        failed = await witness.until(EntityFailed)
        assert isinstance(failed.entity, Queue)
        assert failed.entity.name == name
        assert isinstance(failed.error, PreconditionFailedError)
        await witness.until(Recovered)
        await traffic.goes_on()
        assert len(witness.of(EntityFailed)) == 1
        await other.connection.delete_queue(name)
    await declared_as_ours(victim, name)
    await connection.delete_queue(name)


async def declared_as_ours(broker: RabbitMQ, name: str) -> None:
    """Return when a queue is there with the arguments of a plain one."""
    async with hopmq.connect(broker.url) as connection:
        while True:
            try:
                await connection.declare_queue(name, passive=True)
                await connection.declare_queue(name)
            except (NotFoundError, PreconditionFailedError):
                await asyncio.sleep(0.02)
            else:
                return
