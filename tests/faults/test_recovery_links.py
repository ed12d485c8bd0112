"""However a link ends, and however slow it is: nothing confirmed is lost, and nobody hangs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

import hopmq
from conftest import RunningBroker
from hopmq import Channel, Connection, Message, Recovery
from hopmq.client.publishing import OnDisconnect
from hopmq.errors import ConnectionLostError
from hopmq.events import Recovering
from hopmq.testing import FaultProxy
from hopmq.testing.faults import Direction, Fault

from .links import back, becomes, bounce, consumers_of, drained, quick, until
from .promises import POLICIES, Promises
from .work import Events

PUBLISHERS = 3
ROUNDS = 5


@pytest.fixture
async def queues(other: Channel, name: str) -> AsyncIterator[tuple[str, str]]:
    """Return one queue to be filled and one to be worked on."""
    filled, worked = f"{name}-filled", f"{name}-worked"
    await other.declare(hopmq.Queue(filled), hopmq.Queue(worked))
    yield filled, worked
    await other.delete_queue(filled)
    await other.delete_queue(worked)


class Receiver:
    """A handler that acknowledges at once."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        self.bodies.append(message.body)
        message.ack()


async def work(channel: Channel, queue: str, bodies: list[bytes]) -> None:
    """Publish to a consumer's queue, on a connection that nothing happens to."""
    for body in bodies:
        await channel.publish(body, routing_key=queue, mandatory=True)


@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
@pytest.mark.parametrize("policy", POLICIES)
async def test_links_that_end_under_load(
    proxy: FaultProxy,
    other: Channel,
    queues: tuple[str, str],
    policy: OnDisconnect,
    reset: bool,
) -> None:
    filled, worked = queues
    promises, receiver = Promises(), Receiver()
    async with quick(proxy.url, on_disconnect=policy) as connection, connection.channel() as busy:
        consumer = await busy.consume(worked, receiver)

        async def publish(producer: str) -> None:
            for _ in range(10):
                await promises.publish(busy, filled, policy, producer)

        for _ in range(ROUNDS):
            publishing = [asyncio.create_task(publish(f"p{n}")) for n in range(PUBLISHERS)]
            await work(other, worked, [b"1", b"2"])
            await bounce(connection, proxy, reset=reset)
            await asyncio.gather(*publishing)
        last = await promises.publish(busy, filled, policy)
        assert isinstance(last.outcome, hopmq.Receipt)
        assert consumer.is_active
        # So that what the links have cost is there again, before the last message.
        await becomes(1, lambda: consumers_of(other, worked))
        await work(other, worked, [b"last"])
        await until(lambda: b"last" in receiver.bodies)
        assert connection.counters.links == 1 + ROUNDS
    promises.check(await drained(other, filled))
    assert len(receiver.bodies) >= 2 * ROUNDS + 1
    assert await drained(other, worked) == []


class Recorded:
    """A back-off that remembers what it was told, and waits for nothing."""

    def __init__(self) -> None:
        self.attempts: list[int] = []

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        """Take note of the number of failures."""
        self.attempts.append(attempt)
        return 0.0


async def test_a_link_that_flaps_is_backed_off_from_and_leaves_each_consumer_there_once(
    proxy: FaultProxy, other: Channel, queues: tuple[str, str]
) -> None:
    filled, worked = queues
    backoff, promises, receivers = Recorded(), Promises(), [Receiver() for _ in range(4)]
    recovery = Recovery(backoff=backoff)
    async with (
        quick(proxy.url, recovery=recovery, on_disconnect="resend") as connection,
        connection.channel() as first,
        connection.channel() as second,
    ):
        consumers = [
            await channel.consume(worked, receiver)
            for channel, receiver in zip([first, first, second, second], receivers, strict=True)
        ]
        # Each link ends at another point of its restoration.
        sizes = range(600, 1600, 100)
        for size in sizes:
            fault = proxy.cut_after(size, reset=True)
            publishing = [
                asyncio.create_task(promises.publish(channel, filled, "resend", producer))
                for channel, producer in [(first, "p1"), (second, "p2")] * 5
            ]
            proxy.disconnect(reset=True)
            await connection.wait_for("recovering", timeout=30)
            await asyncio.wait(publishing)
            fault.cancel()
        await back(connection)
        assert backoff.attempts == list(range(len(backoff.attempts)))
        assert len(backoff.attempts) >= len(sizes)
        assert all(consumer.is_active for consumer in consumers)
        await becomes(4, lambda: consumers_of(other, worked))
        sent = [str(number).encode() for number in range(40)]
        await work(other, worked, sent)
        await until(lambda: sum(len(each.bodies) for each in receivers) >= len(sent))
    assert sorted(body for each in receivers for body in each.bodies) == sorted(sent)
    assert promises.outcomes() == {"Receipt": len(promises.all())}
    promises.check(await drained(other, filled))


