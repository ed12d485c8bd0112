"""What is there after a restart and what is not, after good order and after a crash."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field

import pytest

from brokers.running import new_broker
from brokers.selection import BrokerChoice
from conftest import BROKERS, NO_BROKER
from hopmq.broker import Broker
from hopmq.wire import Properties, Returned
from parity.channel import ChannelDriver
from parity.closed import Closed, Dropped
from parity.driver import Peer
from parity.queues import drain_soon
from parity.restarts import EmbeddedOne, RealBroker, Restartable

PERSISTENT = Properties(delivery_mode=2)
OWN = [each for each in BROKERS if each.url is None]


@pytest.fixture(scope="module", params=OWN or [NO_BROKER], ids=lambda choice: choice.label)
async def restartable(request: pytest.FixtureRequest) -> AsyncIterator[Restartable]:
    """Return a broker of the module's own, each in turn."""
    choice: BrokerChoice = request.param
    if choice.emulate is not None:
        async with Broker(emulate=choice.emulate) as embedded:
            yield EmbeddedOne(embedded)
        return
    assert choice.installation is not None
    with new_broker(choice.installation) as rabbitmq:
        yield RealBroker(rabbitmq)


@dataclass(slots=True)
class World:
    """What was there before, and how the client was told; `channel` is from after it."""

    channel: ChannelDriver
    ending: str
    queues: dict[str, list[bytes]] = field(default_factory=dict)
    redelivered: list[bool] = field(default_factory=list)


async def build(peer: Peer) -> None:
    """Declare one of each, with messages."""
    channel = await peer.channel()
    await channel.confirm()
    await channel.declare("kept", durable=True)
    await channel.declare("ranked", durable=True, arguments={"x-max-priority": 3})
    await channel.declare("quorum", durable=True, arguments={"x-queue-type": "quorum"})
    await channel.declare("transient")
    await channel.declare("own", durable=True, exclusive=True)
    await channel.declare("unused", durable=True, auto_delete=True)
    await channel.declare("used", durable=True, auto_delete=True)
    await channel.exchange("durable", "fanout", durable=True)
    await channel.exchange("passing", "fanout")
    await channel.exchange("to kept", "fanout", durable=True, auto_delete=True)
    await channel.exchange("to transient", "fanout", durable=True, auto_delete=True)
    await channel.exchange("to passing", "fanout", durable=True, auto_delete=True)
    await channel.exchange("outer", "fanout", durable=True)
    await channel.bind_exchange("durable", "outer")
    await channel.bind_exchange("passing", "to passing")
    for source in ("durable", "passing", "to kept"):
        await channel.bind("kept", source)
    await channel.bind("transient", "to transient")
    for body in (b"1", b"2", b"3"):
        await channel.put(body, routing_key="kept", properties=PERSISTENT)
        await channel.put(b"transient", routing_key="kept")
        priority = Properties(delivery_mode=2, priority=int(body))
        await channel.put(body, routing_key="ranked", properties=priority)
    await channel.put(b"persistent", routing_key="quorum", properties=PERSISTENT)
    await channel.put(b"transient", routing_key="quorum")
    consumer = await peer.channel()
    await consumer.qos(1)
    await consumer.consume("kept")
    await consumer.any()
    await consumer.consume("used")


async def rebuilt(restartable: Restartable, *, crash: bool) -> World:
    """Build, restart and connect again."""
    before = await Peer.open(restartable.url)
    await build(before)
    await (restartable.crash() if crash else restartable.restart())
    try:
        ending = str(await before.until_closed())
    except Dropped:
        ending = "dropped"
    peer = await Peer.open(restartable.url)
    world = World(await peer.channel(), ending)
    if not crash:  # after one, RabbitMQ's quorum queues take their time to find a leader
        world.queues["quorum"] = await drain_soon(world.channel, "quorum", 2)
    while (message := await world.channel.get("kept")) is not None:
        world.queues.setdefault("kept", []).append(message.body)
        world.redelivered.append(message.redelivered)
    world.queues["ranked"] = await world.channel.drain("ranked")
    return world


@pytest.fixture(scope="module")
async def world(restartable: Restartable) -> AsyncIterator[World]:
    """Return what a restart in good order has left."""
    world = await rebuilt(restartable, crash=False)
    yield world
    await world.channel.peer.close()
    await destroy(restartable)


