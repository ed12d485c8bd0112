"""What a program sees of a connection: its state, its events, its counters."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

import hopmq
from conftest import RunningBroker
from hopmq import Channel, Connection, Recovery
from hopmq.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectionLostError,
    RequestTimeoutError,
    UsageError,
)
from hopmq.events import (
    AttemptFailed,
    Closed,
    Connected,
    ConnectionEvent,
    Recovered,
    Recovering,
)
from hopmq.resilience import Constant, GiveUpAfter
from hopmq.testing import FaultProxy

from .ends import soon, start, turns
from .links import PATIENCE, back, bounce, hurried, lose, quick
from .work import Events


@pytest.mark.parametrize("options", [{"recovery": True}, {"on_disconnect": "later"}])
def test_what_is_no_policy_is_refused_at_the_call(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))} is"):
        hopmq.connect(**options)  # type: ignore[arg-type]


@pytest.fixture
async def connection(proxy: FaultProxy) -> AsyncIterator[Connection]:
    """Return a connection that comes back at once."""
    async with quick(proxy.url) as opened:
        yield opened


async def test_the_states_of_a_life(connection: Connection, proxy: FaultProxy) -> None:
    assert (connection.state, connection.is_open) == ("open", True)
    channel = await connection.channel()
    with proxy.refuse_connections():
        await lose(connection, proxy)
        assert (connection.state, connection.is_open) == ("recovering", False)
        assert (channel.is_open, channel.is_recovering) == (False, True)
        assert "recovering" in repr(connection)
        assert "recovering" in repr(channel)
        assert connection.channels() == [channel]
    await back(connection)
    assert (connection.state, connection.is_open) == ("open", True)
    assert (channel.is_open, channel.is_recovering) == (True, False)
    closing = start(connection.close())
    assert await connection.wait_for("closing", "closed", timeout=PATIENCE) in {
        "closing",
        "closed",
    }
    await closing
    assert (connection.state, connection.is_open) == ("closed", False)


async def test_waiting_for_a_state(connection: Connection, proxy: FaultProxy) -> None:
    assert await connection.wait_for("open") == "open"
    assert await connection.wait_for("recovering", "open") == "open"
    with pytest.raises(RequestTimeoutError, match="the connection is open: not recovering"):
        await connection.wait_for("recovering", timeout=0.01)
    assert connection._session.lifecycle._waiting == []
    with pytest.raises(UsageError, match="states are"):
        await connection.wait_for("fine")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="states are"):
        await connection.wait_for()
    waiting = [start(connection.wait_for("recovering")) for _ in range(3)]
    await turns()
    waiting[1].cancel()
    with proxy.refuse_connections():
        await lose(connection, proxy)
        assert await waiting[0] == await waiting[2] == "recovering"
        opened = start(connection.wait_for("open", "blocked"))
        closed = start(connection.wait_for("closed"))
        await turns()
    assert await opened == "open"
    await turns()
    assert not closed.done()
    never = start(connection.wait_for("blocked"))
    await turns()
    await connection.close()
    assert await closed == "closed"
    with pytest.raises(ConnectionClosed):
        await never
    with pytest.raises(ConnectionClosed):
        await connection.wait_for("open")
    assert await connection.wait_for("closed") == "closed"
    assert connection._session.lifecycle._waiting == []


async def test_every_loss_is_told_with_its_cause_and_counted(
    connection: Connection, proxy: FaultProxy
) -> None:
    events = Events(connection)
    with proxy.refuse_connections():
        await lose(connection, proxy)
        await events.first(AttemptFailed)
    await back(connection)
    await bounce(connection, proxy)
    kinds = [
        type(event) for event in events.all(ConnectionEvent) if type(event) is not AttemptFailed
    ]
    assert kinds == [Recovering, Connected, Recovered] * 2
    assert all(isinstance(each.error, ConnectionLostError) for each in events.all(Recovering))
    failed = events.all(AttemptFailed)
    assert all(isinstance(each.error, ConnectError) and not each.refused for each in failed)
    assert str(proxy.port) in failed[0].address
    recovered = events.all(Recovered)
    assert [each.attempts for each in recovered] == [len(failed) + 1, 1]
    assert all(each.seconds >= 0 for each in recovered)
    counters = connection.counters
    assert (counters.links, counters.attempts_failed) == (3, len(failed))
    counters.links = 0
    assert connection.counters.links == 3  # what was handed out was a copy
    await connection.close()
    assert isinstance(events.all(ConnectionEvent)[-1], Closed)


async def test_events_end_with_the_connection_and_reach_every_reader(
    connection: Connection, proxy: FaultProxy
) -> None:
    seen: list[list[ConnectionEvent]] = [[], []]

    async def read(into: list[ConnectionEvent]) -> None:
        into.extend([event async for event in connection.events()])

    before = len(connection._session.lifecycle._listeners)
    readers = [start(read(each)) for each in seen]
    await turns()
    await bounce(connection, proxy)
    await connection.close()
    await soon(asyncio.gather(*readers))
    assert [type(event) for event in seen[0]] == [Recovering, Connected, Recovered, Closed]
    assert seen[0] == seen[1]
    assert [event async for event in connection.events()] == [seen[0][-1]]
    assert len(connection._session.lifecycle._listeners) == before


async def test_events_read_only_while_the_connection_closes_end_as_well(
    connection: Connection,
) -> None:
    reading = start(anext(connection.events()))
    await soon(connection.close())
    assert isinstance(await soon(reading), Closed)


async def test_a_listener_that_fails_or_goes_is_no_matter_to_the_others(
    connection: Connection, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[ConnectionEvent] = []

    def fails(event: ConnectionEvent) -> None:
        raise RuntimeError("mine")

    remove_failing = connection.add_listener(fails)
    connection.add_listener(heard.append)
    with caplog.at_level(logging.ERROR, "hopmq"):
        await bounce(connection, proxy)
    assert [type(event) for event in heard] == [Recovering, Connected, Recovered]
    assert caplog.text.count("a listener failed") == 3
    remove_failing()
    remove_failing()
    caplog.clear()
    await bounce(connection, proxy)
    assert "a listener failed" not in caplog.text
    assert len(heard) == 6


async def test_an_outage_is_logged_once_however_often_it_is_tried(
    connection: Connection, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events(connection)
    with caplog.at_level(logging.INFO, "hopmq.connection"), proxy.refuse_connections():
        await lose(connection, proxy)
        async with asyncio.timeout(PATIENCE):
            while len(events.all(AttemptFailed)) < 5:
                await asyncio.sleep(0.01)
    await back(connection)
    texts = [record.getMessage() for record in caplog.records]
    assert sum("connection ended" in text for text in texts) == 1
    assert sum("cannot connect again" in text for text in texts) == 1
    assert not any(record.exc_info for record in caplog.records)


async def test_giving_up_ends_the_connection_with_the_last_reason(
    proxy: FaultProxy, other: Channel
) -> None:
    recovery = Recovery(backoff=GiveUpAfter(Constant(0.0), attempts=3))
    async with quick(proxy.url, recovery=recovery) as connection:
        events = Events(connection)
        channel = await connection.channel()
        with proxy.refuse_connections():
            publishing = start(channel.publish(b"1", routing_key="q"))
            await lose(connection, proxy)
            reason = await soon(connection.wait_closed())
        assert type(reason) is ConnectionLostError
        assert isinstance(reason.__cause__, ConnectError)
        assert "attempts" in str(reason)
        with pytest.raises(hopmq.PublishError):
            await publishing
        with pytest.raises(ConnectionLostError):
            await connection.declare_queue("q")
        assert connection.state == "closed"
        assert isinstance(events.all(ConnectionEvent)[-1], Closed)


async def test_without_recovery_a_connection_ends_with_its_link(
    broker: RunningBroker, proxy: FaultProxy
) -> None:
    async with hopmq.connect(proxy.url, recovery=None) as connection:
        channel = await connection.channel()
        proxy.disconnect(reset=True)
        reason = await soon(connection.wait_closed())
        assert type(reason) is ConnectionLostError
        assert connection.state == "closed"
        assert not channel.is_open
        assert not channel.is_recovering
        with pytest.raises(hopmq.PublishNotSentError):
            await channel.publish(b"1", routing_key="q")


async def test_requests_wait_no_longer_than_they_may(proxy: FaultProxy) -> None:
    async with quick(proxy.url) as connection:
        channel = await connection.channel()
        with proxy.refuse_connections(), hurried(connection, 0.05):
            await lose(connection, proxy)
            requests = [
                start(connection.declare_queue("q")),
                start(channel.get("q")),
                start(channel.consume("q")),
                start(connection.channel()),
            ]
            outcomes = await soon(asyncio.gather(*requests, return_exceptions=True))
        assert {type(outcome) for outcome in outcomes} == {RequestTimeoutError}
        assert all("not sent" in str(outcome) for outcome in outcomes)
        await back(connection)
        assert channel.consumers() == []


async def test_a_request_that_the_lost_link_had_does_not_pass_for_one_that_was_not_sent(
    proxy: FaultProxy,
) -> None:
    async with quick(proxy.url) as connection:
        channel = await connection.channel()
        with proxy.stall("Channel.FlowOk") as stalled, hurried(connection, 0.05):
            request = start(channel.flow(True))
            await stalled.happened()
            with proxy.refuse_connections():
                proxy.disconnect(reset=True)
                with pytest.raises(RequestTimeoutError, match=r"not answered within|no answer"):
                    await soon(request)
        await back(connection)


async def test_a_request_that_no_link_came_for_was_not_sent_however_late_that_is_noticed(
    proxy: FaultProxy,
) -> None:
    async with quick(proxy.url) as connection:
        with proxy.refuse_connections(), hurried(connection, 0.05):
            await lose(connection, proxy)
            request = start(connection.declare_queue("q"))
            await turns()
            time.sleep(0.25)  # noqa: ASYNC251  # a loop that is held up for longer than any limit
            with pytest.raises(RequestTimeoutError, match="not sent"):
                await soon(request)
        await back(connection)
