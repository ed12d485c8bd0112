"""Wait for what only the broker knows."""

import asyncio
from collections.abc import Awaitable, Callable

from hopmq import Channel, Connection, Message

_INTERVAL = 0.005


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until the answer is yes; the test's own time limit ends it."""
    while not await is_so():
        await asyncio.sleep(_INTERVAL)


async def until_ready(connection: Connection | Channel, queue: str, count: int) -> None:
    """Wait until `count` messages of `queue` are ready for delivery."""

    async def is_so() -> bool:
        return await ready(connection, queue) == count

    await until(is_so)


async def ready(connection: Connection | Channel, queue: str) -> int:
    """Return how many messages of `queue` are ready for delivery."""
    return (await connection.declare_queue(queue, passive=True)).message_count


async def fetch_all(channel: Channel, queue: str) -> list[Message]:
    """Take everything that is ready in `queue`."""
    messages = []
    while (message := await channel.get(queue, no_ack=True)) is not None:
        messages.append(message)
    return messages


async def bodies(channel: Channel, queue: str) -> list[bytes]:
    """Take everything that is ready in `queue` and return the bodies."""
    return [message.body for message in await fetch_all(channel, queue)]