@pytest.mark.parametrize("direction", [None, "to_broker", "to_client"])
async def test_a_half_open_link_is_found_by_its_silence(
    proxy: FaultProxy, other: Channel, queues: tuple[str, str], direction: Direction | None
) -> None:
    filled, worked = queues
    promises, receiver = Promises(), Receiver()
    async with (
        quick(proxy.url, heartbeat=1) as connection,
        connection.channel() as channel,
    ):
        events = Events(connection)
        await channel.consume(worked, receiver)
        await promises.publish(channel, filled)
        with proxy.black_hole(direction):
            publishing = asyncio.create_task(promises.publish(channel, filled))
            declaring = asyncio.create_task(connection.declare_queue(filled))
            lost = await events.first(Recovering)
        assert isinstance(lost.error, ConnectionLostError)
        if direction != "to_broker":  # where it is the broker that hears nothing, and hangs up
            assert "two heartbeat intervals" in str(lost.error)
        assert (await declaring).name == filled
        await publishing
        await back(connection)
        await promises.publish(channel, filled)
        await work(other, worked, [b"on"])
        await until(lambda: receiver.bodies == [b"on"])
        await becomes(1, lambda: consumers_of(other, worked))
    assert promises.outcomes() == {"Receipt": 2, "PublishUnknownError": 1}
    promises.check(await drained(other, filled))


PACES: dict[str, Callable[[FaultProxy], Fault]] = {
    "a byte at a time": lambda proxy: proxy.split(1),
    "latency": lambda proxy: proxy.delay(0.02),
    "drip": lambda proxy: proxy.throttle(20_000),
    "slow reads": lambda proxy: proxy.throttle(20_000, direction="to_broker"),
    "a fifth lost": lambda proxy: proxy.lose(0.2, retransmit=0.02, seed=4),
}


@pytest.mark.parametrize("pace", PACES)
async def test_a_slow_link_costs_time_and_nothing_else(
    proxy: FaultProxy, other: Channel, queues: tuple[str, str], pace: str
) -> None:
    filled, worked = queues
    promises, receiver = Promises(), Receiver()
    with PACES[pace](proxy) as slow:
        async with quick(proxy.url) as connection, connection.channel() as channel:
            await channel.consume(worked, receiver)
            for links in (1, 2):
                await work(other, worked, [b"1", b"2", b"3"])
                publishes = (promises.publish(channel, filled) for _ in range(20))
                await asyncio.gather(*publishes)
                await until(lambda links=links: len(receiver.bodies) >= 3 * links)
                await channel.flow(True)  # its answer comes behind the acks
                assert connection.counters.links == links
                if links == 1:
                    await bounce(connection, proxy)
        assert slow.hits
    assert promises.outcomes() == {"Receipt": 40}
    assert receiver.bodies == [b"1", b"2", b"3"] * 2
    promises.check(await drained(other, filled))
    assert await drained(other, worked) == []


async def test_a_loop_that_was_blocked_for_three_heartbeats_loses_nothing(
    broker: RunningBroker, other: Channel, queues: tuple[str, str]
) -> None:
    filled, worked = queues
    promises, receiver = Promises(), Receiver()
    async with (
        quick(broker.url, heartbeat=1, on_disconnect="resend") as connection,
        connection.channel() as channel,
    ):
        await channel.consume(worked, receiver)
        publishes = [
            asyncio.create_task(promises.publish(channel, filled, "resend")) for _ in range(20)
        ]
        await asyncio.sleep(0)
        time.sleep(3.1)  # noqa: ASYNC251  # a handler that blocks the loop
        await asyncio.gather(*publishes)
        await back(connection)
        await work(other, worked, [b"on"])
        await until(lambda: receiver.bodies == [b"on"])
        await becomes(1, lambda: consumers_of(other, worked))
    assert promises.outcomes() == {"Receipt": 20}
    promises.check(await drained(other, filled))


async def test_recovery_is_the_default(proxy: FaultProxy) -> None:
    connection: Connection
    async with hopmq.connect(proxy.url) as connection:
        await bounce(connection, proxy)
        assert connection.is_open
