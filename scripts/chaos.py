"""Break everything around HopMQ at random, and demand that no promise is broken.

Producers of every policy publish to quorum queues on a cluster of three RabbitMQ nodes, consumers
receive, and meanwhile nodes are killed, restarted, paused and parted, connections cut, swallowed,
slowed and refused. At the end everything is mended and the queues are drained. Every confirmed
message must have arrived, no message that was "not sent" may have, every await must have ended by
its deadline, every consumer must be back, and nothing may be left behind.

    python scripts/chaos.py --minutes 5 --seed 1
    python scripts/chaos.py --release 3.10.8
    python scripts/chaos.py --embedded              one embedded broker, and its faults

Ends with status 1 when a promise was broken. The seed decides what goes wrong, in which order and
for how long; what the machine makes of it is not decided by it.
"""

import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from chaos_clients import Asker, Consumer, OrderedConsumer, OrderedProducer, Policy, Producer, Seen
from chaos_ledger import Ledger
from chaos_plan import Plan, Step
from chaos_scene import Scene
from chaos_verdict import Verdict, sockets

import hopmq
from hopmq import Queue
from hopmq.broker import Broker
from hopmq.testing import FaultProxy, RabbitMQCluster, find_installation

QUEUES: Final = (Queue.quorum("chaos-1"), Queue.quorum("chaos-2"))
ORDERED: Final = Queue.quorum("chaos-ordered")
"""A queue that is read in the end, when its order is known."""

POLICIES: Final[tuple[Policy, ...]] = ("wait", "raise", "resend")

RECOVERY_TIMEOUT: Final = 60.0
DRAIN_TIMEOUT: Final = 180.0
SETTLE: Final = 3.0
"""Seconds before the first fault: until 4.0, a crash may forget a queue that was just declared."""


@dataclass(slots=True)
class Run:
    """One run.

    Attributes:
        scene: What is broken.
        ledger: What was published and received.
        seen: What connections have gone through.
        producers, consumers, askers: The clients.
        faults: What has gone wrong, and how often.
        worst_recovery: The longest time from the end of a fault until all clients worked again.
    """

    scene: Scene
    ledger: Ledger = field(default_factory=Ledger)
    seen: Seen = field(default_factory=Seen)
    producers: list[Producer] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)
    askers: list[Asker] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    worst_recovery: float = 0.0

    async def begin(self, urls: list[str], seed: int) -> None:
        """Declare the queues, and start clients that come directly and by way of the proxies."""
        async with hopmq.connect(urls) as connection:
            for queue in (*QUEUES, ORDERED):
                await connection.declare_queue(queue)
        chance = random.Random(seed)
        ways = {"direct": urls, "proxied": [proxy.url for proxy in self.scene.proxies]}
        for way, addresses in ways.items():
            for number, queue in enumerate(QUEUES, 1):
                name, number_seed = f"consumer-{way}-{number}", chance.randrange(1 << 30)
                self.consumers.append(
                    Consumer(name, addresses, queue, self.ledger, self.seen, number_seed)
                )
            for policy in POLICIES:
                name, number_seed = f"{policy}-{way}", chance.randrange(1 << 30)
                self.producers.append(
                    Producer(name, policy, addresses, QUEUES, self.ledger, self.seen, number_seed)
                )
            name, number_seed = f"ordered-{way}", chance.randrange(1 << 30)
            self.producers.append(
                OrderedProducer(
                    name, "resend", addresses, (ORDERED,), self.ledger, self.seen, number_seed
                )
            )
            self.askers.append(Asker(f"asker-{way}", addresses, QUEUES[0], self.ledger, self.seen))
        for client in self._clients():
            await client.start()

    async def suffer(self, step: Step, plan: Plan) -> None:
        """Let something go wrong, mend it, and wait until all clients work again."""
        await asyncio.sleep(step.quiet)
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            faults = plan.faults(step, self.scene)
            what = [await stack.enter_async_context(fault) for fault in faults]
            self.faults.update(name for name, _ in step.kinds)
            await asyncio.sleep(step.lasts)
        if plan.breaks_nodes(step):
            await self.scene.mend()
        lasted = time.monotonic() - began
        seconds = await self._recovered(str(step))
        self.worst_recovery = max(self.worst_recovery, seconds)
        words = f"{step} ({', '.join(what)})"
        print(f"  {words:68.68} {lasted:5.1f} s, recovered in {seconds:4.1f} s", flush=True)

    async def end(self) -> None:
        """Stop publishing, drain the queues, and look at what is there."""
        await asyncio.gather(*(producer.stop() for producer in self.producers))
        await asyncio.gather(*(asker.stop() for asker in self.askers))
        await self._read_in_order()
        await self._drain()
        self._check_order()
        for client in self._clients():
            await client.close()

    def _clients(self) -> "tuple[Consumer | Producer | Asker, ...]":
        return (*self.consumers, *self.producers, *self.askers)

    async def _recovered(self, what: str) -> float:
        """Return the seconds until every producer had a message confirmed."""
        began = time.monotonic()
        waiting = {
            producer.name: asyncio.create_task(producer.next_confirm())
            for producer in self.producers
        }
        await asyncio.wait(waiting.values(), timeout=RECOVERY_TIMEOUT)
        late = [name for name, task in waiting.items() if not task.done()]
        for task in waiting.values():
            task.cancel()
        if late:
            names = ", ".join(late)
            self.ledger.breaks(
                f"{RECOVERY_TIMEOUT:g} s after {what}, nothing was confirmed for {names}"
            )
        return time.monotonic() - began

    async def _read_in_order(self) -> None:
        """Begin to read the queue that nobody has read."""
        urls = [proxy.url for proxy in self.scene.proxies]
        reader = OrderedConsumer("reader", urls, ORDERED, self.ledger, self.seen, 0)
        self.consumers.append(reader)
        await reader.start()

    def _check_order(self) -> None:
        for producer in self.producers:
            if isinstance(producer, OrderedProducer):
                self.ledger.check_order(producer.name)

    async def _drain(self) -> None:
        """Wait until every confirmed message has arrived, and all consumers are back."""
        left = "nothing was seen"
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while time.monotonic() < deadline:
            left = await self._left()
            if not left:
                return
            await asyncio.sleep(1.0)
        self.ledger.breaks(f"{DRAIN_TIMEOUT:g} s after the last fault: {left}")

    async def _left(self) -> str:
        """Return what is not as it must be in the end; nothing when all is."""
        wrong = []
        connection = self.consumers[0].connection
        for queue in (*QUEUES, ORDERED):
            try:
                info = await connection.declare_queue(queue, passive=True)
            except hopmq.HopMQError as error:
                return str(error)
            wanted = sum(consumer.queue is queue for consumer in self.consumers)
            if info.message_count:
                wrong.append(f"{info.message_count} messages in {queue.name}")
            if info.consumer_count != wanted:
                wrong.append(f"{info.consumer_count} of {wanted} consumers of {queue.name}")
        missing = len(self.ledger.missing())
        if missing:
            wrong.append(f"{missing} confirmed messages have not arrived")
        return ", ".join(wrong)


