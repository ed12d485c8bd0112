"""Tasks that run a coroutine handler, each on one message after the other."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from hopmq.client.inbox import Inbox
from hopmq.client.message import Message
from hopmq.errors import ClosedError, ConsumerCancelledError

logger: logging.Logger = logging.getLogger("hopmq.client")

_PAUSE: Final = 1.0
"""Seconds before a worker is replaced that was ended by what it worked on."""

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
        "_fallen",
        "_handler",
        "_inbox",
        "_is_cancelled",
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
        self._is_cancelled = False
        self._fallen: dict[int, _Fallen] | None = None
        self._at_work: Sequence[Message | None] = ()
        self._context = copy_context()  # that of the caller, and not of whatever reads the socket
        inbox.on_first = self._start

    def __len__(self) -> int:
        """Return how many are at work or wait for some, or are about to be replaced."""
        return len(self._tasks) + len(self._fallen or ())

    def at_work(self) -> list[Message]:
        """Return the messages that handlers work on now."""
        return [each for each in self._at_work if each is not None]

    async def join(self) -> None:
        """Wait until all have ended, but for the one that asks."""
        while True:
            for number in tuple(self._fallen or ()):
                self._replace(number)
            others = [task for task in self._tasks if task is not asyncio.current_task()]
            if not others:
                return
            await asyncio.wait(others)

    def cancel(self) -> None:
        """End them at once; what they work on is cancelled."""
        self._is_cancelled = True
        for fallen in (self._fallen or {}).values():
            fallen.replacement.cancel()
        self._fallen = None
        for task in self._tasks:
            task.cancel()

    def _start(self) -> None:
        self._at_work = [None] * self.concurrency
        self._tasks = set()
        for number in range(self.concurrency):
            self._employ(number)

    def _employ(self, number: int) -> None:
        assert isinstance(self._at_work, list)
        assert isinstance(self._tasks, set)
        name = f"hopmq consumer {self._employer.consumer_tag} worker {number}"
        work = self._work(number, self._at_work)
        task = self._context.run(asyncio.create_task, work, name=name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, number))

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
            except BaseException as error:  # the handler is the user's: the worker goes on
                if _ends_worker(error):
                    raise
                self._employer.handler_failed(message, error)
            at_work[number] = None
            if self.on_work_ended is not None:
                self.on_work_ended(message)

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        assert isinstance(self._tasks, set)
        self._tasks.discard(task)
        message = self._leaves(number)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._is_cancelled:
            self._fell(number, message, error)
        if not self:
            self._employer.workers_ended()

    def _leaves(self, number: int) -> Message | None:
        """Take what a worker that has ended had in hand."""
        assert isinstance(self._at_work, list)
        message: Message | None = self._at_work[number]
        self._at_work[number] = None
        if message is not None and self.on_work_ended is not None:
            self.on_work_ended(message)
        return message

    def _fell(self, number: int, message: Message | None, error: BaseException) -> None:
        """Have a worker replaced that nobody here has told to end.

        Its handler has cancelled it, perhaps, and then the consumer is to go on. Or the program
        ends, which cancels every task: then it has ended before the pause has.
        """
        replacement = asyncio.get_running_loop().call_later(_PAUSE, self._replace, number)
        if self._fallen is None:
            self._fallen = {}
        self._fallen[number] = _Fallen(replacement, message, error)

    def _replace(self, number: int) -> None:
        assert self._fallen is not None
        replacement, message, error = self._fallen.pop(number)
        replacement.cancel()
        if message is not None and not message.settled:
            self._employer.handler_failed(message, error)
        if self._inbox.is_finished:
            if not self:
                self._employer.workers_ended()
            return
        logger.error(
            "worker %d of consumer %s was ended by %r; another takes its place",
            number,
            self._employer.consumer_tag,
            error,
        )
        self._employ(number)


class _Fallen(NamedTuple):
    """A worker that has ended with a message in hand."""

    replacement: asyncio.TimerHandle
    message: Message | None
    error: BaseException


def _ends_worker(error: BaseException) -> bool:
    """Return whether what a handler raised is no failure of its own, but the end of its task."""
    if isinstance(error, asyncio.CancelledError):
        return _is_cancelled()  # else it comes from something that the handler awaited
    return isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit)


def _is_cancelled() -> bool:
    """Return whether the task that runs was itself told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
