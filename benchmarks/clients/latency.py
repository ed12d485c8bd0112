"""How long a confirm takes under load, without coordinated omission.

    python benchmarks/clients/latency.py
    python benchmarks/clients/latency.py --rabbitmq 4.3.6 --queue-type quorum

First the rate at which publishing saturates is measured, then messages are published at a part of
that rate, each at a time that was set beforehand. Its latency counts from that time on, and not
from when it was written: a client that falls behind has the delay counted for every message that
should have left meanwhile. The client looks at the clock in every turn of its loop, since timers
of event loops are a millisecond coarse.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cores import client_and_peer
from synthetic_peer import synthetic_peer
from tables import machine, number

import hopmq
from brokers import rabbitmq
from hopmq import Channel, PublishHandle, Queue

RESULTS = Path(__file__).parents[2] / "build" / "benchmarks" / "latency.json"
BODY = b"x" * 100
QUEUE = "bench-100-none"
WINDOW = 1000
"""Unconfirmed messages at saturation."""
MOST = 200_000
"""Unconfirmed messages that a client which has fallen behind may have."""
PARTS = (0.1, 0.5, 0.8)
PERCENTILES = (0.5, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Load:
    """Latencies at one rate.

    Attributes:
        part: Of the rate of saturation.
        rate: Messages per second that were due.
        percentiles: Seconds, for each of PERCENTILES.
        most: The longest.
    """

    part: float
    rate: float
    percentiles: list[float]
    most: float


async def saturated(channel: Channel, seconds: float) -> float:
    """Return the messages per second with a full window, by the same loop as under load."""
    begun = time.perf_counter()

    def due(pending: int, published: int) -> int:
        return published + WINDOW - pending if time.perf_counter() < begun + seconds else published

    found = await publish_when_due(channel, due, lambda _: begun)
    return len(found) / (time.perf_counter() - begun)


async def loaded(channel: Channel, rate: float, seconds: float) -> list[float]:
    """Publish at that rate; return the latencies of all messages, ascending."""
    count = int(rate * seconds)
    begun = time.perf_counter() + 0.01

    def due(pending: int, published: int) -> int:
        # One that has fallen far behind has to wait, and its latencies go on counting.
        return min(int((time.perf_counter() - begun) * rate), count, published + MOST - pending)

    return sorted(await publish_when_due(channel, due, lambda turn: begun + turn / rate, count))


async def publish_when_due(
    channel: Channel,
    due: Callable[[int, int], int],
    intended: Callable[[int], float],
    count: int = 0,
) -> list[float]:
    """Publish until `count` are confirmed, or nothing is due any more; return the latencies.

    Args:
        channel: Where to.
        due: How many are to be published by now; it is told how many are unconfirmed and published.
        intended: When the message of that number is to leave.
        count: How many there are; 0 for as many as are due.
    """
    pending: deque[tuple[float, PublishHandle]] = deque()
    latencies: list[float] = []
    published = 0
    while True:
        target = due(len(pending), published)
        if not pending and target <= published and published >= count:
            return latencies
        while published < target:
            handle = channel.publish_nowait(BODY, routing_key=QUEUE)
            pending.append((intended(published), handle))
            published += 1
        await asyncio.sleep(0)
        now = time.perf_counter()
        while pending and pending[0][1].done():
            begun, handle = pending.popleft()
            await handle  # raises what went wrong
            latencies.append(now - begun)


async def measure(url: str, given: argparse.Namespace) -> tuple[float, list[Load]]:
    """Return the rate of saturation, and the loads at parts of it."""
    async with (
        hopmq.connect(url, heartbeat=0) as connection,
        connection.channel(max_unconfirmed=MOST, max_unconfirmed_size=2**30) as channel,
    ):
        queue = Queue.classic(QUEUE, durable=False, max_length=10_000)
        if given.queue_type:
            queue = getattr(Queue, given.queue_type)(QUEUE, max_length=10_000)
        await channel.declare_queue(queue)
        await saturated(channel, 0.5)
        most = statistics.median([await saturated(channel, given.seconds / 3) for _ in range(3)])
        loads = []
        for part in PARTS:
            await loaded(channel, most * part, 0.2)
            found = await loaded(channel, most * part, given.seconds)
            at = [found[min(int(len(found) * each), len(found) - 1)] for each in PERCENTILES]
            loads.append(Load(part, most * part, at, found[-1]))
        return most, loads


@contextmanager
def target(given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Give a name and a URL; the synthetic peer has a core of its own, and so have we."""
    if given.rabbitmq:
        with rabbitmq(given.rabbitmq) as url:
            yield f"RabbitMQ {given.rabbitmq}", url
        return
    ours, peers = client_and_peer()
    with synthetic_peer(peers) as url:
        if ours is not None:
            os.sched_setaffinity(0, {ours})
        yield "synthetic peer", url


def table(name: str, most: float, loads: list[Load]) -> str:
    """Return a table with the latencies in microseconds."""
    heads = " | ".join(f"p{percentile * 100:g}" for percentile in PERCENTILES)
    lines = [
        f"| {name}, saturated at {most:,.0f}/s | messages/s | {heads} | longest |",
        "|---|--:|" + "--:|" * len(PERCENTILES) + "--:|",
    ]
    for load in loads:
        cells = [number(seconds * 1e6) for seconds in (*load.percentiles, load.most)]
        lines.append(f"| {load.part:.0%} | {load.rate:,.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print a table, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="at each rate")
    parser.add_argument("--rabbitmq", metavar="VERSION", help="a real broker")
    parser.add_argument("--queue-type", choices=("classic", "quorum"))
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    with target(given) as (name, url):
        most, loads = asyncio.run(measure(url, given))
    sys.stdout.write(table(name, most, loads) + "\n")
    content = {
        "machine": machine(),
        "target": name,
        "queue_type": given.queue_type,
        "saturated": most,
        "loads": [
            {"part": each.part, "rate": each.rate, "most": each.most}
            | dict(zip(map(str, PERCENTILES), each.percentiles, strict=True))
            for each in loads
        ],
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
