"""Connections that come back quickly, and whoever sees what happens to them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import hopmq
from hopmq import Connection, Recovery
from hopmq.events import ConnectionEvent
from hopmq.resilience.backoff import Constant

E = TypeVar("E", bound=ConnectionEvent)

QUICK = Recovery(backoff=Constant(0.05), entity_backoff=Constant(0.05), refusal_delay=0.05)
"""Waits that are long enough to let others work."""


class Witness:
    """Keeps what happens to a connection, in order."""

    def __init__(self, connection: Connection) -> None:
        """Begin to listen."""
        self.connection: Connection = connection
        self.events: list[ConnectionEvent] = []
        self._arrived = asyncio.Event()
        connection.add_listener(self._take)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], count: int = 1) -> E:
        """Return the event of a kind that is the `count`-th, once it has happened."""
        while len(found := self.of(kind)) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return found[count - 1]

    def _take(self, event: ConnectionEvent) -> None:
        self.events.append(event)
        self._arrived.set()


@asynccontextmanager
async def recovering(
    urls: str | Sequence[str], *, policy: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Witness]:
    """Connect, with options of recovery of its own if need be; close at the end."""
    recovery = replace(QUICK, **(policy or {}))
    connection = await hopmq.connect(urls, recovery=recovery, **options)
    try:
        yield Witness(connection)
    finally:
        await connection.close()
