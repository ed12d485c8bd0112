"""Queues that are deleted, or are not what they were: what was ours is put back, alone."""

import asyncio

import pytest

import hopmq
from faults.ends import soon
from hopmq import Message, Queue
from hopmq.broker import Broker
from hopmq.errors import ConsumerCancelledError, NotFoundError, PreconditionFailedError
from hopmq.events import ConsumerLost, ConsumerRestored, EntityFailed, Recovered
from hopmq.resilience.backoff import GiveUpAfter
from hopmq.testing.faults import Faults

from .witness import QUICK, recovering


class Inbox:
    """A handler that settles and keeps what it gets."""

    def __init__(self) -> None:
        self.bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def __call__(self, message: Message) -> None:
        message.ack()
        self.bodies.put_nowait(message.body)

    async def next(self) -> bytes:
        return await soon(self.bodies.get())


async def test_a_deleted_queue_is_declared_again_with_its_bindings_and_consumers(
    embedded: Broker, faults: Faults
) -> None:
    async with recovering(embedded.url) as witness:
        connection, inbox = witness.connection, Inbox()
        channel = await connection.channel()
        await connection.declare(hopmq.Exchange.topic("events"), Queue.quorum("ours"))
        await connection.bind("ours", "events", "order.*")
        consumer = await channel.consume("ours", inbox)
        faults.delete_queue("ours")
        lost = await soon(witness.until(ConsumerLost))
        assert (lost.consumer_tag, lost.queue) == (consumer.consumer_tag, "ours")
        assert isinstance(lost.error, ConsumerCancelledError)
        await soon(witness.until(ConsumerRestored))
        assert consumer.is_active
        await channel.publish(b"after", exchange="events", routing_key="order.paid", mandatory=True)
        assert await inbox.next() == b"after"
        assert len(witness.of(ConsumerLost)) == 1
        assert not witness.of(EntityFailed)
        assert embedded.state.vhosts["/"].queue("ours").arguments["x-queue-type"] == "quorum"


async def test_a_queue_that_was_still_being_deleted_is_declared_once_more(
    embedded: Broker, faults: Faults
) -> None:
    # RabbitMQ cancels consumers before it forgets the queue, and takes a declare in between.
    async with recovering(embedded.url) as witness:
        channel = await witness.connection.channel()
        await channel.declare_queue("ours")
        consumer = await channel.consume("ours")
        declares = faults.stall("Queue.Declare", direction="to_broker", times=None, seconds=0.001)
        refused = faults.refuse("Basic.Consume", code=404)
        faults.delete_queue("ours")
        await soon(witness.until(ConsumerRestored))
        assert consumer.is_active
        assert refused.hits == 1
        assert declares.hits == 2


async def test_an_exchange_that_was_still_being_deleted_is_declared_once_more(
    embedded: Broker, faults: Faults
) -> None:
    # RabbitMQ agrees to its declare then, and ignores it.
    async with recovering(embedded.url) as witness:
        connection = witness.connection
        await connection.declare(hopmq.Exchange.fanout("ours"), Queue("one"), Queue("other"))
        await connection.bind("one", "ours")
        await connection.bind("other", "ours")
        refused = faults.refuse("Queue.Bind", code=404, nth=2)
        await embedded.restart(keep=False)
        await soon(refused.happened())
        vhost = embedded.state.vhosts["/"]
        vhost.delete_exchange(vhost.exchanges["ours"])
        await soon(recovery_at_rest(connection))
        channel = await connection.channel()
        await channel.publish(b"both", exchange="ours", mandatory=True)
        for queue in ("one", "other"):
            assert await soon(channel.get(queue, no_ack=True)) is not None


async def test_a_queue_of_others_is_looked_for_until_it_is_back(
    embedded: Broker, faults: Faults
) -> None:
    async with hopmq.connect(embedded.url) as other, recovering(embedded.url) as witness:
        await other.declare_queue("theirs")
        channel, inbox = await witness.connection.channel(), Inbox()
        consumer = await channel.consume("theirs", inbox)
        await other.delete_queue("theirs")
        absent = await soon(witness.until(ConsumerLost, 2))
        assert isinstance(absent.error, NotFoundError)
        assert not consumer.is_active
        assert consumer.is_wanted
        assert "theirs" not in embedded.state.vhosts["/"].queues
        await channel.publish(b"others go on", routing_key="nowhere")
        await other.declare_queue("theirs")
        await soon(witness.until(ConsumerRestored))
        await channel.publish(b"back", routing_key="theirs", mandatory=True)
        assert await inbox.next() == b"back"
        assert len(witness.of(ConsumerLost)) == 2, "each reason is told once, not each attempt"


async def test_a_queue_that_was_deleted_from_here_ends_its_consumers(embedded: Broker) -> None:
    async with recovering(embedded.url) as witness:
        channel = await witness.connection.channel()
        await channel.declare_queue("ours")
        consumer = await channel.consume("ours")
        await channel.delete_queue("ours")
        with pytest.raises(ConsumerCancelledError, match="ours"):
            await soon(anext(consumer))
        assert not consumer.is_wanted
        assert not witness.of(ConsumerLost)
        assert "ours" not in embedded.state.vhosts["/"].queues
        await channel.publish(b"the channel lives", routing_key="nowhere")


