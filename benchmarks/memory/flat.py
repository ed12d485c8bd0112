"""Memory over many messages: published with confirms, consumed and acknowledged on one connection.

The program is the one process that is measured. Its peer is the synthetic one of `benchmarks/clients`,
which confirms what it is sent and delivers as much; `--embedded` takes the embedded broker, which passes
on what was published. Memory is read at equal distances. It fails when the process has grown by more
than 1 MiB since a tenth of the messages had passed: what it needs it has by then.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "broker"))
sys.path.insert(0, str(Path(__file__).parent.parent / "clients"))

from serving import embedded
from synthetic_peer import synthetic_peer

import hopmq
from hopmq import Channel, Message, Properties

PAGE = os.sysconf("SC_PAGE_SIZE")
BODY = b"x" * 100
CHUNK = 1000
ALLOWED = 1024 * 1024


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@contextmanager
def peer(with_broker: bool) -> Iterator[str]:
    """Run what the messages go to; give its URL."""
    if with_broker:
        with embedded() as broker:
            yield broker.url
    else:
        with synthetic_peer() as url:
            yield url


async def publish(channel: Channel, queue: str, count: int) -> None:
    """Publish so many, and wait for their confirms."""
    properties = Properties(content_type="text/plain", message_id="some-id")
    for _ in range(count // CHUNK):
        await channel.publish_many([BODY] * CHUNK, routing_key=queue, properties=properties)


async def run(url: str, count: int, samples: int) -> list[tuple[int, int]]:
    """Pass the messages; return how many had passed at each look, and the memory."""
    queue = f"bench-{len(BODY)}-three-{count}"  # this name tells the synthetic peer how many
    taken = 0
    looks: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def handle(message: Message) -> None:
        nonlocal taken
        assert message.message_id
        message.ack()
        taken += 1
        if taken % (count // samples) == 0:
            looks.append((taken, resident()))
        if taken == count:
            done.set()

    async with hopmq.connect(url) as connection:
        inward, outward = await connection.channel(), await connection.channel()
        await inward.declare_queue(queue, durable=False)
        consumer = await inward.consume(queue, handle)
        await publish(outward, queue, count)
        await done.wait()
        await consumer.cancel()
        gc.collect()
        looks.append((taken, resident()))
    return looks


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--embedded", action="store_true", help="by the embedded broker")
    options = parser.parse_args()
    begun = time.process_time()
    with peer(options.embedded) as url:
        looks = asyncio.run(run(url, options.messages, options.samples))
    seconds = time.process_time() - begun
    print("| messages | resident, MiB |")
    print("| --: | --: |")
    for taken, memory in looks:
        print(f"| {taken:,} | {memory / 2**20:.2f} |")
    grown = looks[-1][1] - next(memory for taken, memory in looks if taken >= options.messages / 10)
    print(f"\ngrown by {grown / 1024:.0f} KiB since a tenth had passed; {seconds:.0f} s of CPU")
    if grown > ALLOWED:
        raise SystemExit("memory is not flat")


if __name__ == "__main__":
    main()
