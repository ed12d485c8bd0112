"""A deep queue: its memory for each message, and what it costs other connections.

A process publishes messages of 100 bytes into a queue and drains it again, while another one asks
the broker small questions all the time and notes how long the answers take.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.connection import Connection

from serving import Served, embedded

import hopmq
from hopmq import Message, Queue

WINDOW = 1000


async def fill(url: str, count: int) -> None:
    """Publish `count` different messages with confirms."""
    async with hopmq.connect(url, heartbeat=0) as connection, connection.channel() as channel:
        await channel.declare_queue(Queue("depth"))
        for _ in range(count // WINDOW):
            bodies = [os.urandom(100) for _ in range(WINDOW)]
            await channel.publish_many(bodies, routing_key="depth")


async def drain(url: str, count: int) -> None:
    """Take and acknowledge them all."""
    async with (
        hopmq.connect(url, heartbeat=0) as connection,
        connection.channel(prefetch=WINDOW) as channel,
    ):
        taken = asyncio.Event()
        left = count

        def take(message: Message) -> None:
            nonlocal left
            message.ack()
            left -= 1
            if not left:
                taken.set()

        await channel.consume("depth", take)
        await taken.wait()


def ask(url: str, pipe: Connection) -> None:
    """Ask until told to stop; send back the times of all answers in seconds."""

    async def asking() -> list[float]:
        times = []
        async with hopmq.connect(url, heartbeat=0) as connection:
            await connection.declare_queue(Queue("asked"))
            pipe.send("ready")
            while not pipe.poll():
                begun = time.perf_counter()
                await connection.declare_queue("asked", passive=True)
                times.append(time.perf_counter() - begun)
                await asyncio.sleep(0.001)
        return times

    pipe.send(asyncio.run(asking()))


def measure(broker: Served, count: int) -> str:
    """Return the table of one run."""
    ours, theirs = multiprocessing.Pipe()
    asker = multiprocessing.get_context("spawn").Process(target=ask, args=(broker.url, theirs))
    asker.start()
    assert ours.recv() == "ready"
    empty = broker.memory()
    begun = time.perf_counter()
    asyncio.run(fill(broker.url, count))
    filled, full = time.perf_counter(), broker.memory()
    asyncio.run(drain(broker.url, count))
    drained = time.perf_counter()
    ours.send("stop")
    times = sorted(ours.recv())
    asker.join()
    return "\n".join(
        (
            f"| {broker.name}, {count:,} messages | |",
            "|---|--:|",
            f"| memory for each message, bytes | {(full - empty) / count:,.0f} |",
            f"| filled, messages/s | {count / (filled - begun):,.0f} |",
            f"| drained, messages/s | {count / (drained - filled):,.0f} |",
            f"| answers to another connection | {len(times):,} |",
            f"| their time, median, ms | {statistics.median(times) * 1000:.1f} |",
            f"| their time, 99th percentile, ms | {times[len(times) * 99 // 100] * 1000:.1f} |",
            f"| their time, longest, ms | {times[-1] * 1000:.1f} |",
        )
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    options = parser.parse_args()
    with embedded() as broker:
        sys.stdout.write(measure(broker, options.count) + "\n")


if __name__ == "__main__":
    main()
