"""Routing: each queue gets the messages whose routing key it asked for.

A direct exchange compares the routing key of a message with the keys of its bindings.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")
LOGS = hopmq.Exchange.direct("hopmq.example.logs", auto_delete=True)


async def bound_queue(channel: hopmq.Channel, *severities: str) -> str:
    """Make a queue that gets the given severities; return its name."""
    queue = await channel.declare_queue(hopmq.Queue.temporary())
    for severity in severities:
        # A queue may have any number of bindings. A message that matches several of them
        # still arrives once.
        await channel.bind(queue.name, LOGS, severity)
    return queue.name


async def read(channel: hopmq.Channel, queue: str, reader: str, count: int) -> None:
    """Print the next `count` messages of a queue."""
    async with channel.consume(queue) as consumer:
        for _ in range(count):
            message = await anext(consumer)
            print(f"{reader}: {message.routing_key}: {message.body.decode()}")
            message.ack()


async def main() -> None:
    """Send the severe to one reader and everything to another."""
    async with hopmq.connect(URL) as connection, connection.channel() as channel:
        await channel.declare_exchange(LOGS)
        pager = await bound_queue(channel, "error")
        archive = await bound_queue(channel, "info", "warning", "error")

        await channel.publish(b"started", exchange=LOGS, routing_key="info")
        await channel.publish(b"disk is full", exchange=LOGS, routing_key="error")
        await channel.publish(b"nobody asked", exchange=LOGS, routing_key="debug")

        await read(channel, pager, "pager", 1)
        await read(channel, archive, "archive", 2)


asyncio.run(main())
