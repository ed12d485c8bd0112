"""Publish/subscribe: every subscriber gets every message.

A fanout exchange copies what it gets to every queue bound to it. Each subscriber binds a queue
of its own.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")

# auto_delete: the exchange goes when its last queue is unbound, so this example leaves nothing.
NEWS = hopmq.Exchange.fanout("hopmq.example.news", auto_delete=True)


async def subscribe(channel: hopmq.Channel) -> str:
    """Bind a new queue to the exchange; return its name."""
    queue = await channel.declare_queue(hopmq.Queue.temporary())
    await channel.bind(queue.name, NEWS)
    return queue.name


async def read_one(channel: hopmq.Channel, queue: str, name: str) -> None:
    """Print the first message that a subscriber gets."""
    async with channel.consume(queue) as consumer:
        message = await anext(consumer)
        print(f"{name} reads: {message.body.decode()}")
        message.ack()


async def main() -> None:
    """Publish to two subscribers."""
    async with hopmq.connect(URL) as connection, connection.channel() as channel:
        await channel.declare_exchange(NEWS)
        # Messages are for those who have subscribed before: an exchange keeps nothing.
        alice, bob = await subscribe(channel), await subscribe(channel)

        await channel.publish(b"it rains", exchange=NEWS)

        await asyncio.gather(
            read_one(channel, alice, "Alice"),
            read_one(channel, bob, "Bob"),
        )


asyncio.run(main())
