"""A member in a process of its own: `python worker.py URL EXCHANGE NAME LOG`; SIGTERM ends it.

It writes down what it does, one line for each thing, and on its output when it has begun.
"""

import asyncio
import os
import random
import signal
import sys

from hopmq import Message, Pool
from hopmq.app.clock import LoopTime
from hopmq.app.groups import Group, PartitionMember


async def work(url: str, exchange: str, name: str, log: str) -> None:
    """Be a member until the signal comes."""
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    written = os.open(log, os.O_WRONLY | os.O_APPEND)

    def write(event: str, message: Message) -> None:
        line = f"{event} {name} {message.routing_key} {message.body.decode()}\n"
        os.write(written, line.encode())

    async def handle(message: Message) -> None:
        write("begins", message)
        await asyncio.sleep(random.uniform(0, 0.004))  # nothing secret about it
        write("ends", message)
        message.ack()

    async with Pool(url, name=name) as pool:
        member = PartitionMember(
            pool,
            Group("billing", partitions=8),
            exchange,
            handle,
            clock=LoopTime(),
            member_id=name,
            heartbeat=0.5,
        )
        await member.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await told_to_end.wait()
        await member.stop()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
