"""What a run amounted to, for people to read."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

import hopmq
from hopmq.cli.load import Load

_QUANTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(slots=True, frozen=True, kw_only=True)
class Setting:
    """What a run was made on.

    Attributes:
        broker: The broker's product and version.
        address: Where it is, without the password.
        loop: The event loop.
        size: Bytes of each body.
    """

    broker: str
    address: str
    loop: str
    size: int


def show_summary(console: Console, load: Load, setting: Setting) -> None:
    """Print rates, latencies, the setting and the counts."""
    console.print()
    if load.confirm_times and load.consume_times:
        console.print(f"{load.total:,} messages of {setting.size:,} bytes", style="bold")
        console.print(_rates(load))
        console.print()
        console.print(_latencies(load))
        console.print()
    console.print(_setting(setting))
    console.print()
    _show_counts(console, load)


def counts(load: Load) -> str:
    """Return the sentence that the whole run is about."""
    return (
        f"{load.published:,} published, {len(load.confirmed):,} confirmed, "
        f"{len(load.seen):,} consumed, {load.lost:,} lost, {load.repeated:,} duplicated"
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all values do not pass (nearest rank)."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def _show_counts(console: Console, load: Load) -> None:
    style = "bold green" if load.succeeded else "bold red"
    console.print(Text(counts(load), style=style), soft_wrap=True)
    if load.problem is not None:
        console.print(Text(f"ended early: {load.problem}", style="red"), soft_wrap=True)


def _rates(load: Load) -> Table:
    table = _grid(2)
    table.columns[1].justify = "right"
    confirmed, consumed = len(load.confirmed), len(load.seen)
    for what, number, seconds in (
        ("published and confirmed", confirmed, load.publish_seconds),
        ("consumed and acknowledged", consumed, load.consume_seconds),
    ):
        rate = number / seconds if seconds else 0.0
        table.add_row(what, f"{rate:,.0f} messages/s", f"in {seconds:.2f} s")
    return table


def _latencies(load: Load) -> Table:
    table = _grid(len(_QUANTILES))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("latency", *_QUANTILES, style="dim")
    for what, times in (
        ("publish to confirm", load.confirm_times),
        ("publish to consume", load.consume_times),
    ):
        shares = _QUANTILES.values()
        table.add_row(what, *(f"{quantile(times, share) * 1000:,.1f} ms" for share in shares))
    return table


def _setting(setting: Setting) -> Table:
    table = _grid(1)
    table.add_row("codec", hopmq.speedups_reason)
    table.add_row("event loop", setting.loop)
    table.add_row("broker", f"{setting.broker} at {setting.address}")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    table.add_row("client", f"HopMQ {hopmq.__version__} on {python}")
    return table


def _grid(columns: int) -> Table:
    """Return a table without lines: a name, then `columns` values."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(min_width=25, no_wrap=True)
    for _ in range(columns):
        table.add_column(no_wrap=True)
    return table
