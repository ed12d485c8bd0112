"""A dead peer is found within two intervals, and a live one is never taken for dead."""

import asyncio
import time

import pytest

import hopmq
from hopmq.errors import ConnectionLostError, PublishUnknownError
from scripted import frames
from scripted.relay import Relay
from scripted.server import ScriptedServer

from .ends import Ends, connected, soon, start, turns

QUICK = 0.2
"""An interval that a test can wait for; the protocol negotiates whole seconds."""

UNHURRIED = 0.6
"""One at which a peer in this loop answers in time although the machine has other things to do."""

CALM = 60.0
"""One that no machine is too busy for."""

HEARTBEAT = frames.frame(frames.HEARTBEAT, 0, b"")


def beat_every(ends: Ends, interval: float) -> float:
    """Go on with another heartbeat interval; return the time."""
    loop = asyncio.get_running_loop()
    core = ends.connection._core
    core.heartbeat.start(interval, loop.time())
    ends.connection._session.link._arm()
    return loop.time()


async def check_in_step_calmly(ends: Ends) -> None:
    """Let whatever is due be judged; then use all, for which a busy machine takes its time."""
    await turns()
    while ends.connection._session.link._rechecking:
        await asyncio.sleep(0)
    beat_every(ends, CALM)
    await ends.check_in_step()


async def test_a_black_holed_peer_is_found_after_two_intervals_of_a_second(
    server: ScriptedServer,
) -> None:
    async with Relay("127.0.0.1", server.port) as relay:
        url = f"amqp://guest:guest@127.0.0.1:{relay.port}"
        connection = await soon(hopmq.connect(url, heartbeat=1, recovery=None))
        peer = await soon(server.peer())
        assert connection.heartbeat == 1
        channel = await soon(connection.channel())
        consumer = await soon(channel.consume("q"))
        relay.hold_everything()
        silent_since = connection._core.heartbeat.last_received
        waiting = [
            start(channel.publish(b"lost", routing_key="q")),
            start(connection.declare_queue("q")),
            start(consumer.__anext__()),
        ]
        reason = await soon(connection.wait_closed())
        assert asyncio.get_running_loop().time() - silent_since >= 2.0
        assert type(reason) is ConnectionLostError
        assert "2 seconds, two heartbeat intervals" in str(reason)
        publish, request, reader = await soon(asyncio.gather(*waiting, return_exceptions=True))
        assert type(publish) is PublishUnknownError
        assert type(request) is ConnectionLostError
        assert type(reader) is ConnectionLostError
        assert "Connection.Close" not in peer.seen


async def test_an_idle_connection_sends_heartbeats(ends: Ends) -> None:
    began = beat_every(ends, UNHURRIED)
    for _ in range(3):
        await soon(ends.peer.receives("Heartbeat"))
        ends.peer.write(HEARTBEAT)
    assert asyncio.get_running_loop().time() - began >= UNHURRIED
    await check_in_step_calmly(ends)


async def test_any_byte_is_a_sign_of_life(ends: Ends) -> None:
    began = beat_every(ends, UNHURRIED)
    for byte in HEARTBEAT[:5]:
        await soon(ends.peer.receives("Heartbeat"))
        ends.peer.write(bytes([byte]))
    assert asyncio.get_running_loop().time() - began > 2 * UNHURRIED
    ends.peer.write(HEARTBEAT[5:])
    await check_in_step_calmly(ends)


async def test_bytes_that_we_send_are_no_sign_of_the_peer(ends: Ends) -> None:
    ends.gate.drop("Basic.Ack")
    beat_every(ends, QUICK)
    ended = start(ends.connection.wait_closed())
    while not ended.done():
        if ends.channel.is_open:
            ends.channel.publish_nowait(b"anybody there?", routing_key="q")
        await asyncio.sleep(QUICK / 4)
    assert type(await soon(ended)) is ConnectionLostError


async def test_a_loop_that_was_blocked_reads_before_it_judges(ends: Ends) -> None:
    beat_every(ends, QUICK)
    ends.peer.write(HEARTBEAT)
    await asyncio.sleep(QUICK / 4)
    ends.peer.write(HEARTBEAT)
    time.sleep(3 * QUICK)  # noqa: ASYNC251  # a handler that blocks the loop
    await check_in_step_calmly(ends)


async def test_a_loop_that_runs_timers_first_reads_before_it_judges(ends: Ends) -> None:
    beat_every(ends, QUICK)
    ends.peer.write(HEARTBEAT)
    time.sleep(3 * QUICK)  # noqa: ASYNC251  # as above
    ends.connection._session.link._on_deadline()
    await check_in_step_calmly(ends)


async def test_a_loop_that_was_blocked_for_long_with_a_negotiated_second_is_not_cut_off(
    server: ScriptedServer,
) -> None:
    async with connected(server, heartbeat=1) as ends:
        ends.peer.write(HEARTBEAT)
        time.sleep(2.3)  # noqa: ASYNC251  # as above
        await check_in_step_calmly(ends)


async def test_a_loop_that_was_blocked_still_finds_a_peer_that_is_dead(ends: Ends) -> None:
    beat_every(ends, QUICK)
    time.sleep(3 * QUICK)  # noqa: ASYNC251  # as above
    assert type(await soon(ends.connection.wait_closed())) is ConnectionLostError


async def test_heartbeats_are_off_when_the_client_says_so(server: ScriptedServer) -> None:
    async with connected(server, heartbeat=0) as ends:
        assert ends.connection.heartbeat == 0
        assert ends.connection._core.next_deadline() is None


async def test_a_dead_peer_is_found_while_the_socket_takes_no_more_bytes(
    server: ScriptedServer,
) -> None:
    async with connected(server) as ends:
        plain = await soon(ends.connection.channel(confirms=False))
        ends.peer.transport.pause_reading()
        publishing = start(plain.publish_many([bytes(1024 * 1024)] * 64, routing_key="q"))
        while not ends.connection._session.link.write_paused:
            await asyncio.sleep(0)
        beat_every(ends, QUICK)
        assert type(await soon(ends.connection.wait_closed())) is ConnectionLostError
        with pytest.raises(hopmq.PublishManyError):
            await soon(publishing)
