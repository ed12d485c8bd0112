"""FastStream: a subscriber that returns, and `broker.request`, which takes one call at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calling import Call, Options, run
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from orders import Order, an_order


@asynccontextmanager
async def serve(options: Options) -> AsyncIterator[None]:
    """Serve the endpoint."""
    broker = RabbitBroker(options.url, default_channel=Channel(prefetch_count=100), logger=None)

    @broker.subscriber(RabbitQueue(options.queue, durable=True), ack_policy=AckPolicy.ACK)
    async def items(order: Order) -> int:
        return len(order.items)

    async with broker:
        await broker.start()
        yield


@asynccontextmanager
async def calling(options: Options) -> AsyncIterator[Call]:
    """Give what calls it once."""
    order = an_order(1)

    async def call() -> object:
        reply = await broker.request(order, options.queue, timeout=10)
        return await reply.decode()

    async with RabbitBroker(options.url, logger=None) as broker:
        yield call


if __name__ == "__main__":
    run("faststream", serve, calling)
