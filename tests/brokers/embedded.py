"""The embedded broker as a test session sees it: on a thread with a loop of its own."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from hopmq.broker import Broker
from hopmq.broker.emulation import Release, emulation_of

T = TypeVar("T")

RELEASES: tuple[Release, ...] = ("3.10", "4.0", "4.3")
HANDSHAKE_TIMEOUT = 4.0
"""Seconds that brokers of the tests give a handshake, as some tests wait for its end; 10 is usual."""

_START_TIMEOUT = 60.0


class EmbeddedBroker:
    """A broker that emulates one release, beside the loops of the tests.

    Attributes:
        version: The release of RabbitMQ that it behaves like.
        url: Its address.
    """

    def __init__(self, release: Release, **options: Any) -> None:  # Any: keywords of Broker
        """Start it."""
        self.version: str = emulation_of(release).version
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"broker-{release}")
        self._thread.start()
        self.broker: Broker = Broker(
            emulate=release,
            handshake_timeout=HANDSHAKE_TIMEOUT,
            silent_close_delay=0.1,
            **options,
        )
        asyncio.run_coroutine_threadsafe(self.broker.start(), self._loop).result(_START_TIMEOUT)
        self.url: str = self.broker.url

    def call(self, function: Callable[[Broker], T]) -> T:
        """Call something with the broker, on the broker's own loop, and return what it returns."""

        async def called() -> T:
            return function(self.broker)

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(_START_TIMEOUT)

    def stop(self) -> None:
        """End it, and its thread."""
        asyncio.run_coroutine_threadsafe(self.broker.stop(), self._loop).result(_START_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
