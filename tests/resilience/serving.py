"""A program that consumes until it is told to end; it prints what happens to its handler."""

import asyncio
import sys

from forking import loop_factory

import hopmq
from hopmq.resilience.signals import DrainOnSignal


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main(url: str, queue: str, within: float) -> None:
    """Consume, and finish the message at hand when a line is read."""
    connection = await hopmq.connect(url)
    line = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(line), sys.stdin
    )

    async def handle(message: hopmq.Message) -> None:
        say("begun")
        try:
            await line.readline()
        except asyncio.CancelledError:
            say("cut off")
            raise
        message.ack()
        say("finished")

    async with DrainOnSignal(connection, within=within) as told:
        channel = await connection.channel()
        await channel.consume(queue, handle)
        say("ready")
        say((await told.wait()).name)
        await asyncio.Event().wait()
    say(connection.state)


if __name__ == "__main__":
    _, loop, url, queue, within = sys.argv
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(main(url, queue, float(within)))
