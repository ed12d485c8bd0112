"""Tasks that run a coroutine handler, each on one message after the other."""

import asyncio
from collections.abc import Callable
from typing import Any

from hopmq.client.inbox import Inbox
from hopmq.client.message import Message
from hopmq.errors import ClosedError, ConsumerCancelledError


class Workers:
    """The long-lived tasks of one consumer; none until they are started.

    Attributes:
        on_work_ended: Called with each message that a handler has ended with; None as long as
            nobody has to know.
    """

    def __init__(
        self,
        inbox: Inbox,
        failed: Callable[[Message, BaseException], None],
        all_ended: Callable[[], None],
    ) -> None:
        """Take messages from `inbox`; tell `failed` of what a handler raises."""
        self.on_work_ended: Callable[[Message], None] | None = None
        self._inbox = inbox
        self._failed = failed
        self._all_ended = all_ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work: list[Message | None] = []

    def __len__(self) -> int:
        """Return how many are at work or wait for some."""
        return len(self._tasks)

    @property
    def work_beside_each_other(self) -> bool:
        """Whether several messages may be worked on at once."""
        return len(self._at_work) > 1

    def at_work(self) -> list[Message]:
        """Return the messages that handlers work on now."""
        return [each for each in self._at_work if each is not None]

    def start(self, handler: Callable[[Any], Any], concurrency: int, name: str) -> None:
        """Start so many."""
        self._at_work = [None] * concurrency
        for number in range(concurrency):
            task = asyncio.create_task(self._work(handler, number), name=f"{name} worker {number}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def join(self) -> None:
        """Wait until all have ended, but for the one that asks."""
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others)

    async def _work(self, handler: Callable[[Any], Any], number: int) -> None:
        at_work, next_message = self._at_work, self._inbox.get
        while True:
            try:
                message = await next_message()
            except (ClosedError, ConsumerCancelledError, StopAsyncIteration):
                return
            at_work[number] = message
            try:
                await handler(message)
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                self._failed(message, error)  # of something that the handler awaited
            except Exception as error:  # the handler is the user's: the worker goes on
                self._failed(message, error)
            finally:
                at_work[number] = None
                if self.on_work_ended is not None:
                    self.on_work_ended(message)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._all_ended()


def _is_cancelled() -> bool:
    """Return whether the task that runs was itself told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