@asynccontextmanager
async def scene_of(options: argparse.Namespace) -> AsyncIterator[tuple[Scene, list[str]]]:
    """Start what is to be broken; return it with the addresses of its nodes."""
    names = [queue.name for queue in QUEUES]
    async with AsyncExitStack() as stack:
        cluster, broker = None, None
        if options.embedded:
            broker = await stack.enter_async_context(Broker())
            urls = [broker.url]
        else:
            cluster = RabbitMQCluster(find_installation(options.release))
            stack.push_async_callback(asyncio.to_thread, cluster.stop)
            await asyncio.to_thread(cluster.start)
            urls = cluster.urls
        proxies = [await stack.enter_async_context(FaultProxy(url)) for url in urls]
        yield Scene(proxies=proxies, queues=names, cluster=cluster, broker=broker), urls


async def chaos(options: argparse.Namespace) -> Verdict:
    """Run, and return what it has shown."""
    sockets_before = sockets()
    can_part = os.geteuid() == 0 and shutil.which("nft") is not None
    plan = Plan(options.seed, has_cluster=not options.embedded, can_part=can_part)
    async with scene_of(options) as (scene, urls):
        run = Run(scene)
        watch(run.ledger)
        await run.begin(urls, options.seed)
        await asyncio.sleep(SETTLE)
        ends = time.monotonic() + 60.0 * options.minutes
        for step in plan:
            if time.monotonic() > ends:
                break
            await run.suffer(step, plan)
        await scene.mend()
        print("  mended; draining the queues", flush=True)
        await run.end()
    run.ledger.judge()
    verdict = Verdict(run.ledger, run.seen, run.faults, run.worst_recovery, scene.rejoined)
    await verdict.look_for_leaks(sockets_before)
    return verdict


def watch(ledger: Ledger) -> None:
    """Take errors that nobody is told of for broken promises."""

    class Errors(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith("hopmq.broker"):
                ledger.breaks(f"logged: {record.getMessage()}"[:200])

    def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        ledger.breaks(f"event loop: {context.get('message')}: {context.get('exception')}"[:200])

    logging.getLogger("hopmq").addHandler(Errors(logging.ERROR))
    asyncio.get_running_loop().set_exception_handler(unhandled)


def main() -> int:
    """Run as the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (default 5)")
    parser.add_argument("--seed", type=int, help="what decides what goes wrong (default: any)")
    parser.add_argument("--release", help="RabbitMQ to run (default: the newest installed)")
    parser.add_argument("--embedded", action="store_true", help="break an embedded broker")
    parser.add_argument("--log", help="file for HopMQ's own log")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    logging.getLogger("hopmq").propagate = False
    if options.log:
        file = logging.FileHandler(options.log, mode="w")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logging.getLogger("hopmq").addHandler(file)
        logging.getLogger("hopmq").setLevel(logging.INFO)
    print(f"chaos for {options.minutes:g} minutes, seed {options.seed}", flush=True)
    verdict = asyncio.run(chaos(options))
    print(verdict.table())
    return int(not verdict.holds)


if __name__ == "__main__":
    sys.exit(main())
