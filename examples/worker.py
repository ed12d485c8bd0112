"""Work queue, working side: take tasks from a queue, several at once, and lose none.

Run `work_queue_send.py` before, and this in as many terminals as you like: the broker hands
each task to one of them. It ends when no task has come for a second.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")
TASKS = hopmq.Queue.quorum("hopmq.example.tasks", delivery_limit=5)
IDLE = 1.0


async def work(consumer: hopmq.Consumer) -> int:
    """Do tasks until none comes any more; return how many."""
    done = 0
    while True:
        try:
            async with asyncio.timeout(IDLE):
                message = await anext(consumer)
        except TimeoutError:
            return done
        # Acknowledged when the block ends well. When it raises, or when this process dies, the
        # task goes back to the queue; after five deliveries (`delivery_limit`) it is dropped.
        async with message.process():
            await asyncio.sleep(0.01)  # the work
            print("done:", message.body.decode())
        done += 1


async def main() -> None:
    """Work on four tasks at a time."""
    # `prefetch` is how many tasks the broker hands out ahead of their acknowledgement.
    async with hopmq.connect(URL) as connection, connection.channel(prefetch=20) as channel:
        await channel.declare_queue(TASKS)
        async with channel.consume(TASKS) as consumer:
            done = await asyncio.gather(*(work(consumer) for _ in range(4)))
    print(sum(done), "tasks done")


asyncio.run(main())
