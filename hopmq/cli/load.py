"""Publish numbered messages, consume them at the same time, and count what becomes of each."""

import asyncio
import secrets
from array import array
from collections.abc import Iterator
from time import perf_counter
from typing import Final

from hopmq import Channel, Connection, Consumer, HopMQError, Message, PublishError, Queue

NUMBER_SIZE: Final = 8
"""Bytes of a body that hold the message's number."""

_PUBLISHERS: Final = 100
"""Tasks that publish, each with one message under way; far fewer than a channel's window."""
_PREFETCH: Final = 1000
_PATIENCE: Final = 10.0
"""Seconds without any delivery after which what is missing counts as lost."""
_LOOK_AGAIN: Final = 0.5


class Load:
    """One run: what was sent, confirmed and consumed, and when.

    Attributes:
        total: How many messages there are.
        published: How many were handed to the client so far.
        confirmed: The numbers that the broker confirmed.
        seen: The numbers that arrived.
        repeated: Deliveries of a number that had arrived before.
        confirm_times: Seconds from publish to confirm, one per confirmed message.
        consume_times: Seconds from publish to delivery, one per number seen.
        publish_seconds: From the first publish to the last confirm.
        consume_seconds: From the first publish to the last new number.
        problem: What ended the run early, if anything.
    """

    def __init__(self, total: int, size: int, *, patience: float = _PATIENCE) -> None:
        """Plan `total` messages of `size` bytes."""
        self.total: int = total
        self.published: int = 0
        self.confirmed: set[int] = set()
        self.seen: set[int] = set()
        self.repeated: int = 0
        self.confirm_times: array[float] = array("d")
        self.consume_times: array[float] = array("d")
        self.publish_seconds: float = 0.0
        self.consume_seconds: float = 0.0
        self.problem: HopMQError | None = None
        self._padding = bytes(size - NUMBER_SIZE)
        self._patience = patience
        self._sent_at = array("d", bytes(8 * total))
        self._started = 0.0
        self._all_seen = asyncio.Event()

    @property
    def lost(self) -> int:
        """How many messages were confirmed and never arrived."""
        return len(self.confirmed - self.seen)

    @property
    def succeeded(self) -> bool:
        """Whether every message was confirmed and arrived exactly once."""
        everything = self.total == self.published == len(self.confirmed) == len(self.seen)
        return everything and not self.lost and not self.repeated

    async def run(self, connection: Connection) -> None:
        """Send and receive everything; a failure ends the run and stands in `problem`."""
        queue = Queue(f"hopmq-demo-{secrets.token_hex(4)}", durable=False, exclusive=True)
        try:
            await connection.declare_queue(queue)
            async with (
                connection.channel(prefetch=_PREFETCH) as receiving,
                connection.channel() as sending,
                receiving.consume(queue, self.receive) as consumer,
            ):
                await self._publish_all(sending, queue.name)
                await self._wait_for_the_rest(consumer)
            self._count_left_over(await connection.delete_queue(queue))
        except HopMQError as error:
            self.problem = self.problem or error

    def receive(self, message: Message) -> None:
        """Strike a message's number off and acknowledge it."""
        number = int.from_bytes(message.body[:NUMBER_SIZE], "big")
        if number in self.seen:
            self.repeated += 1
        else:
            now = perf_counter()
            self.seen.add(number)
            self.consume_times.append(now - self._sent_at[number])
            self.consume_seconds = now - self._started
        message.ack()
        if len(self.seen) == self.total:
            self._all_seen.set()

    # --- inside ------------------------------------------------------------------------------

    async def _publish_all(self, channel: Channel, queue: str) -> None:
        numbers = iter(range(self.total))
        self._started = perf_counter()
        try:
            async with asyncio.TaskGroup() as publishers:
                for _ in range(min(_PUBLISHERS, self.total)):
                    publishers.create_task(self._publish(channel, queue, numbers))
        except* PublishError as errors:
            first = errors.exceptions[0]
            assert isinstance(first, PublishError)
            self.problem = first
        self.publish_seconds = perf_counter() - self._started

    async def _publish(self, channel: Channel, queue: str, numbers: Iterator[int]) -> None:
        """Publish one number after the other, each when the last is confirmed."""
        for number in numbers:
            body = number.to_bytes(NUMBER_SIZE, "big") + self._padding
            self.published += 1
            sent = self._sent_at[number] = perf_counter()
            await channel.publish(body, routing_key=queue)
            self.confirm_times.append(perf_counter() - sent)
            self.confirmed.add(number)

    async def _wait_for_the_rest(self, consumer: Consumer) -> None:
        """Wait until what was confirmed has arrived, or nothing has come for too long."""
        progress = perf_counter()
        while consumer.is_active and self.lost and perf_counter() < progress + self._patience:
            before = len(self.seen)
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._all_seen.wait()
            except TimeoutError:
                if len(self.seen) > before:
                    progress = perf_counter()

    def _count_left_over(self, left: int) -> None:
        """Count messages that stayed in the queue beyond those that are missed: they are extra."""
        self.repeated += max(0, left - self.lost)
