"""Drain connections when the process is told to end, and end within a stated time."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Protocol, Self

from hopmq.errors import UsageError

logger: logging.Logger = logging.getLogger("hopmq.connection")

USUAL: Final = (signal.SIGTERM, signal.SIGINT)


class Drainable(Protocol):
    """Something that ends in order, such as a connection or a pool."""

    async def drain(self, timeout: float = ...) -> None:  # noqa: ASYNC109  # bounds several waits
        """Finish what is begun, and close, within `timeout` seconds."""
        ...


class DrainOnSignal:
    """A block that drains what it is given when the first signal comes, and then ends.

    The body goes on while handlers finish. When all is drained and closed, it is cancelled if it
    still waits for something, and the block ends without an error. A second signal takes the
    course that it would have taken without the block: SIGTERM ends the process at once, SIGINT
    is a `KeyboardInterrupt`.

    Attributes:
        received: The signal that came, or None.
    """

    def __init__(
        self,
        *things: Drainable,
        within: float = 30.0,
        signals: Iterable[signal.Signals] = USUAL,
    ) -> None:
        """Drain `things`, all at once, within so many seconds.

        Raises:
            UsageError: `within` is no time, or there are no signals.
        """
        if not within > 0:
            raise UsageError(f"within is a positive number of seconds, not {within!r}")
        self.received: signal.Signals | None = None
        self._things = things
        self._within = within
        self._signals = tuple(signals)
        if not self._signals:
            raise UsageError("at least one signal is needed")
        self._has_come = asyncio.Event()
        self._before: dict[signal.Signals, Any] = {}  # Any: what signal.getsignal returns
        self._drain: asyncio.Task[None] | None = None
        self._body: asyncio.Task[Any] | None = None  # Any: whatever the body returns
        self._cancellations = 0
        self._has_cancelled = False
        self._is_left = False

    async def wait(self) -> signal.Signals:
        """Wait until a signal has come."""
        await self._has_come.wait()
        assert self.received is not None
        return self.received

    async def __aenter__(self) -> Self:
        """Take over the signals.

        Raises:
            UsageError: This is not the main thread, which alone is told of signals.
        """
        if threading.current_thread() is not threading.main_thread():
            raise UsageError("signals come to the main thread only")
        self._body = asyncio.current_task()
        assert self._body is not None
        self._cancellations = self._body.cancelling()
        for number in self._signals:
            self._before[number] = signal.getsignal(number)
            _listen(number, self._on_signal)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Give the signals back; wait for what is being drained, unless an error is on its way."""
        self._is_left = True
        self._give_back()
        swallow = self._swallows(kind)
        if self._drain is not None:
            if kind is not None and not swallow:
                self._drain.cancel()
            try:
                await asyncio.wait([self._drain])
            finally:
                self._drain.cancel()  # where even this wait was cancelled
        return swallow

    # --- inside --------------------------------------------------------------------------------

    def _on_signal(self, number: signal.Signals) -> None:
        if self.received is not None:
            return
        self._give_back()
        self.received = number
        logger.info("%s: draining, for %g seconds at most", number.name, self._within)
        self._drain = asyncio.get_running_loop().create_task(
            self._drain_all(), name="hopmq drain on signal"
        )
        self._drain.add_done_callback(self._drained)
        self._has_come.set()

    async def _drain_all(self) -> None:
        drains = (thing.drain(timeout=self._within) for thing in self._things)
        for outcome in await asyncio.gather(*drains, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a drain on %s failed", self.received, exc_info=outcome)

    def _drained(self, drain: asyncio.Task[None]) -> None:
        # A body that has been told by the end of its connection gets a turn to end by itself.
        if not drain.cancelled():
            asyncio.get_running_loop().call_soon(self._end_body)

    def _end_body(self) -> None:
        if self._body is not None and not self._is_left:
            self._has_cancelled = True
            self._body.cancel()

    def _swallows(self, kind: type[BaseException] | None) -> bool:
        """Return whether the body was cancelled by this block and by nobody else."""
        if not self._has_cancelled or self._body is None:
            return False
        return self._body.uncancel() <= self._cancellations and kind is asyncio.CancelledError

    def _give_back(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            _restore(number, handler)


def _listen(number: signal.Signals, callback: Callable[[signal.Signals], None]) -> None:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, callback, number)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(callback, number))


def _restore(number: signal.Signals, handler: Any) -> None:  # Any: as signal.signal takes it
    try:
        asyncio.get_running_loop().remove_signal_handler(number)
    except NotImplementedError:  # Windows
        pass
    signal.signal(number, signal.SIG_DFL if handler is None else handler)
