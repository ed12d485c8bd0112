"""Handlers whose runs a test begins and ends, connections that it breaks, and what it hears."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hopmq import Connection, Message, Settlement
from hopmq.events import ConnectionEvent, Recovered
from hopmq.testing import FaultProxy

E = TypeVar("E", bound=ConnectionEvent)


class Events:
    """What has happened to a connection since this was made."""

    def __init__(self, connection: Connection) -> None:
        self._seen: list[ConnectionEvent] = []
        self._arrived = asyncio.Event()
        connection.add_listener(self._take)

    def all(self, kind: type[E]) -> list[E]:
        """Return the events of one kind so far."""
        return [event for event in self._seen if isinstance(event, kind)]

    async def first(self, kind: type[E]) -> E:
        """Return the first event of a kind, as soon as there is one."""
        async with asyncio.timeout(30):
            while not (found := self.all(kind)):
                self._arrived.clear()
                await self._arrived.wait()
        return found[0]

    def _take(self, event: ConnectionEvent) -> None:
        self._seen.append(event)
        self._arrived.set()


class Work:
    """A handler whose every run is begun and ended by the test.

    Attributes:
        begun: The messages of runs, in order, including those that have ended.
        at_once: How many runs of one body there were at once, at most.
        settlements: What settling has returned, in order.
    """

    def __init__(self) -> None:
        self.begun: list[Message] = []
        self.at_once = 0
        self.settlements: list[Settlement] = []
        self._running: list[bytes] = []
        self._ends: list[asyncio.Future[Callable[[Message], Settlement] | None]] = []
        self._changed = asyncio.Condition()

    async def __call__(self, message: Message) -> None:
        end: asyncio.Future[Callable[[Message], Settlement] | None] = asyncio.Future()
        self._running.append(message.body)
        self.at_once = max(self.at_once, self._running.count(message.body))
        self._ends.append(end)
        async with self._changed:
            self.begun.append(message)
            self._changed.notify_all()
        try:
            settle = await end
            if settle is not None:
                self.settlements.append(settle(message))
        finally:
            self._running.remove(message.body)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of all runs, in the order in which they began."""
        return [message.body for message in self.begun]

    async def begins(self, runs: int) -> None:
        """Wait until so many runs have begun."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= runs)

    async def end(self, run: int, settle: Callable[[Message], Settlement] | None) -> None:
        """End a run, counted from 0, with a settlement or without."""
        self._ends[run].set_result(settle)
        await asyncio.sleep(0)

    async def fail(self, run: int) -> None:
        """Have a run raise."""
        self._ends[run].set_exception(RuntimeError("on purpose"))
        await asyncio.sleep(0)


async def recovered(connection: Connection, proxy: FaultProxy) -> None:
    """Cut the connection, and wait until it is back."""
    events = connection.events()
    proxy.disconnect(reset=True)
    async for event in events:
        if isinstance(event, Recovered):
            await events.aclose()  # type: ignore[attr-defined]
            return
