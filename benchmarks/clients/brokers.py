"""Real brokers as targets: queues made ready before a run, and somebody who answers requests."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hopmq
from hopmq import Message, Properties, Queue
from hopmq.testing import RabbitMQ, find_installation

sys.path.insert(0, str(Path(__file__).parent / "adapters"))

from measuring import PROPERTIES

if TYPE_CHECKING:
    from cases import Case

CHUNK = 10_000


@contextmanager
def rabbitmq(version: str) -> Iterator[str]:
    """Run an installed RabbitMQ; give its URL."""
    with RabbitMQ(find_installation(version)) as broker:
        yield broker.url


def make_ready(url: str, case: "Case", count: int) -> None:
    """Leave the queue of a case empty, or filled with what it is to consume."""
    asyncio.run(_make_ready(url, case, count if case.scenario.startswith("consume") else 0))


async def _make_ready(url: str, case: "Case", count: int) -> None:
    queue: Queue = Queue.classic(case.queue, durable=False, auto_delete=False)
    if case.queue_type is not None:
        queue = getattr(Queue, case.queue_type)(case.queue)
    values: dict[str, Any] = PROPERTIES[case.properties]
    async with hopmq.connect(url) as connection, connection.channel() as channel:
        await channel.delete_queue(case.queue)
        await channel.declare_queue(queue)
        for done in range(0, count, CHUNK):
            await channel.publish_many(
                [b"x" * case.body] * min(CHUNK, count - done),
                routing_key=case.queue,
                properties=Properties(**values),
            )


@contextmanager
def responder(url: str, case: "Case") -> Iterator[None]:
    """Answer requests while a scenario with requests runs."""
    if not case.scenario.startswith("rpc"):
        yield
        return
    words = [sys.executable, __file__, url, case.queue]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise SystemExit("the responder has not started")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def respond(url: str, queue: str) -> None:
    """Answer each request with its own body, for ever."""
    async with (
        hopmq.connect(url) as connection,
        connection.channel(confirms=False, max_unconfirmed=100_000) as channel,
    ):

        def answer(message: Message) -> None:
            assert message.reply_to is not None
            properties = Properties(correlation_id=message.correlation_id)
            channel.publish_nowait(
                message.body, routing_key=message.reply_to, properties=properties
            )

        async with channel.consume(queue, answer, no_ack=True):
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(respond(*sys.argv[1:3]))
