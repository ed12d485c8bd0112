"""Messages per second through a broker: published with confirms while consumed and acknowledged.

Two processes: the broker, and this one with one publishing and one consuming channel. Bodies of
100 bytes, a window of 1,000 confirms, a prefetch of 1,000. The brokers take turns; medians count.
"""

import argparse
import asyncio
import statistics
import sys
from contextlib import ExitStack

from serving import Served, embedded, rabbitmq, stopwatch

import hopmq
from hopmq import Message, Queue

BODY = b"x" * 100
WINDOW = 1000


async def run(url: str, count: int) -> float:
    """Pass `count` messages through the broker; return the seconds that took."""
    async with (
        hopmq.connect(url, heartbeat=0) as publishing,
        hopmq.connect(url, heartbeat=0) as consuming,
        publishing.channel(max_unconfirmed=WINDOW) as channel,
        consuming.channel(prefetch=WINDOW) as reader,
    ):
        await reader.declare_queue(Queue.temporary("throughput"))
        taken = asyncio.Event()
        left = count

        def take(message: Message) -> None:
            nonlocal left
            message.ack()
            left -= 1
            if not left:
                taken.set()

        await reader.consume("throughput", take)
        begun, _ = stopwatch()
        bodies = [BODY] * WINDOW
        for _ in range(count // WINDOW):
            await channel.publish_many(bodies, routing_key="throughput")
        await taken.wait()
        return stopwatch()[0] - begun


def measure(broker: Served, count: int) -> tuple[float, float, float]:
    """Return messages per second, and microseconds of the broker's and of our CPU for each."""
    theirs, ours = broker.cpu(), stopwatch()[1]
    seconds = asyncio.run(run(broker.url, count))
    theirs, ours = broker.cpu() - theirs, stopwatch()[1] - ours
    return count / seconds, theirs / count * 1e6, ours / count * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000, help="messages in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rabbitmq", action="append", default=[], metavar="VERSION")
    options = parser.parse_args()
    with ExitStack() as stack:
        brokers = [stack.enter_context(embedded())]
        brokers += [stack.enter_context(rabbitmq(version)) for version in options.rabbitmq]
        results: dict[str, list[tuple[float, float, float]]] = {each.name: [] for each in brokers}
        for _ in range(options.rounds):
            for broker in brokers:
                results[broker.name].append(measure(broker, options.count))
    lines = [
        "| broker | messages/s, median | lowest to highest | broker CPU, µs | client CPU, µs |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, rows in results.items():
        rates, theirs, ours = zip(*rows, strict=True)
        lines.append(
            f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} "
            f"| {statistics.median(theirs):.1f} | {statistics.median(ours):.1f} |"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
