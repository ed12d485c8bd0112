"""The embedded broker goes away and comes back, on its addresses, with its state or without it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import hopmq
from hopmq.broker import Broker, Permission, Policy, new_user
from hopmq.testing import TurnedClock

SECONDS = 10.0


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


async def messages(url: str, queue: str) -> int:
    """Return how many messages a durable queue has."""
    async with hopmq.connect(url) as connection:
        return (await connection.declare_queue(queue, passive=True)).message_count


async def leave(url: str, queue: str) -> None:
    """Leave a persistent message in a durable queue."""
    async with hopmq.connect(url) as connection, connection.channel() as channel:
        await connection.declare_queue(queue)
        await channel.publish(b"kept", routing_key=queue)


@pytest.mark.parametrize("listening", ["tcp", "unix", "memory"])
async def test_a_restarted_broker_has_its_addresses_and_its_messages(
    listening: str, name: str, tmp_path: Path
) -> None:
    where = {
        "tcp": Broker(),
        "unix": Broker(host=None, path=tmp_path / "socket"),
        "memory": Broker(host=None, name=name),
    }
    async with where[listening] as broker:
        url = broker.url
        await leave(url, "q")
        await broker.restart()
        assert broker.url == url
        assert await messages(url, "q") == 1


async def test_without_its_state_nothing_is_left() -> None:
    async with Broker() as broker:
        await leave(broker.url, "q")
        await broker.restart(keep=False)
        with pytest.raises(hopmq.NotFoundError):
            await messages(broker.url, "q")


async def test_users_virtual_hosts_and_policies_are_kept() -> None:
    async with Broker() as broker:
        user = new_user("late", "secret", permissions={"second": Permission()})
        broker.state.add_vhost("second").policies.set(Policy(name="p", pattern="x"))
        broker.state.access.set(user)
        await broker.restart()
        url = f"amqp://late:secret@127.0.0.1:{broker.port}/second"
        async with hopmq.connect(url):
            assert [each.name for each in broker.state.vhosts["second"].policies] == ["p"]


async def test_while_a_broker_is_away_nobody_answers_under_its_name(name: str) -> None:
    async with Broker(host=None, name=name) as broker:
        await broker.stop(keep=True)
        assert not broker.is_running
        with pytest.raises(hopmq.ConnectError):
            await hopmq.connect(broker.memory_url)
        await broker.start()
        async with hopmq.connect(broker.memory_url):
            assert broker.is_running


async def test_a_crash_says_nothing() -> None:
    async with Broker() as broker:
        connection = await hopmq.connect(broker.url, recovery=None)
        await broker.restart(abrupt=True)
        assert isinstance(await connection.wait_closed(), hopmq.ConnectionLostError)


async def test_a_queue_does_not_age_while_its_broker_is_away() -> None:
    clock = TurnedClock()
    async with Broker(clock=clock, heartbeat=0) as broker:
        async with hopmq.connect(broker.url) as connection:
            await connection.declare_queue("q", arguments={"x-expires": 10_000})
        await broker.stop(keep=True)
        await clock.advance(60)
        await broker.start()
        await clock.advance(9)
        assert "q" in broker.state.vhosts["/"].queues
        await clock.advance(2)
        with pytest.raises(hopmq.NotFoundError):
            await messages(broker.url, "q")


async def test_a_broker_stops_at_once_though_it_does_not_read_its_publishers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hopmq.broker.restart._CLOSE_TIMEOUT", 2 * SECONDS)
    async with Broker(memory_limit=1) as broker:
        connection = await hopmq.connect(broker.url, recovery=None)
        async with connection.channel() as channel:
            await connection.declare_queue("q")
            await channel.publish(b"too much", routing_key="q")
            held = asyncio.ensure_future(channel.publish(b"", routing_key="q"))
            while not connection.is_blocked:
                await asyncio.sleep(0)
            await broker.stop()
        assert (await connection.wait_closed()).reply_code == 320
        with pytest.raises(hopmq.PublishError):
            await held


async def test_memory_is_accounted_for_after_a_restart() -> None:
    async with Broker() as broker:
        await leave(broker.url, "q")
        before = broker.state.memory.used
        await broker.restart()
        assert broker.state.memory.used == before > 0
        async with hopmq.connect(broker.url) as connection:
            await connection.delete_queue("q")
        assert broker.state.memory.used == 0


async def test_a_stream_is_kept_whole() -> None:
    async with Broker() as broker:
        async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
            await connection.declare_queue("s", arguments={"x-queue-type": "stream"})
            for body in (b"1", b"2"):
                await channel.publish(body, routing_key="s", persistent=False)
        await broker.restart(abrupt=True)
        assert await messages(broker.url, "s") == 2


async def test_a_broker_that_has_stopped_waits_for_nothing() -> None:
    clock = TurnedClock()
    async with Broker(clock=clock) as broker:
        async with hopmq.connect(broker.url, heartbeat=0) as connection:
            arguments = {"x-expires": 10_000, "x-message-ttl": 5_000}
            await connection.declare_queue("q", arguments=arguments)
            async with connection.channel() as channel:
                await channel.publish(b"", routing_key="q")
        await clock.settle()
        assert clock.next_deadline() is not None
    assert clock.next_deadline() is None


async def test_what_waits_in_a_delayed_exchange_outlives_a_restart_or_is_forgotten() -> None:
    clock = TurnedClock()
    async with Broker(clock=clock) as broker:
        for keep, count in ((True, 1), (False, 0)):
            async with hopmq.connect(broker.url, heartbeat=0) as connection:
                await declare_later(connection)
                async with connection.channel() as channel:
                    headers = {"x-delay": 60_000}
                    await channel.publish(b"", exchange="later", headers=headers, mandatory=False)
            await broker.restart(keep=keep)
            async with hopmq.connect(broker.url, heartbeat=0) as connection:
                await declare_later(connection)
            await clock.advance(60)
            assert await messages(broker.url, "q") == count


async def declare_later(connection: hopmq.Connection) -> None:
    """Declare an exchange that delays, and a queue behind it."""
    arguments = {"x-delayed-type": "fanout"}
    await connection.declare_exchange("later", "x-delayed-message", arguments=arguments)
    await connection.declare_queue("q")
    await connection.bind("q", "later")
