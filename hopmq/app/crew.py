"""Long-lived tasks that do what there is to do: no task for each message."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import copy_context
from typing import Final, Generic, TypeVar

from hopmq.client.message import Message
from hopmq.client.workers import become_worker

logger: logging.Logger = logging.getLogger("hopmq.app")

J = TypeVar("J")

_PAUSE: Final = 1.0
"""Seconds before a task is replaced that was ended by what it did."""

PROGRAM_ENDS: Final = (SystemExit, KeyboardInterrupt, GeneratorExit)
"""What a handler raises not because it failed, but because nothing goes on."""


class Crew(Generic[J]):
    """Some tasks that take jobs and do them, one after the other each; none until the first job.

    Attributes:
        size: How many jobs are done at once.
    """

    def __init__(
        self,
        take: Callable[[], J | None],
        do: Callable[[J], Awaitable[None]],
        failed: Callable[[J, BaseException], None],
        size: int,
        name: str,
    ) -> None:
        """Do what `take` returns, as long as that is something.

        Args:
            take: Returns the next job, or None when there is none now.
            do: Does one. It should not raise.
            failed: Called when it did all the same.
            size: How many tasks there are.
            name: What the tasks are called.
        """
        self.size: int = size
        self._take = take
        self._do = do
        self._failed = failed
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._left: list[tuple[J, BaseException]] = []
        self._is_ending = False
        self._context = copy_context()  # that of whoever made it, not of what reads the socket

    def wake(self) -> None:
        """Have one that is idle look for a job."""
        if not self._tasks and not self._is_ending:
            self._start()
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    async def join(self) -> None:
        """End the tasks once they have finished what they do; start nothing more. Idempotent."""
        self._is_ending = True
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)
        self._settle_left()
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others)

    def cancel(self) -> None:
        """End the tasks at once."""
        self._is_ending = True
        for task in self._tasks:
            task.cancel()

    # --- inside ------------------------------------------------------------------------------

    def _start(self) -> None:
        for number in range(self.size):
            self._employ(f"{self._name} {number}")

    def _employ(self, name: str) -> None:
        task = self._context.run(asyncio.create_task, self._work(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _work(self) -> None:
        become_worker()
        while not self._is_ending:
            job = self._take()
            if job is None:
                await self._wait()
                continue
            try:
                await self._do(job)
            except asyncio.CancelledError as error:
                self._failed(job, error)
                if is_cancelled():
                    raise
            except PROGRAM_ENDS as error:
                self._left.append((job, error))
                raise
            except BaseException as error:  # the handler is the user's: the worker goes on
                self._failed(job, error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Have a task replaced that nobody here has told to end: its handler has, perhaps.

        Or the program ends, which cancels every task: then it has ended before the pause has.
        """
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._is_ending:
            asyncio.get_running_loop().call_later(_PAUSE, self._replace, task.get_name(), error)

    def _replace(self, name: str, error: BaseException) -> None:
        if self._is_ending:
            return
        self._settle_left()
        logger.error("%s was ended by %r; another takes its place", name, error)
        if len(self._tasks) < self.size:
            self._employ(name)

    def _settle_left(self) -> None:
        left, self._left = self._left, []
        for job, error in left:
            self._failed(job, error)

    async def _wait(self) -> None:
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        await idle


def is_cancelled() -> bool:
    """Return whether the task that runs was itself told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def give_back(messages: Iterable[Message]) -> None:
    """Return to their queue messages that nobody has worked on.

    By `nack`, as this is no failure: newer brokers count rejects towards a delivery limit.
    """
    for message in messages:
        if not message.settled:
            message.nack(requeue=True)


def log_and_give_back(messages: Iterable[Message], error: BaseException) -> None:
    """Say what was not to happen: a handler that settles its failures itself has raised."""
    if isinstance(error, asyncio.CancelledError) and is_cancelled():
        give_back(messages)
        return
    for message in messages:
        logger.error(
            "delivery %s of %r was not handled and goes back to its queue",
            message.delivery_tag,
            message.routing_key,
            exc_info=error,
        )
        if not message.settled:
            message.reject(requeue=True)
