"""CPU per message of a typed handler: HopMQ's application layer, bare HopMQ, and FastStream.

    make bench-peers                      once, for FastStream
    python benchmarks/app/handlers.py
    python benchmarks/app/handlers.py --rabbitmq 3.10.8 --loops asyncio,uvloop --rounds 5

Each handles the same orders from the same queue of one RabbitMQ: a Pydantic model, one dependency,
an acknowledgement each, a prefetch of 100. They take turns in rounds.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))

from cores import client_and_peer, pinned
from orders import an_order
from tables import machine

import hopmq
from brokers import rabbitmq
from hopmq import Properties, Queue

HERE = Path(__file__).parent
MEASURING = HERE.parent / "clients" / "adapters"
QUEUE = "bench-app"
PEERS = Path(__file__).parents[2] / "build" / "benchmarks" / "peers" / "bin" / "python"
HANDLERS = {
    "hopmq.app": (sys.executable, HERE / "hopmq_app_handler.py"),
    "bare hopmq": (sys.executable, HERE / "hopmq_bare_handler.py"),
    "faststream": (str(PEERS), HERE / "faststream_handler.py"),
}


async def fill(url: str, count: int) -> None:
    """Leave just so many orders in the queue."""
    body = an_order(1).model_dump_json().encode()
    async with hopmq.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue(Queue.classic(QUEUE))
        await channel.purge(QUEUE)
        await channel.publish_many(
            [body] * count,
            routing_key=QUEUE,
            properties=Properties(content_type="application/json", message_id="order-1"),
        )


def measure(handler: str, loop: str, url: str, count: int) -> float:
    """Return the CPU microseconds of a message."""
    asyncio.run(fill(url, count))
    program, script = HANDLERS[handler]
    words = [program, str(script), "handle", "--url", url, "--queue", QUEUE, "--loop", loop]
    with pinned(client_and_peer()[0]):
        done = subprocess.run(
            [*words, "--count", str(count)],
            env={**os.environ, "PYTHONPATH": str(MEASURING)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=300,
            check=True,
        )
    report = json.loads(done.stdout.splitlines()[-1])
    return float(report["cpu"] / report["count"] * 1e6)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rabbitmq", default="4.3.6", metavar="VERSION")
    parser.add_argument("--loops", default="asyncio,uvloop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=20_000, help="messages of each run")
    asked = parser.parse_args()
    cases = [(handler, loop) for handler in HANDLERS for loop in asked.loops.split(",")]
    costs: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    with rabbitmq(asked.rabbitmq) as url:
        for number in range(asked.rounds):
            print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
            for case in cases:
                costs[case].append(measure(*case, url, asked.count))
    print(f"RabbitMQ {asked.rabbitmq}, {asked.count:,} messages a run; machine: {machine()}\n")
    print("| CPU µs per message | " + " | ".join(asked.loops.split(",")) + " |")
    print("|---|" + "--:|" * len(asked.loops.split(",")))
    for handler in HANDLERS:
        cells = (
            f"{statistics.median(costs[handler, loop]):.1f} "
            f"({min(costs[handler, loop]):.1f}-{max(costs[handler, loop]):.1f})"
            for loop in asked.loops.split(",")
        )
        print(f"| {handler} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
