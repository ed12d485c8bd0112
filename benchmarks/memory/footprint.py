"""Memory of what does nothing: bytes for each idle connection, channel and consumer.

A client in one process, an embedded broker in another. After one of each as a warm-up, connections are
opened, then channels on one of them, then consumers of each kind on another channel; a figure is the
growth over all of a kind, divided by their number:

- traced: bytes in use that were asked of Python's allocators (tracemalloc), by HopMQ and by asyncio:
  transport, socket, timers, tables and all. Most exact, and the same in every run.
- resident: growth of the process, which adds what the allocators keep for themselves. From a process
  of its own, without tracemalloc.
- buffer: the part of a connection that received bytes wait in. It begins with 4 KiB, grows with what
  arrives, and is given back.

Sockets' buffers in the kernel are not counted, nor is what an idle connection's broker has.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parent.parent / "broker"))

from serving import embedded

import hopmq
from hopmq import Connection, Message

PAGE = os.sysconf("SC_PAGE_SIZE")
CONNECT_TIMEOUT = 1.0
KINDS = (
    "connection",
    "channel",
    "consumer, iterated",
    "consumer, plain callback",
    "consumer, coroutine",
)


class Look(Protocol):
    """Takes a figure of each kind."""

    figures: dict[str, float]

    def before(self) -> None:
        """Remember what is there."""

    def after(self, kind: str, count: int) -> None:
        """Compare with that."""


class Traced:
    """Bytes by tracemalloc, and the lines that asked for most of them."""

    def __init__(self, where: int) -> None:
        self.figures: dict[str, float] = {}
        self._where = where
        tracemalloc.start()

    def _take(self) -> tracemalloc.Snapshot:
        own = [tracemalloc.Filter(False, name) for name in (tracemalloc.__file__, __file__)]
        return tracemalloc.take_snapshot().filter_traces(own)

    def before(self) -> None:
        self._before = self._take()

    def after(self, kind: str, count: int) -> None:
        changes = self._take().compare_to(self._before, "lineno")
        self.figures[kind] = sum(change.size_diff for change in changes) / count
        for change in changes[: self._where]:
            size, blocks = change.size_diff / count, change.count_diff / count
            sys.stderr.write(f"{kind}: {size:8.1f} in {blocks:4.1f} at {change.traceback[0]}\n")


class Resident:
    """Growth of the process."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def _take(self) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE

    def before(self) -> None:
        self._before = self._take()

    def after(self, kind: str, count: int) -> None:
        self.figures[kind] = (self._take() - self._before) / count


async def measure(url: str, counts: dict[str, int], look: Look) -> None:
    """Open everything, one kind after the other."""
    connections: list[Connection] = []
    kept: list[object] = []

    async def coroutine(_: Message) -> None: ...

    def callback(_: Message) -> None: ...

    async def connect() -> None:
        connections.append(await hopmq.connect(url, connect_timeout=CONNECT_TIMEOUT))

    await connect()
    await connect()
    channel = await connections[0].channel()
    await channel.declare_queue("idle", durable=False)

    async def consume(handler: Callable[[Message], object] | None) -> None:
        kept.append(await channel.consume("idle", handler))

    async def open_channel() -> None:
        kept.append(await connections[0].channel())

    make: dict[str, Callable[[], Awaitable[None]]] = {
        "connection": connect,
        "channel": open_channel,
        "consumer, iterated": lambda: consume(None),
        "consumer, plain callback": lambda: consume(callback),
        "consumer, coroutine": lambda: consume(coroutine),
    }
    for kind in KINDS:
        await make[kind]()
    for kind in KINDS:
        gc.collect()
        look.before()
        for _ in range(counts[kind.partition(",")[0]]):
            await make[kind]()
        # asyncio keeps the timer of a time limit that was cancelled until it would be due.
        await asyncio.sleep(CONNECT_TIMEOUT + 0.2)
        gc.collect()
        look.after(kind, counts[kind.partition(",")[0]])
    room = connections[-1]._session.core.get_buffer(-1)
    look.figures["buffer"] = sys.getsizeof(room.obj)
    for connection in connections:
        await connection.close()


def looked(url: str, how: str, options: list[str]) -> dict[str, float]:
    """Return the figures that another process finds."""
    done = subprocess.run(
        [sys.executable, __file__, *options, "--url", url, "--look", how],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Print a table, or with `--look` the figures of this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--consumers", type=int, default=1000)
    parser.add_argument("--where", type=int, default=0, help="lines of the code to show")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--look", choices=("traced", "resident"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        counts = {
            "connection": options.connections,
            "channel": options.channels,
            "consumer": options.consumers,
        }
        look: Look = Traced(options.where) if options.look == "traced" else Resident()
        asyncio.run(measure(options.url, counts, look))
        sys.stdout.write(json.dumps(look.figures))
        return
    with embedded() as broker:
        traced, resident = (looked(broker.url, how, sys.argv[1:]) for how in ("traced", "resident"))
    print("| KiB for each | traced | resident |")
    print("| --- | --: | --: |")
    for kind in KINDS:
        print(f"| {kind} | {traced[kind] / 1024:.2f} | {resident[kind] / 1024:.2f} |")
    buffer = traced["buffer"]
    print(f"| connection without its buffer | {(traced['connection'] - buffer) / 1024:.2f} | |")


if __name__ == "__main__":
    main()
