"""Memory of what does nothing: bytes for each idle connection, channel and consumer.

A client in this process, an embedded broker in another. After one of each as a warm-up, connections are
opened, then channels on the first of them, then consumers on the first of those; each figure is the
difference over all of a kind, divided by their number:

- traced: bytes that are in use and were asked of Python's allocators (tracemalloc), with asyncio's own
  objects: transport, socket, selector key, timers. Objects as they are, and their tables.
- resident: growth of the process (RSS), which adds malloc's and the allocator's own share, and what
  C libraries hold. Measured in another process, without tracemalloc.
- buffers: of `traced`, what received bytes wait in: it grows with what arrives, and shrinks again.

Sockets' buffers in the kernel are not counted.
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

sys.path.insert(0, str(Path(__file__).parent.parent / "broker"))

from serving import embedded

import hopmq
from hopmq import Channel, Connection

PAGE = os.sysconf("SC_PAGE_SIZE")
KINDS = ("connection", "channel", "consumer")
BUFFERS = ("*receive_buffer*",)


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def settle() -> None:
    """Let the loop come to rest, and drop what is garbage."""
    for _ in range(3):
        await asyncio.sleep(0.05)
        gc.collect()


async def measure(url: str, counts: dict[str, int], observe: Callable[[str], None]) -> None:
    """Open everything, with a look in between."""
    kept: list[Connection | Channel | hopmq.Consumer] = []

    async def idle(_: hopmq.Message) -> None: ...

    async def connection() -> None:
        kept.append(await hopmq.connect(url))

    warm = await hopmq.connect(url)
    on_it = await warm.channel()
    await on_it.declare_queue("idle", durable=False)
    await on_it.consume("idle", idle)

    async def channel() -> None:
        kept.append(await warm.channel())

    async def consumer() -> None:
        kept.append(await on_it.consume("idle", idle))

    make: dict[str, Callable[[], Awaitable[None]]] = {
        "connection": connection,
        "channel": channel,
        "consumer": consumer,
    }
    for kind in KINDS:
        await make[kind]()
    for kind in KINDS:
        await settle()
        observe("before")
        for _ in range(counts[kind]):
            await make[kind]()
        await settle()
        observe(kind)
    for each in kept:
        if isinstance(each, Connection):
            await each.close()
    await warm.close()


class Traced:
    """Bytes by tracemalloc, and the lines that asked for them."""

    def __init__(self, counts: dict[str, int], where: int) -> None:
        """Show the `where` largest lines of each kind."""
        self.counts = counts
        self.where = where
        self.figures: dict[str, float] = {}
        tracemalloc.start()

    def __call__(self, kind: str) -> None:
        """Look."""
        gc.collect()
        snapshot = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__)]
        )
        if kind == "before":
            self.before = snapshot
            return
        count = self.counts[kind]
        changes = snapshot.compare_to(self.before, "lineno")
        self.figures[kind] = sum(change.size_diff for change in changes) / count
        if kind == "connection":
            buffers = sum(
                change.size_diff
                for change in changes
                if "receive_buffer" in change.traceback[0].filename
            )
            self.figures["buffers"] = buffers / count
        for change in changes[: self.where]:
            frame = change.traceback[0]
            print(
                f"  {kind}: {change.size_diff / count:8.1f} in {change.count_diff / count:5.1f}"
                f"  {frame.filename}:{frame.lineno}",
                file=sys.stderr,
            )


class Resident:
    """Growth of the process."""

    def __init__(self, counts: dict[str, int]) -> None:
        """Count from the first look on."""
        self.counts = counts
        self.figures: dict[str, float] = {}

    def __call__(self, kind: str) -> None:
        """Look."""
        if kind == "before":
            self.before = resident()
        else:
            self.figures[kind] = (resident() - self.before) / self.counts[kind]


def main() -> None:
    """Print a table, or with `--look` one measurement of this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--consumers", type=int, default=1000)
    parser.add_argument("--where", type=int, default=0, help="largest lines to show")
    parser.add_argument("--url", help="of a broker that runs already")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--look", choices=("traced", "resident"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = dict(zip(KINDS, (options.connections, options.channels, options.consumers)))
    if options.look:
        looks = Traced(counts, options.where) if options.look == "traced" else Resident(counts)
        factory = None
        if options.loop == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(measure(options.url, counts, looks))
        print(json.dumps(looks.figures))
        return
    with embedded() as broker:
        print(hopmq.speedups_reason, file=sys.stderr)
        rows = {look: _in_another(broker.url, look) for look in ("traced", "resident")}
    print("| KiB for each | " + " | ".join(rows) + " |")
    print("| --- |" + " --: |" * len(rows))
    for kind in (*KINDS, "buffers"):
        figures = (row.get(kind) for row in rows.values())
        cells = ("" if each is None else f"{each / 1024:.2f}" for each in figures)
        print(f"| {kind} | {' | '.join(cells)} |")


def _in_another(url: str, look: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--url", url, "--look", look],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    main()
