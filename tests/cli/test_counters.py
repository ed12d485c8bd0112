"""The counters of a broker, and how they are shown."""

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

import hopmq
from hopmq.broker import Broker
from hopmq.cli.counters import Counters, Meter
from hopmq.cli.counters_view import counters_line, counters_shown, counters_table
from hopmq.cli.parameters import human_size

MANY = Counters(
    connections=10_000,
    channels=20_000,
    queues=99_999,
    ready=9_999_999,
    unsettled=9_999_999,
    arriving=123_456.7,
    delivering=123_456.7,
    memory=1023 * 1024**2,
    memory_limit=1024**3,
)


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker within this test's loop."""
    async with Broker() as running:
        yield running


async def test_messages_are_counted_that_come_wait_and_go(broker: Broker) -> None:
    meter = Meter(broker)
    assert meter.read(0.0) == Counters(memory_limit=broker.state.memory.limit)
    async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
        await channel.declare_queue("q")
        for _ in range(5):
            await channel.publish(bytes(100), routing_key="q")
        filled = meter.read(2.0)
        assert (filled.connections, filled.queues, filled.consumers) == (1, 1, 0)
        assert (filled.ready, filled.unsettled) == (5, 0)
        assert (filled.arrived, filled.arriving, filled.delivering) == (5, 2.5, 0.0)
        assert filled.memory > 500

        message = await channel.get("q")
        assert message is not None
        taken = meter.read(3.0)
        assert (taken.ready, taken.unsettled) == (4, 1)
        assert (taken.arriving, taken.delivered, taken.delivering) == (0.0, 1, 1.0)
        message.ack()
        await connection.delete_queue("q")
        assert meter.read(4.0).ready == 0


async def test_what_is_gone_since_the_last_reading_was_counted(broker: Broker) -> None:
    meter = Meter(broker)
    async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
        await channel.declare_queue("q")
        await channel.publish(b"", routing_key="q")
        meter.read(0.0)
        for _ in range(2):
            await channel.publish(b"", routing_key="q")
        await channel.get("q", no_ack=True)
        await connection.delete_queue("q")
    read = meter.read(1.0)
    assert (read.arrived, read.delivered, read.queues) == (3, 1, 0)


async def test_a_purge_counts_for_nothing(broker: Broker) -> None:
    meter = Meter(broker)
    async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
        await channel.declare_queue("q")
        await channel.publish(b"", routing_key="q")
        assert meter.read(1.0).arrived == 1
        await channel.purge("q")
        assert meter.read(2.0).arrived == 1


def test_the_table_keeps_its_width_and_fits_a_terminal() -> None:
    def lines(counters: Counters) -> list[str]:
        output = io.StringIO()
        Console(file=output, width=80).print(counters_table(counters))
        return [line.rstrip() for line in output.getvalue().splitlines()]

    titles, _ = lines(Counters())
    assert titles.split()[0] == "clients"
    assert lines(MANY)[0] == titles
    assert "…" not in lines(MANY)[1]


def test_blocked_clients_show() -> None:
    blocked = Counters(connections=3, blocked=2)
    assert "3 clients (2 blocked)" in counters_line(blocked)
    output = io.StringIO()
    Console(file=output, width=80).print(counters_table(blocked))
    assert "2 blocked of 3" in output.getvalue()


async def test_a_terminal_sees_them_in_place() -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None)
    read = asyncio.Event()

    def reading() -> Counters:
        if "clients" in output.getvalue():
            read.set()
        return MANY

    async with counters_shown(console, reading, interval=0.001), asyncio.timeout(10.0):
        await read.wait()
    assert "9,999,999" in output.getvalue()
    assert "\x1b[" in output.getvalue()


async def test_what_is_no_terminal_sees_a_line_when_something_has_changed() -> None:
    output = io.StringIO()
    readings = iter([Counters(), Counters(), MANY, MANY])
    done = asyncio.Event()

    def reading() -> Counters:
        found = next(readings, None)
        if found is None:
            done.set()
        return found or MANY

    console = Console(file=output, width=40)
    async with counters_shown(console, reading, interval=0.001), asyncio.timeout(10.0):
        await done.wait()
    assert output.getvalue() == counters_line(MANY) + "\n"


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (512 * 1024**2, "512 MiB"),
        (2000 * 1024**3, "2,000 GiB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert human_size(size) == text
