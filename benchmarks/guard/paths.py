"""The five hot paths whose instructions are counted, on a connection as `connect` opens it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from scripted_peer import NAME, CountedPublishes, ScriptedPeer, listening, size_of_publish

import hopmq
from hopmq import Channel, Message

BODY = b"x" * 100
KEY = "queue"
BATCH = 100
"""Publishes by one gather, and the prefetch."""

WARM_UP, FEW, MANY = 1000, 1000, 5000
TOTAL = WARM_UP + FEW + MANY

Work = Callable[[int], Awaitable[None]]
Path = Callable[[], AbstractAsyncContextManager[Work]]


@asynccontextmanager
async def connected(*, confirms: bool = True) -> AsyncIterator[tuple[ScriptedPeer, Channel]]:
    """Open a connection to the scripted peer, and a channel."""
    accepted = listening()
    async with hopmq.connect(f"memory://{NAME}") as connection:
        peer = await accepted
        async with connection.channel(prefetch=BATCH, confirms=confirms) as channel:
            yield peer, channel
            peer.on_bytes = None


@asynccontextmanager
async def publish() -> AsyncIterator[Work]:
    """`await publish()` without confirms."""
    async with connected(confirms=False) as (peer, channel):
        arrived = CountedPublishes(peer, size_of_publish(KEY, BODY), None)
        published = 0

        async def work(count: int) -> None:
            nonlocal published
            for _ in range(count):
                await channel.publish(BODY, routing_key=KEY)
            published += count
            await arrived.total(published)

        yield work


@asynccontextmanager
async def publish_many() -> AsyncIterator[Work]:
    """`publish_many()` with confirms."""
    async with connected() as (peer, channel):
        CountedPublishes(peer, size_of_publish(KEY, BODY), channel.number)

        async def work(count: int) -> None:
            await channel.publish_many([BODY] * count, routing_key=KEY)

        yield work


@asynccontextmanager
async def publish_by_gather() -> AsyncIterator[Work]:
    """A hundred `publish()` with confirms at once."""
    async with connected() as (peer, channel):
        CountedPublishes(peer, size_of_publish(KEY, BODY), channel.number)

        async def work(count: int) -> None:
            for _ in range(count // BATCH):
                await asyncio.gather(
                    *[channel.publish(BODY, routing_key=KEY) for _ in range(BATCH)]
                )

        yield work


@asynccontextmanager
async def consume_by_callback() -> AsyncIterator[Work]:
    """A plain function as the handler, without acknowledgements."""
    left, done = 0, asyncio.Event()

    def handler(message: Message) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    async with connected() as (peer, channel), channel.consume(KEY, handler, no_ack=True):
        batch = peer.deliveries(1, BATCH, BODY)

        async def work(count: int) -> None:
            nonlocal left
            left = count
            done.clear()
            peer.transport.write(batch * (count // BATCH))
            await done.wait()

        yield work


@asynccontextmanager
async def consume_and_ack() -> AsyncIterator[Work]:
    """A coroutine as the handler, which acknowledges; the next hundred come after that."""
    left, acked = 0, asyncio.Event()

    async def handler(message: Message) -> None:
        nonlocal left
        message.ack()
        left -= 1

    async with connected() as (peer, channel), channel.consume(KEY, handler):
        batches = iter([peer.deliveries(1 + n, BATCH, BODY) for n in range(0, TOTAL, BATCH)])

        def on_acks(size: int) -> None:
            if left:
                peer.transport.write(next(batches))
            else:
                acked.set()

        peer.on_bytes = on_acks

        async def work(count: int) -> None:
            nonlocal left
            left = count
            acked.clear()
            peer.transport.write(next(batches))
            await acked.wait()

        yield work
        peer.on_bytes = None


PATHS: dict[str, Path] = {
    "publish": publish,
    "publish_many": publish_many,
    "publish by gather": publish_by_gather,
    "consume by callback": consume_by_callback,
    "consume and ack": consume_and_ack,
}