async def test_messages_that_nobody_had_read_can_be_settled_after_the_broker_cancels(
    embedded: Broker, faults: Faults
) -> None:
    # Left unsettled, they would cost the channel once the broker's patience is over.
    async with recovering(embedded.url) as witness:
        channel = await witness.connection.channel(prefetch=2)
        await channel.declare_queue("busy")
        await channel.publish_many([b"1", b"2", b"3"], routing_key="busy")
        consumer = await channel.consume("busy")
        first = await soon(anext(consumer))
        faults.cancel_consumers()
        await soon(witness.until(ConsumerRestored))
        assert first.ack()
        bodies = []
        async with asyncio.timeout(5):
            async for message in consumer:
                bodies.append(message.body)
                message.ack()
                if len(bodies) == 2:
                    break
        assert sorted(bodies) == [b"2", b"3"]
        assert not channel._core.deliveries.unsettled


async def hold_off(witness_of: str, faults: Faults) -> hopmq.testing.faults.Fault:
    """Keep one connection from coming back, until this is cancelled."""
    return faults.on(connection=witness_of).refuse("Connection.Open", code=541, times=None)


async def test_a_queue_that_is_another_one_now_is_told_of_once_and_the_rest_lives(
    embedded: Broker, faults: Faults
) -> None:
    names = [f"q{number}" for number in range(5)]
    async with recovering(embedded.url, name="ours") as witness:
        connection = witness.connection
        channel = await connection.channel()
        inboxes = {name: Inbox() for name in names}
        for name in names:
            await connection.declare_queue(name)
            await channel.consume(name, inboxes[name])
        held_off = await hold_off("ours", faults)
        await embedded.restart(keep=False)
        async with hopmq.connect(embedded.url) as other:
            await other.declare_queue("q2", arguments={"x-max-length": 5})
            held_off.cancel()
            await soon(witness.until(Recovered))
            failed = await soon(witness.until(EntityFailed))
            assert isinstance(failed.entity, Queue)
            assert failed.entity.name == "q2"
            assert isinstance(failed.error, PreconditionFailedError)
            assert "x-max-length" in str(failed.error)
            for name in (name for name in names if name != "q2"):
                await channel.publish(name.encode(), routing_key=name, mandatory=True)
                assert await inboxes[name].next() == name.encode()
            assert connection.state == "open"
            await soon(declares(faults, 3))
            assert len(witness.of(EntityFailed)) == 1
            await other.delete_queue("q2")
        await soon(until_active(channel, 5))
        await channel.publish(b"healed", routing_key="q2", mandatory=True)
        assert await inboxes["q2"].next() == b"healed"


async def declares(faults: Faults, count: int) -> None:
    """Return when so many declares have come from now on."""
    seen = faults.stall("Queue.Declare", direction="to_broker", times=None, seconds=0.001)
    while seen.hits < count:
        await asyncio.sleep(0.005)
    seen.cancel()


async def until_active(channel: hopmq.Channel, count: int) -> None:
    """Return when so many consumers of a channel are active."""
    while sum(consumer.is_active for consumer in channel.consumers()) < count:
        await asyncio.sleep(0.005)


async def test_what_is_declared_anew_meanwhile_is_what_is_restored(
    embedded: Broker, faults: Faults
) -> None:
    async with recovering(embedded.url, name="ours") as witness:
        connection = witness.connection
        channel, inbox = await connection.channel(), Inbox()
        await connection.declare_queue("q")
        await channel.consume("q", inbox)
        held_off = await hold_off("ours", faults)
        await embedded.restart(keep=False)
        async with hopmq.connect(embedded.url) as other:
            await other.declare_queue("q", arguments={"x-max-length": 5})
        held_off.cancel()
        await soon(witness.until(EntityFailed))
        await connection.declare_queue("q", arguments={"x-max-length": 5})
        await soon(until_active(channel, 1))
        await channel.publish(b"agreed", routing_key="q", mandatory=True)
        assert await inbox.next() == b"agreed"


async def test_restoring_is_given_up_when_its_time_is_over(
    embedded: Broker, faults: Faults
) -> None:
    patience = GiveUpAfter(QUICK.entity_backoff, seconds=0.1)
    async with recovering(embedded.url, policy={"entity_backoff": patience}) as witness:
        connection = witness.connection
        await connection.declare_queue("q")
        refused = faults.refuse("Queue.Declare", code=403, times=None)
        await embedded.restart(abrupt=True)
        await soon(witness.until(EntityFailed))
        await soon(recovery_at_rest(connection))
        assert refused.hits > 1
        assert connection.state == "open"


async def recovery_at_rest(connection: hopmq.Connection) -> None:
    """Return when nothing is being restored any more."""
    while connection._session.keeper._task is not None:  # type: ignore[attr-defined]
        await asyncio.sleep(0.005)
