"""What a pool costs a publisher and a borrower: CPU of the client for each message or loan.

Confirmed publishes of 100 bytes to an embedded broker in a process of its own, by 100 tasks that `publish` one after
the other and by `publish_many`: by a channel, and by a pool with the same window and one connection, so that both
write the same bytes. And loans of an idle channel, one after the other. The rows take turns; medians count.
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
from hopmq import Channel, Pool, Queue

BODY = b"x" * 100
TASKS = 100


async def tasks(publisher: Channel | Pool, count: int) -> None:
    """Publish from many tasks, each waiting for its confirm."""

    async def publish() -> None:
        for _ in range(count // TASKS):
            await publisher.publish(BODY, routing_key="overhead")

    await asyncio.gather(*(publish() for _ in range(TASKS)))


async def many(publisher: Channel | Pool, count: int) -> None:
    """Fill the window."""
    await publisher.publish_many([BODY] * count, routing_key="overhead")


async def timed(work: Awaitable[None], count: int) -> float:
    """Return the CPU microseconds of this process for each of `count`."""
    begun = time.process_time()
    await work
    return (time.process_time() - begun) / count * 1e6


async def by_channel(url: str, work: Callable[..., Awaitable[None]], count: int) -> float:
    """Measure a channel."""
    async with hopmq.connect(url, heartbeat=0) as connection, connection.channel() as channel:
        await channel.declare_queue(Queue.classic("overhead", max_length=1))
        await work(channel, TASKS)
        return await timed(work(channel, count), count)


async def by_pool(url: str, work: Callable[..., Awaitable[None]], count: int) -> float:
    """Measure a pool."""
    async with Pool(url, heartbeat=0, max_connections=1, shared_per_connection=1) as pool:
        await pool.declare_queue(Queue.classic("overhead", max_length=1))
        await work(pool, TASKS)
        return await timed(work(pool, count), count)


async def loans(url: str, count: int) -> float:
    """Measure borrowing."""

    async def borrow(pool: Pool, count: int) -> None:
        for _ in range(count):
            async with pool.channel():
                pass

    async with Pool(url, heartbeat=0) as pool:
        await borrow(pool, TASKS)
        return await timed(borrow(pool, count), count)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    results: dict[str, list[float]] = {}

    def add(row: str, cost: float) -> None:
        results.setdefault(row, []).append(cost)

    with embedded() as broker:
        for _ in range(chosen.rounds):
            for work in (tasks, many):
                add(
                    f"channel, {work.__name__}",
                    asyncio.run(by_channel(broker.url, work, chosen.count)),
                )
                add(f"pool, {work.__name__}", asyncio.run(by_pool(broker.url, work, chosen.count)))
            add("loan", asyncio.run(loans(broker.url, chosen.count // 10)))
    print("| | CPU | |\n|---|--:|--:|")
    for row, costs in results.items():
        cost = statistics.median(costs)
        base = statistics.median(results[row.replace("pool", "channel")])
        more = f"{cost / base - 1:+.1%}" if row.startswith("pool") else ""
        print(f"| {row} | {cost:.2f} µs | {more} |")


if __name__ == "__main__":
    main()
