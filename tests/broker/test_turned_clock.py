"""Whatever a broker waits for, a turned clock brings about at its time, and nobody sleeps."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import hopmq
from hopmq import Connection
from hopmq.broker import Broker
from hopmq.testing import TurnedClock
from hopmq.transport.memory import connect_memory
from hopmq.url import parse_url
from parity.driver import Peer

SECONDS = 10.0
HOUR = 3600.0

Start = Callable[..., Awaitable[Broker]]


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture
def clock() -> TurnedClock:
    """Return a clock that stands still."""
    return TurnedClock()


@pytest.fixture
async def start(clock: TurnedClock, name: str) -> AsyncIterator[Start]:
    """Return what starts a broker that goes by the clock, with other options if need be."""
    started: list[Broker] = []

    async def start(**options: Any) -> Broker:  # Any: those of Broker
        broker = Broker(host=None, name=name, clock=clock, **options)
        started.append(broker)
        await broker.start()
        return broker

    yield start
    for broker in started:
        await broker.stop()


@pytest.fixture
async def connection(start: Start) -> AsyncIterator[Connection]:
    """Return a connection to a broker of the newest release.

    Its own time stands in the loop's hands: without heartbeats it does not matter.
    """
    async with hopmq.connect((await start()).url, heartbeat=0, recovery=None) as connection:
        yield connection


async def count(connection: Connection, queue: str) -> int:
    """Return how many messages a queue has."""
    return (await connection.declare_queue(queue, passive=True)).message_count


async def dial(broker: Broker) -> Peer:
    """Connect a raw peer, which says nothing of its own accord."""
    peer = Peer(parse_url(broker.url))
    await connect_memory(str(broker._name), peer)
    return peer


# --- messages and queues -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_messages_expire_by_their_queues_limit(
    connection: Connection, clock: TurnedClock, kind: str
) -> None:
    await connection.declare_queue(
        "q", arguments={"x-queue-type": kind, "x-message-ttl": 3_600_000}
    )
    async with connection.channel() as channel:
        await channel.publish(b"", routing_key="q")
    await clock.advance(HOUR - 1)
    assert await count(connection, "q") == 1
    await clock.advance(1)
    assert await count(connection, "q") == 0


async def test_messages_expire_by_their_own_limit(
    connection: Connection, clock: TurnedClock
) -> None:
    await connection.declare_queue("q")
    async with connection.channel() as channel:
        await channel.publish(b"", routing_key="q", expiration=90)
    await clock.advance(89)
    assert await count(connection, "q") == 1
    await clock.advance(1)
    assert await count(connection, "q") == 0


async def test_what_expires_has_been_consumed_elsewhere_when_advance_returns(
    connection: Connection, clock: TurnedClock
) -> None:
    await connection.declare_queue("dead")
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    await connection.declare_queue("q", arguments={"x-message-ttl": 60_000, **arguments})
    died = []
    async with connection.channel() as channel, channel.consume("dead") as consumer:

        async def read() -> None:
            async for message in consumer:
                died.append(message.headers["x-death"][0]["time"])
                message.ack()

        reading = asyncio.ensure_future(read())
        for _ in range(3):
            await channel.publish(b"", routing_key="q")
            await clock.advance(10)
        await clock.advance(60)
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        assert died == [begin + timedelta(seconds=each) for each in (60, 70, 80)]
        reading.cancel()


async def test_a_ladder_of_queues_takes_as_long_as_its_steps(
    connection: Connection, clock: TurnedClock
) -> None:
    await connection.declare_queue("work")
    for step, following in (("1", "2"), ("2", "3"), ("3", "work")):
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": following}
        await connection.declare_queue(step, arguments={"x-message-ttl": 600_000, **arguments})
    async with connection.channel() as channel:
        await channel.publish(b"", routing_key="1")
    await clock.advance(1799)
    assert await count(connection, "work") == 0
    await clock.advance(1)
    assert await count(connection, "work") == 1


async def test_unused_queues_expire(connection: Connection, clock: TurnedClock) -> None:
    await connection.declare_queue("q", arguments={"x-expires": 3_600_000})
    await clock.advance(HOUR - 1)
    await count(connection, "q")  # which is a use
    await clock.advance(HOUR - 1)
    await count(connection, "q")
    await clock.advance(HOUR)
    with pytest.raises(hopmq.NotFoundError):
        await count(connection, "q")


async def test_a_delayed_exchange_waits(connection: Connection, clock: TurnedClock) -> None:
    await connection.declare_queue("q")
    await connection.declare_exchange(
        "later", "x-delayed-message", arguments={"x-delayed-type": "fanout"}
    )
    await connection.bind("q", "later")
    async with connection.channel() as channel:
        for minutes in (2, 1):
            headers = {"x-delay": minutes * 60_000}
            await channel.publish(
                str(minutes).encode(), exchange="later", headers=headers, mandatory=False
            )
        await clock.advance(60)
        first = await channel.get("q")
        assert first is not None
        assert first.body == b"1"
        first.ack()
        assert await channel.get("q") is None
        await clock.advance(60)
        assert await channel.get("q") is not None


async def test_a_rejected_message_waits_before_it_is_delivered_again(
    connection: Connection, clock: TurnedClock
) -> None:
    arguments = {"x-delayed-retry-type": "all", "x-delayed-retry-min": 60_000}
    await connection.declare_queue("q", arguments={"x-queue-type": "quorum", **arguments})
    async with connection.channel() as channel:
        await channel.publish(b"", routing_key="q")
        message = await channel.get("q")
        assert message is not None
        message.reject(requeue=True)
        await clock.advance(59)
        assert await channel.get("q") is None
        await clock.advance(1)
        assert await channel.get("q") is not None


async def test_a_stream_is_read_from_a_time(connection: Connection, clock: TurnedClock) -> None:
    await connection.declare_queue("s", arguments={"x-queue-type": "stream"})
    async with connection.channel() as channel:
        for hour in range(4):
            await channel.publish(str(hour).encode(), routing_key="s")
            await clock.advance(HOUR)
        since = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
        await channel.set_prefetch(10)
        async with channel.consume("s", arguments={"x-stream-offset": since}) as consumer:
            messages = aiter(consumer)
            bodies = [bytes((await anext(messages)).body) for _ in range(2)]
    assert bodies == [b"2", b"3"]


# --- consumers -----------------------------------------------------------------------------------


async def test_a_channel_is_closed_when_a_delivery_is_not_settled_in_time(
    start: Start, clock: TurnedClock
) -> None:
    broker = await start(emulate="4.0", consumer_timeout=1800)
    async with hopmq.connect(broker.url, heartbeat=0, recovery=None) as connection:
        await connection.declare_queue("q")
        channel = await connection.channel()
        await channel.publish(b"", routing_key="q")
        async with channel.consume("q") as consumer:
            await anext(aiter(consumer))
            await clock.advance(1700)
            assert channel.is_open
            await clock.advance(300)
            assert not channel.is_open
        assert await count(connection, "q") == 1


async def test_a_consumer_is_cancelled_when_a_delivery_is_not_settled_in_time(
    connection: Connection, clock: TurnedClock
) -> None:
    arguments = {"x-queue-type": "quorum", "x-consumer-timeout": 600_000}
    await connection.declare_queue("q", arguments=arguments)
    async with connection.channel() as channel:
        await channel.publish(b"", routing_key="q")
        async with channel.consume("q") as consumer:
            messages = aiter(consumer)
            await anext(messages)
            await clock.advance(1200)
            with pytest.raises(hopmq.ConsumerCancelledError):
                await anext(messages)
        assert channel.is_open


# --- connections ---------------------------------------------------------------------------------


async def test_a_silent_client_hears_heartbeats_and_is_given_up_after_two_intervals(
    start: Start, clock: TurnedClock
) -> None:
    peer = await dial(await start(heartbeat=10))
    await peer.handshake(heartbeat=10)
    await clock.advance(19)
    assert peer.heartbeats == 3
    assert not peer.gone
    await clock.advance(2)
    assert peer.gone


async def test_a_client_that_sends_heartbeats_is_kept(start: Start, clock: TurnedClock) -> None:
    peer = await dial(await start(heartbeat=10))
    await peer.handshake(heartbeat=10)
    for _ in range(20):
        peer.write(b"\x08\x00\x00\x00\x00\x00\x00\xce")
        await clock.advance(10)
    assert not peer.gone
    peer.abort()


async def test_a_handshake_has_its_time(start: Start, clock: TurnedClock) -> None:
    peer = await dial(await start(handshake_timeout=30))
    await peer.greet()
    await clock.advance(29)
    assert not peer.gone
    await clock.advance(1)
    assert peer.gone


@pytest.mark.parametrize("options, delay", [({}, 3), ({"silent_close_delay": 20}, 20)], ids=str)
async def test_a_mistake_in_the_handshake_costs_time(
    start: Start, clock: TurnedClock, options: dict[str, float], delay: int
) -> None:
    peer = await dial(await start(handshake_timeout=60, **options))
    await peer.greet()
    peer.start_ok(response=b"malformed")
    await clock.advance(delay - 1)
    assert not peer.gone
    await clock.advance(1)
    assert peer.gone
    assert peer.closed is None


async def test_an_unanswered_close_is_waited_for(start: Start, clock: TurnedClock) -> None:
    broker = await start()
    peer = await dial(broker)
    await peer.handshake()
    peer.answers_closes = False
    next(iter(broker.state.peers)).close()
    await clock.advance(29)
    assert not peer.gone
    await clock.advance(1)
    assert peer.gone
