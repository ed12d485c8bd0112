"""An embedded broker on a thread of its own, for tests and programs that block."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from hopmq.broker import Broker
from hopmq.errors import UsageError

T = TypeVar("T")

_TIMEOUT = 30.0


class BrokerThread:
    """Run a broker beside code that blocks: tests of a client that has no event loop, for one.

    It runs within `with BrokerThread() as thread: ...`, or from `start` to `stop`.

    Attributes:
        broker: The broker. Its addresses may be read from any thread; everything else is for the
            broker's own: use `call`.
    """

    def __init__(self, broker: Broker | None = None) -> None:
        """Describe a broker on a thread; nothing runs yet.

        Args:
            broker: What to run; by default one that listens on a free port.
        """
        self.broker: Broker = broker or Broker()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        """Show the broker."""
        return f"<BrokerThread {self.broker!r}>"

    @property
    def url(self) -> str:
        """Address of the broker."""
        return self.broker.url

    def start(self) -> None:
        """Start the broker, and return once it accepts connections."""
        if self._loop is not None:
            return
        self._loop = asyncio.new_event_loop()
        # A daemon: a program that is cut short must not wait for it.
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="hopmq broker", daemon=True
        )
        self._thread.start()
        try:
            self.call(self.broker.start)
        except BaseException:
            self._end()
            raise

    def stop(self, *, abrupt: bool = False) -> None:
        """Stop the broker and its thread; idempotent.

        Args:
            abrupt: Drop connections that are still open, rather than close them in order.
        """
        if self._loop is None:
            return
        try:
            self.call(self.broker.stop, abrupt=abrupt)
        finally:
            self._end()

    def call(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        """Call a function on the broker's own thread and return what it returns.

        A coroutine function is awaited there. This is how to reach into the broker from outside:
        `thread.call(faults.block)`, `thread.call(broker.restart)`.

        Raises:
            UsageError: The broker is not running, or this is its own thread.
            TimeoutError: It took longer than 30 seconds.
            Exception: Whatever the function raised.
        """
        if self._loop is None:
            raise UsageError("the broker is not running: start it first")
        if threading.current_thread() is self._thread:
            raise UsageError("this is the broker's own thread: call the function itself")

        async def called() -> Any:
            outcome = function(*arguments, **options)
            return await outcome if inspect.isawaitable(outcome) else outcome

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(_TIMEOUT)

    def __enter__(self) -> Self:
        """Start the broker."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the broker."""
        self.stop()

    def _end(self) -> None:
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        assert loop is not None
        assert thread is not None
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_TIMEOUT)
        loop.close()
