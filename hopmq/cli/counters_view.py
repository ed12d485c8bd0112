"""Show a broker's counters: in place on a terminal, as a line now and then elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hopmq.cli.counters import Counters
from hopmq.cli.parameters import human_size

_REFRESH_INTERVAL: Final = 0.5
_LINE_INTERVAL: Final = 10.0
_COLUMNS: Final = {
    "clients": 7,
    "channels": 8,
    "queues": 6,
    "ready": 9,
    "unsettled": 9,
    "in/s": 7,
    "out/s": 7,
    "memory": 9,
}
"""Titles, and widths that keep the columns in their places while the numbers change."""


@asynccontextmanager
async def counters_shown(
    console: Console, read: Callable[[], Counters], *, interval: float | None = None
) -> AsyncIterator[None]:
    """Show what `read` returns while the block runs.

    Args:
        console: Where.
        read: Reads the counters.
        interval: Seconds between two readings.
    """
    in_place = console.is_terminal and not console.is_dumb_terminal
    show = _in_place if in_place else _by_line
    every = interval or (_REFRESH_INTERVAL if in_place else _LINE_INTERVAL)
    watcher = asyncio.create_task(show(console, read, every), name="hopmq broker counters")
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])


async def _in_place(console: Console, read: Callable[[], Counters], interval: float) -> None:
    # Refreshed from the event loop itself: a thread would read counters while they change.
    with Live(
        _below_log(read()),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        while True:
            await asyncio.sleep(interval)
            live.update(_below_log(read()), refresh=True)


async def _by_line(console: Console, read: Callable[[], Counters], interval: float) -> None:
    before = read()
    while True:
        await asyncio.sleep(interval)
        counters = read()
        if counters != before:
            console.print(counters_line(counters), soft_wrap=True)
        before = counters


def _below_log(counters: Counters) -> Group:
    return Group("", counters_table(counters))


def counters_table(counters: Counters) -> Table:
    """Return the counters under their names."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=0)
    for width in _COLUMNS.values():
        table.add_column(justify="right", no_wrap=True, min_width=width)
    table.add_row("", *_COLUMNS, style="dim")
    table.add_row(
        "",
        _connections(counters),
        f"{counters.channels:,}",
        f"{counters.queues:,}",
        f"{counters.ready:,}",
        f"{counters.unsettled:,}",
        f"{counters.arriving:,.0f}",
        f"{counters.delivering:,.0f}",
        _memory(counters),
    )
    return table


def counters_line(counters: Counters) -> str:
    """Return the counters as one line, for logs."""
    blocked = f" ({counters.blocked:,} blocked)" if counters.blocked else ""
    return (
        f"{counters.connections:,} clients{blocked}, {counters.channels:,} channels, "
        f"{counters.queues:,} queues, {counters.ready:,} ready, {counters.unsettled:,} unsettled, "
        f"{counters.arriving:,.0f}/s in, {counters.delivering:,.0f}/s out, "
        f"{human_size(counters.memory)} of messages"
    )


def _connections(counters: Counters) -> Text:
    if not counters.blocked:
        return Text(f"{counters.connections:,}")
    return Text(f"{counters.blocked:,} blocked of {counters.connections:,}", style="yellow")


def _memory(counters: Counters) -> Text:
    is_full = counters.memory > counters.memory_limit
    return Text(human_size(counters.memory), style="bold red" if is_full else "")
