"""Producers of each policy and consumers, at work while a broker suffers."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from faults.promises import POLICIES, Promises
from hopmq import Channel, Connection, Message, Queue, Receipt
from hopmq.client.publishing import OnDisconnect

AT_ONCE = 4
"""Publishes of one producer on their way."""

LIMIT = 60.0
"""Seconds that beginning and ending may take."""

_PAUSE_AFTER_REFUSAL = 0.1
_PAUSE = 0.003
"""Seconds between them, so that a long outage makes no long check."""


@dataclass(slots=True, eq=False)
class Producer:
    """Publishes into one queue until it is told to stop."""

    name: str
    channel: Channel
    queue: str
    policy: OnDisconnect
    promises: Promises
    confirmed: int = 0
    confirmed_bodies: list[bytes] = field(default_factory=list)

    async def work(self, connection: Connection, stopping: asyncio.Event) -> None:
        """Publish, a few at once."""
        while not stopping.is_set():
            promises = await asyncio.gather(
                *(
                    self.promises.publish(self.channel, self.queue, self.policy, self.name)
                    for _ in range(AT_ONCE)
                )
            )
            good = [promise for promise in promises if isinstance(promise.outcome, Receipt)]
            self.confirmed += len(good)
            self.confirmed_bodies += [promise.body for promise in good]
            if len(good) < len(promises):
                await connection.wait_for("open", "blocked")
                await asyncio.sleep(_PAUSE_AFTER_REFUSAL)
            await asyncio.sleep(_PAUSE)


class Traffic:
    """What goes on with a broker.

    For each kind of queue there is one that is only filled, by a producer of each policy, and one
    that is filled and read.
    """

    def __init__(self, connection: Connection, name: str, *, classic: bool = True) -> None:
        """Plan it, with or without classic queues; nothing is declared yet."""
        self.connection: Connection = connection
        self.kept: list[Queue] = [Queue.quorum(f"{name}-quorum")]
        self.read: list[Queue] = [Queue.quorum(f"{name}-quorum-read")]
        if classic:
            self.kept.append(Queue(f"{name}-classic"))
            self.read.append(Queue(f"{name}-read"))
        self.handled: Counter[bytes] = Counter()
        self.promises: Promises = Promises()
        self.passing: Promises = Promises()
        self._producers: list[Producer] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def begin(self) -> None:
        """Declare queues and put everybody to work; return when messages have gone all ways."""
        connection = self.connection
        await connection.declare(*self.kept, *self.read)
        for queue in self.kept:
            for policy in POLICIES:
                channel = await connection.channel(on_disconnect=policy)
                name = f"{policy}:{queue.name}"
                self._add(Producer(name, channel, queue.name, policy, self.promises))
        reader = await connection.channel()
        for queue in self.read:
            await reader.consume(queue, self._handle, concurrency=2)
            channel = await connection.channel()
            self._add(Producer(queue.name, channel, queue.name, "wait", self.passing))
        await self.goes_on()

    async def goes_on(self) -> None:
        """Return when each producer has had more confirms, and consumers more messages."""
        confirmed = {producer: producer.confirmed for producer in self._producers}
        handled = self._handled_by_queue()
        while not all(
            producer.confirmed > before + AT_ONCE for producer, before in confirmed.items()
        ) or not all(count > handled[queue] for queue, count in self._handled_by_queue().items()):
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Stop everybody, and hold what was promised against what is there."""
        self._stopping.set()
        for task in self._tasks:
            await task
        wanted = {
            body
            for producer in self._producers
            if producer.promises is self.passing
            for body in producer.confirmed_bodies
        }
        while not wanted <= set(self.handled):
            await asyncio.sleep(0.01)
        async with self.connection.channel() as channel:
            arrived = [body for queue in self.kept for body in await drained(channel, queue.name)]
        self.promises.check(arrived)
        known = {promise.body for promise in self.passing.all()}
        assert set(self.handled) <= known
        live = [each for channel in self.connection.channels() for each in channel.consumers()]
        assert len(live) >= len(self.read)
        assert all(consumer.is_active for consumer in live), "wanted = live"
        for queue in (*self.kept, *self.read):
            await self.connection.delete_queue(queue)

    # --- inside ------------------------------------------------------------------------------

    def _add(self, producer: Producer) -> None:
        self._producers.append(producer)
        work = producer.work(self.connection, self._stopping)
        self._tasks.append(asyncio.create_task(work, name=f"producer {producer.name}"))

    async def _handle(self, message: Message) -> None:
        self.handled[message.body] += 1
        message.ack()

    def _handled_by_queue(self) -> dict[str, int]:
        counts = {queue.name: 0 for queue in self.read}
        for body, count in self.handled.items():
            counts[body.decode().split()[0]] += count
        return counts

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(LIMIT):
            await self.begin()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            async with asyncio.timeout(LIMIT):
                await self.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


_LAST = b"last"


async def drained(channel: Channel, queue: str) -> list[bytes]:
    """Take everything out of a queue."""
    await channel.publish(_LAST, routing_key=queue, mandatory=True)
    bodies = []
    async with channel.consume(queue, no_ack=True) as consumer:
        async for message in consumer:
            if message.body == _LAST:
                return bodies
            bodies.append(message.body)
    return bodies
