"""Unread messages take bounded memory, however many there are and however small each is."""

import asyncio
import gc
from pathlib import Path

import pytest

from hopmq import Channel, Consumer
from hopmq.testing import FaultProxy
from scripted.peer import delivery
from scripted.server import ScriptedServer

from .ends import Ends, connected
from .links import bounce, quick, until

MIB = 1024 * 1024
COUNT = 1_000_000
LIMIT = 16 * MIB
UNREAD = 3_000
"""Messages that together pass the limit of a test, and eight times that, up to which answers are read."""

SMALL = 20_000
HARD = 8 * SMALL
_AT_ONCE = 2_000
_PAGE = 4096


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


async def flood(ends: Ends, batch: bytes) -> None:
    """Send a million deliveries, as fast as they are taken."""
    transport = ends.peer.transport
    for _ in range(COUNT // _AT_ONCE):
        while transport.get_write_buffer_size() > MIB:
            await asyncio.sleep(0.001)
        transport.write(batch)
        await asyncio.sleep(0)


@pytest.mark.parametrize("body", [b"", b"small"], ids=["empty", "small"])
async def test_a_million_unread_deliveries(server: ScriptedServer, body: bytes) -> None:
    async with connected(server, max_unread_size=LIMIT, heartbeat=0) as ends:
        consumer: Consumer = await ends.channel.consume("q", no_ack=True, consumer_tag="c")
        batch = delivery(ends.channel.number, "c", 1, body) * _AT_ONCE
        budget = ends.connection._session.budget
        gc.collect()
        before = resident()
        flooding = asyncio.create_task(flood(ends, batch))
        await until(lambda: budget.paused)
        await until(lambda: ends.peer.transport.get_write_buffer_size() > MIB)
        assert LIMIT < budget.unread < LIMIT + 8 * MIB
        assert resident() - before < 3 * LIMIT
        for _ in range(COUNT):
            assert (await anext(consumer)).body == body
        await flooding
        assert budget.unread == 0
        assert resident() - before < 3 * LIMIT


async def test_what_was_unread_when_its_link_ended_does_not_count(
    proxy: FaultProxy, other: Channel, name: str
) -> None:
    await other.declare_queue(name)
    await other.publish_many([b"1"] * UNREAD, routing_key=name)
    # A socket that is not read tells of its end when a heartbeat is written to it.
    async with quick(proxy.url, max_unread_size=SMALL, heartbeat=1) as connection:
        channel = await connection.channel(prefetch=0)
        consumer = await channel.consume(name)
        budget = connection._session.budget
        for _ in range(3):
            await until(lambda: budget.paused)
            assert budget.unread < HARD + 256 * 1024
            await bounce(connection, proxy)
        for _ in range(UNREAD):
            (await anext(consumer)).ack()
        assert budget.unread == 0
        await channel.flow(True)
    assert await other.get(name) is None
    await other.delete_queue(name)
