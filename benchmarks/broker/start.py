"""From nothing to the first confirmed publish: how long an embedded broker keeps a test waiting.

Measured is all of it: start the broker, connect, open a channel, declare a queue, publish, and
have the confirm. Once with everything imported, and once from the first line of a new interpreter,
whose own start is not counted.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

WAYS = ("tcp", "memory")
TARGET = 0.050

FRESH = """
import time
begun = time.perf_counter()
import asyncio
import sys
sys.path.insert(0, {folder!r})
from start import first_publish
asyncio.run(first_publish({way!r}))
print(time.perf_counter() - begun)
"""


async def first_publish(way: str) -> None:
    """Start a broker and publish one message to it; return when it is confirmed."""
    import hopmq

    if way == "memory":
        await publish("memory://start")
        return
    async with hopmq.broker.Broker() as broker:
        await publish(broker.url)


async def publish(url: str) -> None:
    """Publish one message into a new queue."""
    import hopmq

    async with hopmq.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue("start")
        await channel.publish(b"first", routing_key="start")


def in_process(way: str, runs: int) -> list[float]:
    """Return the seconds of each run, in one process with a new event loop for each."""
    asyncio.run(first_publish(way))  # imports, once
    return [timed(lambda: first_publish(way)) for _ in range(runs)]


def timed(run: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds that a run takes in an event loop that is there already."""

    async def measured() -> float:
        begun = time.perf_counter()
        await run()
        return time.perf_counter() - begun

    return asyncio.run(measured())


def with_imports(way: str, runs: int) -> list[float]:
    """Return the seconds of each run, in an interpreter of its own."""
    folder = sys.path[0]
    script = FRESH.format(folder=folder, way=way)
    return [
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        )
        for _ in range(runs)
    ]


def row(name: str, seconds: list[float]) -> str:
    """Return one line of the table, in milliseconds."""
    numbers = (statistics.median(seconds), min(seconds), max(seconds))
    return f"| {name} | " + " | ".join(f"{number * 1000:.1f}" for number in numbers) + " |"


def main() -> int:
    """Print the table; 0 when the medians without imports stay below the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    runs = parser.parse_args().runs
    print(f"| ms, {runs} runs | median | fastest | slowest |\n| --- | --: | --: | --: |")
    reached = True
    for way in WAYS:
        seconds = in_process(way, runs)
        reached = reached and statistics.median(seconds) < TARGET
        print(row(f"{way}, imported before", seconds))
        print(row(f"{way}, imports included", with_imports(way, runs)))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
