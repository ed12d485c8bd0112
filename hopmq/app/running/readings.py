"""The ways in which consumers take messages: one by one, in lanes by key, in batches."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from hopmq.app.batching import Batches
from hopmq.app.messaging import Messaging
from hopmq.client.consumer import Consumer
from hopmq.client.handlers import Handler
from hopmq.typedefs import FieldTable


class Joinable(Protocol):
    """A handler that works on after messages were given to it, such as lanes or batches."""

    async def join(self) -> None:
        """Wait until all of them are finished."""

    def cancel(self) -> None:
        """Cut off what is being worked on."""


class QueueReading:
    """Takes the messages of one queue."""

    def __init__(
        self,
        messaging: Messaging,
        queue: Callable[[], Awaitable[str]],
        handler: Handler,
        *,
        prefetch: int,
        concurrency: int,
        priority: int | None,
        arguments: FieldTable | None,
        works_on: Joinable | None = None,
    ) -> None:
        """Give what `queue` names to `handler`; `works_on` is waited for in the end."""
        self._messaging = messaging
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._concurrency = concurrency
        self._priority = priority
        self._arguments = arguments
        self._works_on = works_on
        self._consumer: Consumer | None = None

    @property
    def collected(self) -> int:
        """How many messages wait here for others to make a batch with."""
        return len(self._works_on) if isinstance(self._works_on, Batches) else 0

    @property
    def is_interrupted(self) -> bool:
        """Whether it waits to be restored, with its connection or its queue."""
        return (
            self._consumer is not None and self._consumer.is_wanted and not self._consumer.is_active
        )

    async def start(self) -> None:
        """Subscribe."""
        self._consumer = await self._messaging.consume(
            await self._queue(),
            self._handler,
            prefetch=self._prefetch,
            concurrency=self._concurrency,
            priority=self._priority,
            arguments=self._arguments,
        )

    async def stop(self) -> None:
        """Unsubscribe; return when what is in hand is finished."""
        assert self._consumer is not None
        try:
            await self._consumer.cancel()
        finally:
            if self._works_on is not None:
                await self._works_on.join()

    def cut_off(self) -> None:
        """Cancel what is in hand, which `stop` waits for."""
        if self._works_on is not None:
            self._works_on.cancel()
        if self._consumer is not None:
            self._consumer.cancel_handlers()

    async def wait_stopped(self) -> None:
        """Wait until the broker sends no more; raise why, unless `stop` was called."""
        assert self._consumer is not None
        await self._consumer.wait_closed()


def named(queue: str) -> Callable[[], Awaitable[str]]:
    """Return what names a queue that is known."""

    async def name() -> str:
        return queue

    return name
