"""Who does not read stops who writes, on both ends, and memory stays bounded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from unittest.mock import Mock

import pytest

import hopmq
from hopmq.errors import ConnectionLostError, PublishNotSentTimeoutError, PublishUnknownTimeoutError
from hopmq.transport import link
from scripted import frames
from scripted.peer import delivery
from scripted.server import ScriptedServer

from .ends import PATIENCE, Ends, connected, soon, start
from .test_heartbeats import beat_every

MIB = 1024 * 1024
LIMIT = 100_000
"""Bytes that may wait unread in these tests."""

COUNT = 70
"""Messages of 10,000 bytes that arrive unasked: less than the hard limit, eight times LIMIT."""


# --- a peer that stops reading -------------------------------------------------------------------


async def until_paused(ends: Ends) -> None:
    """Wait until the socket takes no more."""
    async with asyncio.timeout(PATIENCE):
        while not ends.connection._session.link.write_paused:
            await asyncio.sleep(0)


def buffered(ends: Ends) -> int:
    """Return the bytes that wait on their way out."""
    transport = ends.connection._session.link.transport
    return transport.get_write_buffer_size() + ends.connection._core.out_size


@pytest.mark.parametrize("confirms", [True, False], ids=["confirms", "plain"])
async def test_a_peer_that_stops_reading_pauses_publishers_and_bounds_memory(
    ends: Ends, confirms: bool
) -> None:
    channel = await soon(
        ends.connection.channel(confirms=confirms, max_unconfirmed_size=1024 * MIB)
    )
    sent = 0

    async def publish() -> None:
        nonlocal sent
        for _ in range(2):
            await channel.publish(bytes(MIB), routing_key="q")
            sent += 1

    ends.peer.transport.pause_reading()
    publishers = [start(publish()) for _ in range(40)]
    await until_paused(ends)
    await asyncio.sleep(0.02)
    assert sent < 80
    assert buffered(ends) < 8 * MIB
    ends.peer.transport.resume_reading()
    await soon(asyncio.gather(*publishers))
    assert sent == 80
    await soon(channel.close())
    assert ends.peer.seen.count("Published") == 80
    await ends.check_in_step()


@pytest.mark.parametrize("never_pauses", [True, False], ids=["never", "pauses"])
async def test_where_writelines_never_pauses_the_writer_it_is_not_used(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, never_pauses: bool
) -> None:
    # CVE-2024-12254: the buffers of asyncio in 3.12.0 to 3.12.8 and 3.13.0 to 3.13.1
    monkeypatch.setattr(link, "_WRITELINES_NEVER_PAUSES", never_pauses)
    used = Mock(wraps=ends.connection._session.link.transport)
    monkeypatch.setattr(ends.connection._session.link, "_transport", used)
    await soon(ends.channel.publish(bytes(MIB), routing_key="q"))
    assert used.writelines.called is not never_pauses
    assert used.write.called is never_pauses
    assert ends.peer.seen.count("Published") == 1


async def test_publish_many_without_confirms_keeps_to_the_socket_s_pace(ends: Ends) -> None:
    plain = await soon(ends.connection.channel(confirms=False))
    made = 0

    def messages() -> Iterator[bytes]:
        nonlocal made
        for _ in range(64):
            made += 1
            yield bytes(MIB)

    ends.peer.transport.pause_reading()
    task = start(plain.publish_many(messages(), routing_key="q"))
    await until_paused(ends)
    await asyncio.sleep(0.02)
    assert made < 64
    assert buffered(ends) < 4 * MIB
    ends.peer.transport.resume_reading()
    assert len(await soon(task)) == 64
    await soon(plain.close())


async def test_a_deadline_that_ends_at_a_full_socket_is_not_sent_and_never_arrives(
    ends: Ends,
) -> None:
    plain = await soon(ends.connection.channel(confirms=False))
    ends.peer.transport.pause_reading()
    filling = start(plain.publish_many([bytes(MIB)] * 32, routing_key="q"))
    await until_paused(ends)
    with pytest.raises(PublishNotSentTimeoutError, match="socket takes no more"):
        await soon(ends.channel.publish(b"too late", routing_key="q", timeout=0.03))
    with pytest.raises(hopmq.PublishNotSentError, match="socket takes no more"):
        ends.channel.publish_nowait(b"now", routing_key="q")
    ends.peer.transport.resume_reading()
    await soon(filling)
    await soon(plain.close())
    await ends.check_in_step()
    assert ends.peer.seen.count("Published") == 33


async def test_small_messages_are_bounded_by_the_window(ends: Ends) -> None:
    narrow = await soon(ends.connection.channel(max_unconfirmed=10, max_unconfirmed_size=50))
    held = ends.gate.hold("Basic.Ack")
    tasks = [start(narrow.publish(b"0123456789", routing_key="q")) for _ in range(30)]
    await soon(held.reached(5))
    await soon(ends.connection.declare_queue("a round trip"))
    assert narrow.unconfirmed == 5
    assert ends.peer.seen.count("Published") == 5
    held.release()
    await soon(asyncio.gather(*tasks))
    await soon(narrow.close())


async def test_a_single_message_above_the_window_s_size_is_sent_alone(ends: Ends) -> None:
    narrow = await soon(ends.connection.channel(max_unconfirmed_size=50))
    assert (await soon(narrow.publish(bytes(1000), routing_key="q"))).confirmed
    await soon(narrow.close())


# --- an application that stops reading -------------------------------------------------------------


@pytest.fixture
async def flooded(server: ScriptedServer) -> "AsyncIterator[Flooded]":
    """Return a connection whose consumer has more unread than it may, so that reading pauses."""
    async with connected(server, max_unread_size=LIMIT) as ends:
        consumer = await soon(ends.channel.consume("q", consumer_tag="slow", no_ack=True))
        for tag in range(1, COUNT + 1):
            ends.peer.deliver(ends.channel.number, "slow", tag, b"%04d" % tag * 2500)
        async with asyncio.timeout(PATIENCE):
            while not ends.connection._session.budget.paused:
                await asyncio.sleep(0)
        yield ends, consumer


Flooded = tuple[Ends, hopmq.Consumer]


async def read_all(consumer: hopmq.Consumer) -> list[int]:
    """Take all of the flood."""
    return [int((await anext(consumer)).body[:4]) for _ in range(COUNT)]


async def read_to_the_end(consumer: hopmq.Consumer) -> None:
    """Take whatever comes."""
    async for _ in consumer:
        pass


async def test_unread_messages_are_bounded_and_none_is_lost(flooded: Flooded) -> None:
    ends, consumer = flooded
    await asyncio.sleep(0.02)
    budget = ends.connection._session.budget
    # One read of the socket may pass the limit, and no more than one.
    assert LIMIT < budget.unread < LIMIT + 256 * 1024
    assert await soon(read_all(consumer)) == list(range(1, COUNT + 1))
    assert budget.unread == 0
    await soon(consumer.cancel())
    await ends.check_in_step()


async def test_heartbeats_go_out_while_reading_is_paused_and_the_peer_is_not_given_up(
    flooded: Flooded,
) -> None:
    ends, consumer = flooded
    beat_every(ends, 0.1)
    for _ in range(8):
        await soon(ends.peer.receives("Heartbeat"))
    assert ends.connection.is_open
    assert await soon(read_all(consumer)) == list(range(1, COUNT + 1))


WAITS: dict[str, Callable[[Ends], Awaitable[object]]] = {
    "publish": lambda ends: ends.channel.publish(b"x", routing_key="q"),
    "publish_nowait": lambda ends: ends.channel.publish_nowait(b"x", routing_key="q"),
    "publish_many": lambda ends: ends.channel.publish_many([b"x"] * 5, routing_key="q"),
    "declare": lambda ends: ends.connection.declare_queue("q"),
    "channel": lambda ends: ends.connection.channel(),
    "get": lambda ends: ends.channel.get("q"),
    "consume": lambda ends: ends.channel.consume("another"),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("flood", [COUNT, 1000], ids=["within-hard-limit", "beyond-hard-limit"])
async def test_an_answer_that_waits_behind_unread_messages_is_read(
    server: ScriptedServer, wait: str, flood: int
) -> None:
    async with connected(server, max_unread_size=LIMIT) as ends:
        consumer = await soon(ends.channel.consume("q", consumer_tag="slow", no_ack=True))
        flooding = b"".join(
            delivery(ends.channel.number, "slow", tag, bytes(10_000)) for tag in range(flood)
        )
        ends.peer.write(flooding)
        async with asyncio.timeout(PATIENCE):
            while not ends.connection._session.budget.paused:
                await asyncio.sleep(0)
        task = start(WAITS[wait](ends))
        if flood == 1000:
            # Beyond the hard limit it is the application's turn: what it takes makes room.
            for _ in range(flood):
                await soon(anext(consumer))
        await soon(task)


async def test_a_publish_made_while_handling_does_not_wait_for_itself(flooded: Flooded) -> None:
    ends, consumer = flooded
    for number in range(1, COUNT + 1):
        message = await soon(anext(consumer))
        if number % 10 == 0:
            assert (await soon(ends.channel.publish(message.body, routing_key="q"))).confirmed


async def test_beyond_the_hard_limit_a_publish_that_nobody_makes_room_for_ends_by_its_deadline(
    server: ScriptedServer,
) -> None:
    async with connected(server, max_unread_size=LIMIT) as ends:
        await soon(ends.channel.consume("q", consumer_tag="slow", no_ack=True))
        for tag in range(1, 401):
            ends.peer.deliver(ends.channel.number, "slow", tag, bytes(10_000))
        with pytest.raises(PublishUnknownTimeoutError):
            await soon(ends.channel.publish(b"stuck", routing_key="q", timeout=0.2))
        assert ends.connection._session.budget.unread < 8 * LIMIT + 256 * 1024


async def test_a_connection_closes_at_once_while_reading_is_paused(flooded: Flooded) -> None:
    ends, consumer = flooded
    await soon(ends.connection.close(timeout=2 * PATIENCE))
    with pytest.raises(hopmq.ConnectionClosed):
        await soon(read_all(consumer))
    await soon(ends.peer.lost)


async def test_a_connection_closes_at_once_though_an_ended_consumer_s_messages_are_unread(
    flooded: Flooded,
) -> None:
    ends, consumer = flooded
    await soon(consumer.cancel())
    await soon(ends.channel.consume("q", consumer_tag="another", no_ack=True))
    ends.peer.deliver(ends.channel.number, "another", 1)
    async with asyncio.timeout(PATIENCE):
        while not ends.connection._session.budget.paused:
            await asyncio.sleep(0)
    await soon(ends.connection.close(timeout=2 * PATIENCE))
    assert await soon(read_all(consumer)) == list(range(1, COUNT + 1))


async def test_a_channel_closes_at_once_while_reading_is_paused(flooded: Flooded) -> None:
    ends, consumer = flooded
    await soon(ends.channel.close())
    with pytest.raises(hopmq.ChannelClosed):
        await soon(read_all(consumer))
    another = await soon(ends.connection.channel())
    assert (await soon(another.publish(b"fine", routing_key="q"))).confirmed


async def test_a_consumer_cancelled_while_reading_is_paused_ends_at_once(
    flooded: Flooded,
) -> None:
    ends, consumer = flooded
    await soon(consumer.cancel())
    assert not consumer.is_active
    assert (await soon(ends.channel.publish(b"fine", routing_key="q"))).confirmed


async def test_a_connection_lost_while_reading_is_paused_is_found_when_reading_goes_on(
    flooded: Flooded,
) -> None:
    ends, consumer = flooded
    ends.peer.reset()
    with pytest.raises(ConnectionLostError):
        await soon(read_to_the_end(consumer))
    await soon(ends.connection.wait_closed())


async def test_resuming_a_link_that_is_gone_does_no_harm(flooded: Flooded) -> None:
    ends, consumer = flooded
    link = ends.connection._session.link
    link.abort()
    await soon(ends.connection.wait_closed())
    link.resume_reading()
    link.pause_reading()
    link.resume_reading()
    with pytest.raises(hopmq.ConnectionClosed):
        await soon(read_all(consumer))


async def test_a_handler_s_inbox_is_bounded_like_an_iterator_s(server: ScriptedServer) -> None:
    async with connected(server, max_unread_size=LIMIT) as ends:
        go_on = asyncio.Event()
        handled = 0

        async def handle(message: hopmq.Message) -> None:
            nonlocal handled
            await go_on.wait()
            handled += 1
            message.ack()

        consumer = await soon(ends.channel.consume("q", handle, consumer_tag="slow"))
        for tag in range(1, 401):
            ends.peer.deliver(ends.channel.number, "slow", tag, bytes(10_000))
        async with asyncio.timeout(PATIENCE):
            while not ends.connection._session.budget.paused:
                await asyncio.sleep(0)
        assert ends.connection._session.budget.unread < LIMIT + 512 * 1024
        go_on.set()
        async with asyncio.timeout(PATIENCE):
            while handled < 400:
                await asyncio.sleep(0)
        await soon(consumer.cancel())
        await ends.check_in_step()


async def test_closing_answers_are_read_though_nobody_reads_the_messages(
    flooded: Flooded,
) -> None:
    ends, _ = flooded
    ends.peer.write(frames.frame(frames.HEARTBEAT, 0, b""))
    await soon(ends.connection.drain())
    assert ends.connection.state == "closed"
