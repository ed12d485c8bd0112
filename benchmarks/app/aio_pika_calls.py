"""aio-pika: its pattern RPC, with pickle and a dictionary, as its documentation has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.patterns import RPC
from calling import ORDER, Call, Options, run


async def items(*, order: dict[str, Any]) -> int:
    """Answer a call."""
    return len(order["items"])


@asynccontextmanager
async def serve(options: Options) -> AsyncIterator[None]:
    """Serve the endpoint."""
    connection = await aio_pika.connect_robust(options.url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        rpc = await RPC.create(channel)
        await rpc.register(options.queue, items, auto_delete=True)
        yield


@asynccontextmanager
async def calling(options: Options) -> AsyncIterator[Call]:
    """Give what calls it once."""
    connection = await aio_pika.connect_robust(options.url)
    async with connection:
        rpc = await RPC.create(await connection.channel())
        yield lambda: rpc.call(options.queue, kwargs={"order": ORDER}, expiration=10)


if __name__ == "__main__":
    run("aio-pika", serve, calling)
