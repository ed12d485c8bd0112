"""A consumer that fails as a test wants it to, and remembers each attempt."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from hopmq import Message, Pool, Queue
from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext
from hopmq.app.retry import Failures, Retry
from hopmq.client.consumer import Consumer
from hopmq.errors import HopMQError

GRAIN = 0.002
"""Seconds by which a real broker may seem early: it counts in whole milliseconds."""

Fails = Callable[[Message, int], BaseException | None]
"""What a handler raises of a message at an attempt."""


def always(error: BaseException) -> Fails:
    """Return what fails of the same error each time."""
    return lambda message, attempt: error


def times(count: int, error: BaseException) -> Fails:
    """Return what fails as often as that."""
    return lambda message, attempt: error if attempt <= count else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a handler."""

    body: bytes
    number: int
    at: float
    message: Message


class Work:
    """A queue, and workers on it."""

    def __init__(self, pool: Pool, clock: Clock, queue: str) -> None:
        """Work on `queue`."""
        self.pool = pool
        self.clock = clock
        self.queue = Queue.quorum(queue)
        self.attempts: list[Attempt] = []
        self.more = asyncio.Condition()
        self._consumers: list[Consumer] = []

    async def __aenter__(self) -> Self:
        """Begin with nothing."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all workers."""
        await self.stop()

    async def stop(self) -> None:
        """Stop all workers, and wait until they have ended."""
        for consumer in self._consumers:
            await consumer.cancel()
            await consumer.wait_closed()
        self._consumers.clear()

    async def delete(self) -> None:
        """Leave nothing of the queue behind."""
        await self.stop()
        for name in (self.queue.name, f"{self.queue.name}.parked"):
            try:
                await self.pool.delete_queue(name)
            except HopMQError:
                continue

    async def fail(
        self,
        fails: Fails,
        retry: Retry | None,
        *,
        pool: Pool | None = None,
        declares: bool = True,
        concurrency: int = 10,
    ) -> Failures:
        """Have a worker that fails."""
        pool = pool or self.pool
        failures = Failures(pool, self.queue, retry, self.clock, declares=declares)
        await failures.prepare()

        async def handle(message: Message) -> None:
            context = self.context(message)
            number = failures.attempt_of(message)
            attempt = Attempt(message.body, number, self.clock.time(), message)
            error = fails(message, number)
            if error is None:
                message.ack()
            else:
                await failures.settle(context, message, error)
            async with self.more:
                self.attempts.append(attempt)
                self.more.notify_all()

        self._consumers.append(await pool.consume(self.queue.name, handle, concurrency=concurrency))
        return failures

    @staticmethod
    def context(message: Message) -> ConsumeContext:
        """Return what handlers are told, of no application."""
        nobody: Any = None
        return ConsumeContext((message,), nobody, nobody)

    async def publish(self, body: bytes = b"work", **options: Any) -> None:
        """Give it something to do."""
        await self.pool.publish(body, routing_key=self.queue.name, **options)

    async def until(self, count: int) -> None:
        """Wait until there have been that many attempts."""
        async with self.more:
            await self.more.wait_for(lambda: len(self.attempts) >= count)

    def when(self, body: bytes = b"work") -> list[float]:
        """Return the times of the attempts at a message, from the first one on."""
        times = [each.at for each in self.attempts if each.body == body]
        return [at - times[0] for at in times]

    async def parked(self) -> list[Message]:
        """Return what is in the parking queue, and empty it."""
        found = []
        async with self.pool.channel() as channel:
            while (
                message := await channel.get(f"{self.queue.name}.parked", no_ack=True)
            ) is not None:
                found.append(message)
        return found
