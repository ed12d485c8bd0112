"""Show that nothing grows: many channels, messages and lost links on one connection.

    AMQP_URL=amqp://localhost python scripts/soak.py [--channels N] [--messages N] [--losses N]
                                                     [--loop uvloop]

Links are lost to an embedded broker within the process, the rest is done with AMQP_URL's. Prints memory and object counts as it goes, then a verdict; ends with status 1 when they grow.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import hopmq
from hopmq.broker import Broker
from hopmq.testing import Faults

BODY = b"x" * 100
BATCH = 5_000
CHANNELS_AT_ONCE = 20
LOSSES = 50
SAMPLES = 40
"""Samples per phase; the first and the last quarter of them are compared."""

MAX_OBJECTS = 300
MAX_BLOCKS = 3_000
MAX_RSS_KIB = 6 * 1024
"""What the last quarter may have more than the first: the noise of an allocator, not a leak."""


@dataclass(slots=True, frozen=True)
class Sample:
    """What the process holds at one moment."""

    objects: int
    blocks: int
    rss_kib: int

    @classmethod
    def take(cls) -> "Sample":
        """Collect garbage, then count."""
        gc.collect()
        return cls(len(gc.get_objects()), sys.getallocatedblocks(), _rss_kib())


@dataclass(slots=True)
class Phase:
    """One kind of work, watched while it goes on."""

    name: str
    total: int
    samples: list[Sample] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def steps(self, size: int) -> Iterator[int]:
        """Cut the work into steps of at most `size`, and take samples in between."""
        done = 0
        every = max(self.total // SAMPLES, 1)
        while done < self.total:
            step = min(size, self.total - done)
            yield step
            done += step
            if done // every > len(self.samples):
                self._sample(done)

    def verdict(self) -> list[str]:
        """Name what has grown."""
        quarter = max(len(self.samples) // 4, 1)
        first, last = self.samples[:quarter], self.samples[-quarter:]

        def growth(of: Callable[[Sample], int]) -> float:
            return median(map(of, last)) - median(map(of, first))

        limits = {
            "objects": (growth(lambda sample: sample.objects), MAX_OBJECTS),
            "allocated blocks": (growth(lambda sample: sample.blocks), MAX_BLOCKS),
            "KiB of memory": (growth(lambda sample: sample.rss_kib), MAX_RSS_KIB),
        }
        for what, (grown, _) in limits.items():
            print(f"{self.name}: {grown:+,.0f} {what}")
        return [
            f"{self.name}: {grown:,.0f} {what} more at the end than at the beginning"
            for what, (grown, limit) in limits.items()
            if grown > limit
        ]

    def _sample(self, done: int) -> None:
        sample = Sample.take()
        self.samples.append(sample)
        rate = done / (time.monotonic() - self.began)
        print(
            f"{self.name:>8} {done:>12,} {rate:>10,.0f}/s {sample.objects:>10,} objects "
            f"{sample.blocks:>10,} blocks {sample.rss_kib:>10,} KiB",
            flush=True,
        )


async def open_and_close_channels(connection: hopmq.Connection, total: int) -> Phase:
    """Open and close channels, several at a time."""
    phase = Phase("channels", total)

    async def cycle() -> None:
        async with connection.channel():
            pass

    for step in phase.steps(CHANNELS_AT_ONCE):
        async with asyncio.TaskGroup() as group:
            for _ in range(step):
                group.create_task(cycle())
    return phase


async def send_and_receive_messages(connection: hopmq.Connection, total: int) -> Phase:
    """Publish with confirms while consuming and acknowledging, and count what arrives."""
    phase = Phase("messages", total)
    received = 0
    caught_up = asyncio.Event()

    async def handle(message: hopmq.Message) -> None:
        nonlocal received
        message.ack()
        received += 1
        caught_up.set()

    async with connection.channel(prefetch=1_000) as channel:
        queue = (await channel.declare_queue(hopmq.Queue.temporary())).name
        consumer = await channel.consume(queue, handle)
        sent = 0
        for step in phase.steps(BATCH):
            await channel.publish_many([BODY] * step, routing_key=queue)
            sent += step
            while received < sent:
                caught_up.clear()
                await caught_up.wait()
        await consumer.cancel()
    if received != total:
        raise SystemExit(f"{total:,} messages sent, {received:,} received")
    return phase


async def lose_and_recover(total: int) -> Phase:
    """Lose the link with all kinds of things on it, publish and consume on the next one."""
    phase = Phase("losses", total)
    recovered = asyncio.Event()
    received = 0
    at_once = hopmq.Recovery(backoff=hopmq.resilience.Constant(0.0), shuffle=False)
    async with (
        Broker() as broker,
        hopmq.connect(broker.url, name="soak", recovery=at_once) as connection,
        connection.channel(on_disconnect="resend") as channel,
        connection.channel() as consuming,
    ):

        def note(event: hopmq.events.ConnectionEvent) -> None:
            if isinstance(event, hopmq.events.Recovered):
                recovered.set()

        async def handle(message: hopmq.Message) -> None:
            nonlocal received
            message.ack()
            received += 1

        connection.add_listener(note)
        faults = Faults(broker)
        await connection.declare_exchange("soak", "fanout")
        kept = (await connection.declare_queue("soak")).name
        anonymous = (await connection.declare_queue("", exclusive=True)).name
        for queue in (kept, anonymous):
            await connection.bind(queue, "soak")
            await consuming.consume(queue, handle)
        for step in phase.steps(LOSSES):
            for _ in range(step):
                recovered.clear()
                faults.disconnect(reset=True)
                await channel.publish(BODY, exchange="soak", mandatory=True)
                await recovered.wait()
    if received < 2 * total:
        raise SystemExit(f"{total:,} messages sent to two queues, {received:,} received")
    return phase


async def soak(url: str, channels: int, messages: int, losses: int) -> int:
    """Run all phases; return the status to end with."""
    phases = []
    if channels or messages:
        async with hopmq.connect(url, name="soak") as connection:
            print(f"{connection.product} {connection.version}; {hopmq.speedups_reason}")
            phases.append(await open_and_close_channels(connection, channels))
            phases.append(await send_and_receive_messages(connection, messages))
    phases.append(await lose_and_recover(losses))
    grown = [line for phase in phases for line in phase.verdict()]
    for line in grown:
        print(f"GROWS: {line}")
    if not grown:
        print(f"flat: {channels:,} channels, {messages:,} messages, {losses:,} lost links")
    return 1 if grown else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--channels", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--losses", type=int, default=10_000)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    chosen = parser.parse_args()
    url = os.environ.get("AMQP_URL", "amqp://localhost")
    work = soak(url, chosen.channels, chosen.messages, chosen.losses)
    if chosen.loop == "uvloop":
        import uvloop  # an optional extra

        return uvloop.run(work)
    return asyncio.run(work)


def _rss_kib() -> int:
    """Return the resident memory of this process (Linux, proc(5))."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
