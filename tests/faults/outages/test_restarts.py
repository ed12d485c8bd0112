"""A broker that comes back with its data, or without: nothing confirmed is lost, and all is there."""

import asyncio

import pytest

from faults.ends import soon
from faults.traffic import Traffic
from hopmq import Exchange, Queue
from hopmq.broker import Broker
from hopmq.events import Blocked, EntityFailed, QueueRenamed, Recovered, Unblocked
from hopmq.testing.faults import Faults

from .witness import recovering


@pytest.mark.parametrize("abrupt", [True, False], ids=["crash", "stop"])
async def test_restarts_under_load_cost_nobody_a_message(
    embedded: Broker, name: str, abrupt: bool
) -> None:
    async with recovering(embedded.url) as witness, Traffic(witness.connection, name) as traffic:
        for number in range(1, 4):
            await embedded.restart(abrupt=abrupt)
            await soon(witness.until(Recovered, number))
            await soon(traffic.goes_on())


async def test_a_broker_that_accepts_and_drops_is_outlived(
    embedded: Broker, faults: Faults, name: str
) -> None:
    async with recovering(embedded.url) as witness, Traffic(witness.connection, name) as traffic:
        with faults.cut("Channel.Open", direction="to_broker", times=3) as dropped:
            faults.disconnect()
            await soon(dropped.happened(3))
        await soon(witness.until(Recovered))
        await soon(traffic.goes_on())


async def test_publishes_are_held_while_the_broker_blocks_and_go_on_through_a_restart(
    embedded: Broker, faults: Faults, name: str
) -> None:
    async with recovering(embedded.url) as witness, Traffic(witness.connection, name) as traffic:
        blocked = faults.block("low on memory")
        await soon(witness.until(Blocked))
        assert witness.connection.state == "blocked"
        await embedded.restart(abrupt=True)
        await soon(witness.until(Blocked, 2))
        blocked.cancel()
        await soon(witness.until(Unblocked))
        await soon(traffic.goes_on())
        assert witness.connection.state == "open"


async def test_a_broker_without_its_data_is_told_everything_again(embedded: Broker) -> None:
    async with recovering(embedded.url) as witness:
        connection = witness.connection
        queues = [
            Queue.quorum("quorum"),
            Queue("classic", arguments={"x-max-length": 10}),
            Queue("lively", durable=False, auto_delete=True),
            Queue("mine", durable=False, exclusive=True),
        ]
        exchanges = [Exchange.topic("events"), Exchange.headers("picky"), Exchange.fanout("all")]
        await connection.declare(*exchanges, *queues)
        temporary = (await connection.declare_queue(Queue.temporary())).name
        await connection.bind_exchange("all", "events", "#")
        await connection.bind("classic", "picky", arguments={"x-match": "all", "a": 1})
        for queue in ("quorum", "lively", "mine", temporary):
            await connection.bind(queue, "all")
        channel = await connection.channel(prefetch=3)
        consumers = [
            await channel.consume(queue) for queue in ("quorum", "lively", "mine", temporary)
        ]
        before = everything(embedded)
        await embedded.restart(keep=False, abrupt=True)
        await soon(witness.until(Recovered))
        renamed = await soon(witness.until(QueueRenamed))
        assert renamed.before == temporary
        assert everything(embedded) == {each.replace(temporary, renamed.after) for each in before}
        assert not witness.of(EntityFailed)
        assert (await channel.publish(b"all", exchange="events", mandatory=True)).confirmed
        for consumer in consumers:
            message = await soon(anext(consumer))
            assert message.body == b"all"
            assert message.ack()
        assert [each.prefetch for each in consumers] == [3] * 4


def everything(broker: Broker) -> set[str]:
    """Describe each exchange, queue, binding and consumer of a broker."""
    definitions = broker.export_definitions()
    found = {str(each) for kind in ("exchanges", "bindings") for each in definitions[kind]}
    for queue in broker.state.vhosts["/"].queues.values():
        found.add(f"{queue.name} {queue.durable} {queue.arguments} {len(queue.roster)}")
    return found


async def test_what_is_not_wanted_back_is_left_out(embedded: Broker) -> None:
    def all_but_old(entity: object) -> bool:
        return not (isinstance(entity, Queue) and entity.name == "old")

    async with recovering(embedded.url, policy={"recover": all_but_old}) as witness:
        await witness.connection.declare(Queue("old"), Queue("new"))
        await embedded.restart(keep=False)
        await soon(witness.until(Recovered))
        assert set(embedded.state.vhosts["/"].queues) == {"new"}
        assert not witness.of(EntityFailed)


async def test_flapping_leaves_each_consumer_once(embedded: Broker) -> None:
    async with recovering(embedded.url) as witness:
        channel = await witness.connection.channel()
        await channel.declare_queue("q")
        consumers = [await channel.consume("q") for _ in range(5)]
        for number in range(1, 11):
            await embedded.restart(abrupt=bool(number % 2))
            if number % 3:
                await soon(witness.until(Recovered, len(witness.of(Recovered)) + 1))
        await soon(witness.connection.wait_for("open"))
        while not all(consumer.is_active for consumer in consumers):
            await asyncio.sleep(0.005)
        (queue,) = embedded.state.vhosts["/"].queues.values()
        assert len(queue.roster) == len(consumers)
