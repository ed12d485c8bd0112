"""One run of a scaling benchmark, in a process of its own: `scaling.py` starts it.

scaling_work.py THING SIZE URL COUNT
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import hopmq
from hopmq import Channel, Connection, Message, PublishHandle, Queue

BODY = b"x" * 100
BATCH = 100
QUEUE = "bench-100-none"

Work = Callable[[int], Awaitable[None]]


async def measured(work: Work, warm_up: int, count: int) -> dict[str, float]:
    """Return messages, and CPU and wall seconds of the work, after a warm-up."""
    await work(warm_up)
    wall, cpu = time.perf_counter(), time.process_time()
    await work(count)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"count": count, "cpu": cpu, "wall": wall}


def publisher(channels: Sequence[Channel]) -> Work:
    """Publish in batches, each confirmed before the next and on the next channel in turn."""
    turn = 0

    async def work(count: int) -> None:
        nonlocal turn
        for _ in range(count // BATCH):
            channel = channels[turn % len(channels)]
            turn += 1
            handles = [channel.publish_nowait(BODY, routing_key=QUEUE) for _ in range(BATCH)]
            for handle in handles:
                await handle

    return work


async def consumer(stack: AsyncExitStack, channels: Sequence[Channel]) -> Work:
    """Consume on all channels at once, acknowledging; the peer delivers what prefetch allows."""
    left, reached = 0, asyncio.Event()
    held: list[Message] = []

    def handle(message: Message) -> None:
        nonlocal left
        if not left:
            held.append(message)  # and so the peer comes to rest
            return
        message.ack()
        left -= 1
        if not left:
            reached.set()

    for channel in channels:
        await stack.enter_async_context(channel.consume(QUEUE, handle))

    async def work(count: int) -> None:
        nonlocal left
        left = count - len(held)  # what was read for those, is not for those at the end
        reached.clear()
        for message in held:
            message.ack()
        held.clear()
        await reached.wait()

    return work


async def connections(stack: AsyncExitStack, url: str, count: int) -> list[Connection]:
    """Open so many connections."""
    return [await stack.enter_async_context(hopmq.connect(url, heartbeat=0)) for _ in range(count)]


async def channels_of(stack: AsyncExitStack, of: Sequence[Connection], count: int) -> list[Channel]:
    """Open so many channels on each connection."""
    return [
        await stack.enter_async_context(connection.channel(prefetch=BATCH))
        for connection in of
        for _ in range(count)
    ]


async def many_confirms(stack: AsyncExitStack, url: str, size: int, count: int) -> dict[str, float]:
    """Publish while so many more await their confirm, which the peer holds back."""
    connection = await stack.enter_async_context(hopmq.connect(f"{url}/lag-{size}", heartbeat=0))
    channel = await stack.enter_async_context(
        connection.channel(max_unconfirmed=size + BATCH, max_unconfirmed_size=2**30)
    )
    pending: deque[PublishHandle] = deque()

    async def work(count: int) -> None:
        for _ in range(count // BATCH):
            pending.extend(channel.publish_nowait(BODY, routing_key=QUEUE) for _ in range(BATCH))
            while len(pending) > size:
                await pending.popleft()

    result = await measured(work, max(size, 1000), count)
    await channel.set_prefetch(BATCH)  # the peer confirms what is left
    return result


async def large_ledger(stack: AsyncExitStack, url: str, size: int, count: int) -> dict[str, float]:
    """Publish on a connection that has declared so many queues, which a recovery would restore."""
    (connection,) = await connections(stack, url, 1)
    (channel,) = await channels_of(stack, [connection], 1)
    for first in range(0, size, 1000):
        names = range(first, min(first + 1000, size))
        await asyncio.gather(*[channel.declare_queue(Queue(f"entry-{name}")) for name in names])
    return await measured(publisher([channel]), 1000, count)


async def one_of_many(stack: AsyncExitStack, url: str, count: int) -> dict[str, float]:
    """Publish as one of several processes, when all of them are told to."""
    (connection,) = await connections(stack, url, 1)
    channel = await stack.enter_async_context(connection.channel())
    await channel.declare_queue(Queue.classic(QUEUE, durable=False, max_length=1))

    async def work(count: int) -> None:
        await channel.publish_many([BODY] * count, routing_key=QUEUE)

    await work(count // 10)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return await measured(work, 0, count)


async def run(thing: str, size: int, url: str, count: int) -> dict[str, float]:
    """Do what is asked for."""
    async with AsyncExitStack() as stack:
        if thing == "confirms":
            return await many_confirms(stack, url, size, count)
        if thing == "ledger":
            return await large_ledger(stack, url, size, count)
        if thing == "processes":
            return await one_of_many(stack, url, count)
        many = thing.startswith("connections")
        opened = await connections(stack, url, size if many else 1)
        channels = await channels_of(stack, opened, 1 if many else size)
        work = await consumer(stack, channels) if "consume" in thing else publisher(channels)
        # Each of them has its turn in the warm-up, and several afterwards.
        return await measured(work, 2 * BATCH * size, max(count, 5 * BATCH * size))


def main() -> None:
    """Print the result."""
    thing, size, url, count = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(run(thing, int(size), url, int(count)))) + "\n")


if __name__ == "__main__":
    main()
