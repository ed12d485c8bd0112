"""The clients of a chaos run: producers of each policy, and consumers, on HopMQ's public names."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from chaos_ledger import Ledger, Outcome

import hopmq
from hopmq import Channel, Connection, Message, Queue
from hopmq.events import (
    ChannelLost,
    Closed,
    ConnectionEvent,
    ConsumerLost,
    EntityFailed,
    Recovered,
)

Policy: TypeAlias = Literal["wait", "raise", "resend"]

HEARTBEAT: Final = 3
PUBLISH_TIMEOUT: Final = 20.0
REQUEST_TIMEOUT: Final = 10.0
GRACE: Final = 2.0
"""Seconds that an await may end after its deadline: the machine is busy with other things."""

_AT_ONCE: Final = 4
_ON_THEIR_WAY: Final = 20
_PAUSE: Final = 0.05
_PAUSE_AFTER_FAILURE: Final = 0.2
_CANCELLED: Final = 0.02
_REQUEUED: Final = 0.01
_LARGE: Final = 0.01
_PREFETCH: Final = 50
_CONSUMER_CONCURRENCY: Final = 4
_TEXT: Final = 160


@dataclass(slots=True)
class Seen:
    """What the connections of all clients have gone through.

    Attributes:
        reconnects: How often one came back.
        longest: The longest time from the end of a link to the end of its recovery, in seconds.
        entities_failed: Refusals of what was to be restored.
        consumers_lost: Consumers that the broker ended, or would not have back at once.
        stale: Settlements of messages whose link was gone.
    """

    reconnects: int = 0
    longest: float = 0.0
    entities_failed: int = 0
    consumers_lost: int = 0
    stale: int = 0


class Client:
    """One connection of the workload."""

    def __init__(self, name: str, urls: Sequence[str], ledger: Ledger, seen: Seen) -> None:
        """Describe it."""
        self.name: str = name
        self.ledger: Ledger = ledger
        self.seen: Seen = seen
        self._urls = urls
        self._connection: Connection | None = None
        self._is_closing = False

    async def open(self, policy: Policy = "wait") -> Connection:
        """Connect."""
        self._connection = await hopmq.connect(
            self._urls,
            name=self.name,
            heartbeat=HEARTBEAT,
            on_disconnect=policy,
            connect_timeout=5.0,
            publish_timeout=PUBLISH_TIMEOUT,
            request_timeout=REQUEST_TIMEOUT,
        )
        self._connection.add_listener(self._on_event)
        return self._connection

    @property
    def connection(self) -> Connection:
        """The connection."""
        assert self._connection is not None
        return self._connection

    async def close(self) -> None:
        """Close the connection; bounded, as everything."""
        self._is_closing = True
        if self._connection is None:
            return
        began = time.monotonic()
        await self._connection.close(timeout=5.0)
        if time.monotonic() - began > 5.0 + GRACE:
            self.ledger.breaks(f"{self.name}: close took {time.monotonic() - began:.1f} s")

    def _on_event(self, event: ConnectionEvent) -> None:
        if isinstance(event, Recovered):
            self.seen.reconnects += 1
            self.seen.longest = max(self.seen.longest, event.seconds)
        elif isinstance(event, EntityFailed):
            self.seen.entities_failed += 1
        elif isinstance(event, ConsumerLost):
            self.seen.consumers_lost += 1
        elif isinstance(event, ChannelLost):
            self.ledger.breaks(f"{self.name}: lost a channel: {event.error}"[:_TEXT])
        elif isinstance(event, Closed) and not self._is_closing:
            self.ledger.breaks(f"{self.name}: ended for good: {event.error}"[:_TEXT])


class Producer(Client):
    """Publishes until it is told to stop, several messages at once."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        urls: Sequence[str],
        queues: Sequence[Queue],
        ledger: Ledger,
        seen: Seen,
        seed: int,
    ) -> None:
        """Describe it."""
        super().__init__(name, urls, ledger, seen)
        self._policy: Policy = policy
        self._queues = queues
        self._random = random.Random(seed)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._confirmed: Callable[[], None] | None = None

    async def start(self) -> None:
        """Connect, and begin to publish."""
        connection = await self.open(self._policy)
        channel = await connection.channel()
        self._tasks = self._begin(channel)

    async def stop(self) -> None:
        """Publish no more, and wait until every publish has ended."""
        self._stopping.set()
        limit = PUBLISH_TIMEOUT + 2 * GRACE
        _, late = await asyncio.wait(self._tasks, timeout=limit)
        if late:
            self.ledger.breaks(f"{self.name}: {len(late)} publishes go on after {limit:g} s")
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next_confirm(self) -> None:
        """Return when the next message has been confirmed."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._confirmed = lambda: None if confirmed.done() else confirmed.set_result(None)
        await confirmed

    def _begin(self, channel: Channel) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._publish_all(channel)) for _ in range(_AT_ONCE)]

    async def _publish_all(self, channel: Channel) -> None:
        while not self._stopping.is_set():
            outcome = await self._publish(channel)
            failed = outcome is not Outcome.CONFIRMED
            pause = _PAUSE_AFTER_FAILURE if failed else self._random.uniform(0, 2 * _PAUSE)
            await asyncio.sleep(pause)

    async def _publish(self, channel: Channel) -> Outcome:
        size = 100_000 if self._random.random() < _LARGE else self._random.randint(40, 1000)
        serial, body = self.ledger.attempt(self.name, size)
        queue = self._random.choice(self._queues)
        patience = None
        if self._random.random() < _CANCELLED:
            patience = self._random.uniform(0, 0.02)
        began = time.monotonic()
        outcome = await self._outcome(channel, body, queue, patience)
        self._check_deadline(serial, time.monotonic() - began)
        self.ledger.ended(self.name, serial, outcome)
        if outcome is Outcome.CONFIRMED and self._confirmed is not None:
            self._confirmed()
        return outcome

    async def _outcome(
        self, channel: Channel, body: bytes, queue: Queue, patience: float | None
    ) -> Outcome:
        try:
            async with asyncio.timeout(patience):
                await channel.publish(body, routing_key=queue.name)
        except hopmq.PublishNotSentError:
            return Outcome.NOT_SENT
        except hopmq.PublishUnknownError:
            return Outcome.UNKNOWN
        except hopmq.PublishNackedError:
            return Outcome.NACKED
        except TimeoutError:
            return Outcome.CANCELLED
        except Exception as error:
            kind = type(error).__name__
            self.ledger.breaks(f"{self.name}: a publish raised {kind}: {error}"[:_TEXT])
            return Outcome.UNKNOWN
        return Outcome.CONFIRMED

    def _check_deadline(self, serial: int, seconds: float) -> None:
        if seconds > PUBLISH_TIMEOUT + GRACE:
            self.ledger.breaks(f"{self.name} {serial}: a publish took {seconds:.1f} s")


class OrderedProducer(Producer):
    """Publishes in the order of serial numbers, with many messages on their way."""

    def _begin(self, channel: Channel) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._publish_in_order(channel))]

    async def _publish_in_order(self, channel: Channel) -> None:
        # Tasks begin in the order in which they are made, and so do their publishes.
        publishes: set[asyncio.Task[Outcome]] = set()
        try:
            while not self._stopping.is_set():
                publishes.add(asyncio.create_task(self._publish(channel)))
                await asyncio.sleep(_PAUSE)
                if len(publishes) >= _ON_THEIR_WAY:
                    await asyncio.wait(publishes, return_when=asyncio.FIRST_COMPLETED)
                publishes = {publish for publish in publishes if not publish.done()}
        finally:
            await asyncio.gather(*publishes)


class Consumer(Client):
    """Receives from one queue, and settles what it has received."""

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        queue: Queue,
        ledger: Ledger,
        seen: Seen,
        seed: int,
    ) -> None:
        """Describe it."""
        super().__init__(name, urls, ledger, seen)
        self.queue: Queue = queue
        self._random = random.Random(seed)

    async def start(self) -> None:
        """Connect, and begin to receive."""
        connection = await self.open()
        channel = await connection.channel(prefetch=_PREFETCH)
        await channel.consume(self.queue, self._handle, concurrency=_CONSUMER_CONCURRENCY)

    async def _handle(self, message: Message) -> None:
        self.ledger.arrived(bytes(message.body))
        await asyncio.sleep(self._random.uniform(0, 0.01))
        requeues = self._random.random() < _REQUEUED
        settled = message.nack(requeue=True) if requeues else message.ack()
        if not settled:
            self.seen.stale += 1


class OrderedConsumer(Consumer):
    """Receives one message after the other, as fast as they come."""

    async def start(self) -> None:
        """Connect, and begin to receive."""
        connection = await self.open()
        channel = await connection.channel(prefetch=_PREFETCH)
        await channel.consume(self.queue, self._take)

    def _take(self, message: Message) -> None:
        self.ledger.arrived(bytes(message.body))
        message.ack()


class Asker(Client):
    """Asks after a queue, again and again: each answer or error comes in time."""

    def __init__(
        self, name: str, urls: Sequence[str], queue: Queue, ledger: Ledger, seen: Seen
    ) -> None:
        """Describe it."""
        super().__init__(name, urls, ledger, seen)
        self._queue = queue
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, and begin to ask."""
        self._task = asyncio.create_task(self._ask_on(await self.open()))

    async def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _ask_on(self, connection: Connection) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await connection.declare_queue(self._queue, passive=True)
            except hopmq.HopMQError:
                pass  # it may well fail; it must not last
            except Exception as error:
                self.ledger.breaks(f"{self.name}: a declare raised {error!r}"[:_TEXT])
            seconds = time.monotonic() - began
            if seconds > REQUEST_TIMEOUT + GRACE:
                self.ledger.breaks(f"{self.name}: a declare took {seconds:.1f} s")
            await asyncio.sleep(_PAUSE_AFTER_FAILURE)
