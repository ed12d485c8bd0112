"""Tasks that run a coroutine handler, each on one message after the other."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, Final, Protocol

from hopmq.client.inbox import Inbox
from hopmq.client.message import Message
from hopmq.errors import ClosedError, ConsumerCancelledError

_worker: Final[ContextVar["asyncio.Task[Any] | None"]] = ContextVar("hopmq_worker", default=None)
"""The worker whose handler runs, or has begun what runs."""


def become_worker() -> None:
    """Have `is_worker` recognise the task that runs."""
    _worker.set(asyncio.current_task())


def is_worker() -> bool:
    """Return whether the task that runs is a worker itself, whose handler nobody else waits for."""
    worker = _worker.get()
    return worker is not None and worker is asyncio.current_task()


class Employer(Protocol):
    """Whose handler it is."""

    consumer_tag: str

    def handler_failed(self, message: Message, error: BaseException) -> None:
        """Take note of what a handler raised."""

    def workers_ended(self) -> None:
        """Take note that the last worker has ended."""


class Workers:
    """The long-lived tasks of one consumer; none until there is a first message.

    Attributes:
        concurrency: How many messages they work on at once.
        on_work_ended: Called with each message that a handler has ended with; None as long as
            nobody has to know.
    """

    __slots__ = (
        "_at_work",
        "_context",
        "_employer",
        "_handler",
        "_inbox",
        "_tasks",
        "concurrency",
        "on_work_ended",
    )

    def __init__(
        self, employer: Employer, inbox: Inbox, handler: Callable[[Any], Any], concurrency: int
    ) -> None:
        """Work on messages from `inbox`, as many at once as `concurrency` says."""
        self.on_work_ended: Callable[[Message], None] | None = None
        self._employer = employer
        self._inbox = inbox
        self._handler = handler
        self.concurrency: int = concurrency
        self._tasks: set[asyncio.Task[None]] | tuple[()] = ()
        self._at_work: Sequence[Message | None] = ()
        self._context = copy_context()  # that of the caller, and not of whatever reads the socket
        inbox.on_first = self._start

    def __len__(self) -> int:
        """Return how many are at work or wait for some."""
        return len(self._tasks)

    def at_work(self) -> list[Message]:
        """Return the messages that handlers work on now."""
        return [each for each in self._at_work if each is not None]

    async def join(self) -> None:
        """Wait until all have ended, but for the one that asks."""
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others)

    def cancel(self) -> None:
        """End them at once; what they work on is cancelled."""
        for task in self._tasks:
            task.cancel()

    def _start(self) -> None:
        at_work: list[Message | None] = [None] * self.concurrency
        self._at_work = at_work
        self._tasks = set()
        for number in range(self.concurrency):
            name = f"hopmq consumer {self._employer.consumer_tag} worker {number}"
            task = self._context.run(asyncio.create_task, self._work(number, at_work), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _work(self, number: int, at_work: list[Message | None]) -> None:
        become_worker()
        inbox, handler = self._inbox, self._handler
        while True:
            message = inbox.take()
            if message is None:
                try:
                    message = await inbox.get()
                except (ClosedError, ConsumerCancelledError, StopAsyncIteration):
                    return
            at_work[number] = message
            try:
                await handler(message)
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                self._employer.handler_failed(
                    message, error
                )  # of something that the handler awaited
            except (SystemExit, KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # the handler is the user's: the worker goes on
                self._employer.handler_failed(message, error)
            finally:
                at_work[number] = None
                if self.on_work_ended is not None:
                    self.on_work_ended(message)

    def _ended(self, task: asyncio.Task[None]) -> None:
        assert isinstance(self._tasks, set)
        self._tasks.discard(task)
        if not self._tasks:
            self._employer.workers_ended()


def _is_cancelled() -> bool:
    """Return whether the task that runs was itself told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
