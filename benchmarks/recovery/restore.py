"""How long a connection takes to come back with much on it.

Declares queues with a binding each, opens channels and starts consumers, then drops the link several times. Prints the
seconds from the loss to the first confirmed publish and to `Recovered`, and the CPU seconds of this process.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "broker"))

from serving import embedded, rabbitmq, stopwatch

import hopmq
from hopmq import Channel, Connection, Queue, Recovery
from hopmq.events import ConnectionEvent, Recovered
from hopmq.resilience import Constant

AT_ONCE = 500
EXCHANGE = "restore"


async def build(
    connection: Connection, names: list[str], channels: int, consumers: int
) -> list[Channel]:
    """Put everything on the connection."""
    await connection.declare_exchange(EXCHANGE, "direct")
    for begin in range(0, len(names), AT_ONCE):
        some = names[begin : begin + AT_ONCE]
        await asyncio.gather(*(connection.declare_queue(Queue.classic(name)) for name in some))
        await asyncio.gather(*(connection.bind(name, EXCHANGE, name) for name in some))
    opened = [await connection.channel() for _ in range(channels)]
    for number in range(consumers):
        await opened[number % channels].consume(
            names[number % len(names)], lambda message: message.ack()
        )
    return opened


async def lose(connection: Connection, channel: Channel, key: str) -> tuple[float, float, float]:
    """Drop the link; return the seconds to a confirm and to recovery, and our CPU seconds."""
    recovered = asyncio.Event()

    def note(event: ConnectionEvent) -> None:
        if isinstance(event, Recovered):
            recovered.set()

    remove = connection.add_listener(note)
    begun, cpu = stopwatch()
    connection._session.link.abort()
    await connection.wait_for("recovering", timeout=10)
    await channel.publish(b"", exchange=EXCHANGE, routing_key=key, mandatory=True, timeout=120)
    published = stopwatch()[0] - begun
    await recovered.wait()
    remove()
    return published, stopwatch()[0] - begun, time.process_time() - cpu


async def run(url: str, chosen: argparse.Namespace) -> None:
    """Print one line for each loss."""
    names = [f"restore-{number}" for number in range(chosen.queues)]
    recovery = Recovery(backoff=Constant(0.0))
    async with hopmq.connect(url, recovery=recovery, request_timeout=120) as connection:
        channels = await build(connection, names, chosen.channels, chosen.consumers)
        for _ in range(chosen.losses):
            published, all_back, cpu = await lose(connection, channels[0], names[-1])
            live = sum(
                consumer.is_active for channel in channels for consumer in channel.consumers()
            )
            print(
                f"first confirm {published:.2f} s, recovered {all_back:.2f} s, CPU {cpu:.2f} s, "
                f"{live:,} consumers live"
            )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rabbitmq", help="a release, such as 3.10.8; the embedded broker without")
    parser.add_argument("--queues", type=int, default=5_000)
    parser.add_argument("--channels", type=int, default=1_000)
    parser.add_argument("--consumers", type=int, default=1_000)
    parser.add_argument("--losses", type=int, default=5)
    chosen = parser.parse_args()
    served = rabbitmq(chosen.rabbitmq) if chosen.rabbitmq else embedded()
    with served as broker:
        print(f"{broker.name}: {chosen.channels:,} channels, {chosen.queues:,} queues and bindings")
        asyncio.run(run(broker.url, chosen))


if __name__ == "__main__":
    main()
