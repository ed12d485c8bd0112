"""What recovery costs a publisher while nothing happens: CPU of the client for each message.

Confirmed publishes of 100 bytes to an embedded broker in a process of its own, by `publish_many` in a window of 1,000
and by 100 tasks that `publish` one after the other: without recovery, with it (`wait`), and with `resend`, which
keeps every message until it is confirmed. The three take turns; medians count.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "broker"))

from serving import embedded

import hopmq
from hopmq import Channel, Queue

BODY = b"x" * 100
TASKS = 100
KINDS: dict[str, dict[str, object]] = {
    "without recovery": {"recovery": None},
    "with recovery": {},
    "with recovery, resend": {"on_disconnect": "resend"},
}


async def many(channel: Channel, count: int) -> None:
    """Fill the window."""
    await channel.publish_many([BODY] * count, routing_key="overhead")


async def tasks(channel: Channel, count: int) -> None:
    """Publish from many tasks, each waiting for its confirm."""

    async def publish() -> None:
        for _ in range(count // TASKS):
            await channel.publish(BODY, routing_key="overhead")

    await asyncio.gather(*(publish() for _ in range(TASKS)))


async def run(
    url: str,
    options: dict[str, object],
    work: Callable[[Channel, int], Awaitable[None]],
    count: int,
) -> float:
    """Return the CPU microseconds of this process for each message."""
    async with (
        hopmq.connect(url, heartbeat=0, **options) as connection,  # type: ignore[arg-type]  # of several options
        connection.channel() as channel,
    ):
        await channel.declare_queue(Queue.classic("overhead", max_length=1))
        await work(channel, TASKS)
        begun = time.process_time()
        await work(channel, count)
        return (time.process_time() - begun) / count * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    results: dict[tuple[str, str], list[float]] = {}
    with embedded() as broker:
        for _ in range(chosen.rounds):
            for work in (many, tasks):
                for kind, options in KINDS.items():
                    cost = asyncio.run(run(broker.url, options, work, chosen.count))
                    results.setdefault((work.__name__, kind), []).append(cost)
    print("| | publish_many | 100 tasks |\n|---|--:|--:|")
    for kind in KINDS:
        cells = []
        for work in (many, tasks):
            cost = statistics.median(results[work.__name__, kind])
            base = statistics.median(results[work.__name__, "without recovery"])
            cells.append(f"{cost:.2f} µs ({cost / base - 1:+.1%})")
        print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
