"""Work queue, sending side: put tasks into a queue that workers share.

Run this, then `worker.py`, in several terminals if you like.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")

# Both sides declare the queue, so that either may start first; the second one finds it there.
# A quorum queue is replicated where the broker is a cluster, and survives a restart.
TASKS = hopmq.Queue.quorum("hopmq.example.tasks", delivery_limit=5)


async def main() -> None:
    """Send ten tasks."""
    tasks = [f"task {number}".encode() for number in range(10)]
    async with hopmq.connect(URL) as connection, connection.channel() as channel:
        await channel.declare_queue(TASKS)

        # Sends without waiting for each confirm, and waits for all of them at the end.
        # Should any of them fail, PublishManyError tells the outcome of every message.
        receipts = await channel.publish_many(tasks, routing_key=TASKS.name)
        print(len(receipts), "tasks are with the broker")


asyncio.run(main())
