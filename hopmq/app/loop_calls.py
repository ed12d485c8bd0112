"""What threads have an event loop do: they wait for it, and not for a loop that has ended."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from typing import Any, Final, TypeVar

from hopmq.errors import UsageError

T = TypeVar("T")

_LOOK: Final = 1.0
"""Seconds between looks at the loop: one that is closed tells nobody that it does nothing any more."""

_ENDED: Final = "the application has ended before this was done"


class LoopClosedError(Exception):
    """The event loop is closed: nothing is done by it any more."""


def runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop is the one that runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> T:
    """Have a loop call a function, from another thread; return what it returns.

    Raises:
        LoopClosedError: The loop is closed.
        BaseException: What the function raises.
    """
    outcome: futures.Future[T] = futures.Future()

    def call() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError as error:
        raise LoopClosedError from error
    return _outcome_of(outcome, loop)


def _outcome_of(outcome: futures.Future[T], loop: asyncio.AbstractEventLoop) -> T:
    while not futures.wait((outcome,), timeout=_LOOK).done:
        if loop.is_closed():
            raise LoopClosedError
    return outcome.result()


class LoopCalls:
    """What threads have done by the event loop of an application, from its start to its end."""

    def __init__(self) -> None:
        """Be of the loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._under_way: set[futures.Future[Any]] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def check_loop(self) -> None:
        """Refuse what is asked on another event loop, where it would wait for ever.

        Raises:
            UsageError: It is another one.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                "this event loop is not that of the application: from a thread, "
                "app.from_thread(app.publish(...))"
            )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the loop run a coroutine, and wait for what it returns.

        Raises:
            UsageError: The loop runs in this thread, or the application ends before it is done.
        """
        outcome = self._begin(work)
        try:
            return _outcome_of(outcome, self._loop)
        except LoopClosedError as error:
            work.close()
            raise UsageError(_ENDED) from error
        except futures.CancelledError as error:
            if not self._is_over:
                raise
            raise UsageError(_ENDED) from error
        finally:
            self._under_way.discard(outcome)

    def close(self) -> None:
        """Cancel what is under way, and begin nothing more. Idempotent."""
        with self._lock:
            self._is_over = True
        for each in tuple(self._under_way):
            each.cancel()

    def _begin(self, work: Coroutine[Any, Any, T]) -> futures.Future[T]:
        with self._lock:
            refused = self._reason_to_refuse()
            if refused is not None:
                work.close()
                raise UsageError(refused)
            outcome = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._under_way.add(outcome)
            return outcome

    def _reason_to_refuse(self) -> str | None:
        if runs_here(self._loop):
            return "from_thread is for other threads than that of the event loop: await it here"
        if self._is_over or self._loop.is_closed():
            return "the application has ended: nothing is begun any more"
        return None