async def destroy(restartable: Restartable) -> None:
    """Leave nothing behind for the next world."""
    peer = await Peer.open(restartable.url)
    channel = await peer.channel()
    for queue in ("kept", "ranked", "quorum", "unused", "used"):
        await channel.delete(queue)
    for exchange in ("durable", "passing", "to kept", "to transient", "to passing", "outer"):
        await channel.delete_exchange(exchange)
    await peer.close()


@pytest.fixture
async def channel(world: World) -> AsyncIterator[ChannelDriver]:
    """Return a channel of the connection after the restart."""
    channel = await world.channel.peer.channel()
    yield channel
    if not channel.closed:
        await channel.close()


async def is_there(request: Awaitable[object]) -> bool:
    """Tell whether what is asked for passively is there."""
    try:
        await request
    except Closed as error:
        if not error.is_missing:
            raise
        return False
    return True


async def reaches(channel: ChannelDriver, exchange: str, queue: str) -> bool:
    """Tell whether a message to an exchange arrives in a queue."""
    await channel.confirm()
    channel.publish(b"routed", exchange=exchange, mandatory=True)
    if isinstance(await channel.any(), Returned):
        return False
    return b"routed" in await channel.drain(queue)


async def test_clients_are_told(world: World) -> None:
    text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    assert world.ending == f"connection 320 {text} (0, 0)"


async def test_persistent_messages_are_kept_in_order(world: World) -> None:
    assert world.queues["kept"] == [b"1", b"2", b"3"]


async def test_only_what_was_delivered_counts_as_redelivered(world: World) -> None:
    assert world.redelivered == [True, False, False]


async def test_priorities_are_kept(world: World) -> None:
    assert world.queues["ranked"] == [b"3", b"2", b"1"]


async def test_a_quorum_queue_keeps_everything(world: World) -> None:
    assert world.queues["quorum"] == [b"persistent", b"transient"]


@pytest.mark.parametrize("queue", ["transient", "own"])
async def test_transient_and_exclusive_queues_are_gone(channel: ChannelDriver, queue: str) -> None:
    assert not await is_there(channel.declare(queue, passive=True))


async def test_an_auto_delete_queue_goes_with_its_consumers(channel: ChannelDriver) -> None:
    assert not await is_there(channel.declare("used", passive=True))


async def test_an_auto_delete_queue_without_consumers_stays(channel: ChannelDriver) -> None:
    assert await is_there(channel.declare("unused", passive=True))


async def test_a_queue_has_no_consumers(channel: ChannelDriver) -> None:
    assert (await channel.declare("kept", passive=True)).consumer_count == 0


@pytest.mark.parametrize("exchange", ["durable", "to kept", "outer"])
async def test_durable_exchanges_are_kept_with_their_bindings(
    channel: ChannelDriver, exchange: str
) -> None:
    assert await reaches(channel, exchange, "kept")


async def test_a_transient_exchange_outlives_a_restart_in_the_newest_release_alone(
    channel: ChannelDriver, restartable: Restartable
) -> None:
    assert await is_there(channel.exchange("passing", passive=True)) is (
        restartable.release == "4.3"
    )


async def test_an_auto_delete_exchange_to_a_transient_one_is_kept(channel: ChannelDriver) -> None:
    assert await is_there(channel.exchange("to passing", passive=True))


async def test_an_auto_delete_exchange_without_bindings_is_gone_in_the_newest_release_alone(
    channel: ChannelDriver, restartable: Restartable
) -> None:
    assert await is_there(channel.exchange("to transient", passive=True)) is (
        restartable.release != "4.3"
    )


class TestCrash:
    """The broker's process is killed."""

    @pytest.fixture(scope="class")
    async def world(self, restartable: Restartable) -> AsyncIterator[World]:
        """Return what a crash has left."""
        world = await rebuilt(restartable, crash=True)
        yield world
        await world.channel.peer.close()
        await destroy(restartable)

    async def test_clients_are_dropped(self, world: World) -> None:
        assert world.ending == "dropped"

    async def test_persistent_messages_are_kept_in_order(self, world: World) -> None:
        assert world.queues["kept"] == [b"1", b"2", b"3"]

    async def test_everything_counts_as_redelivered(self, world: World) -> None:
        assert world.redelivered == [True, True, True]

    @pytest.mark.parametrize("queue", ["transient", "own"])
    async def test_transient_and_exclusive_queues_are_gone(
        self, channel: ChannelDriver, queue: str
    ) -> None:
        assert not await is_there(channel.declare(queue, passive=True))

    async def test_an_auto_delete_queue_stays(self, channel: ChannelDriver) -> None:
        assert await is_there(channel.declare("used", passive=True))
