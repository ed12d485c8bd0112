"""Publishing that takes effect later, by the ladder: what is still missing of it is declared first."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from hopmq.app.clock import Clock
from hopmq.app.header_names import EXCHANGE
from hopmq.app.messaging import Messaging
from hopmq.app.retry.copies import cleaned
from hopmq.app.retry.ladder import (
    LONGEST,
    Step,
    delay_headers,
    entrance,
    steps_of,
    topology_of,
)
from hopmq.app.retry.rooms import Room
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange, name_of
from hopmq.errors import HopMQError, UsageError
from hopmq.wire import Properties


class _Declared:
    """What has been declared by one pool or connection so far."""

    def __init__(self) -> None:
        self.steps: set[Step] = set()
        self.rooms: set[str] = set()
        self.lock: asyncio.Lock = asyncio.Lock()


_declared: WeakKeyDictionary[Messaging, _Declared] = WeakKeyDictionary()


class Delays:
    """The ladder of a broker, and messages that are published by way of it.

    All that use one pool or connection know together what has been declared.
    """

    def __init__(self, messaging: Messaging) -> None:
        """Use `messaging`."""
        self._messaging = messaging
        self._declared = _declared.setdefault(messaging, _Declared())

    async def publish(
        self,
        body: bytes,
        seconds: float,
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        properties: Properties | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
    ) -> Receipt:
        """Publish a message that reaches its exchange after `seconds`, or up to 1/8 s later.

        The broker keeps it meanwhile. When it is due, it is published as without `mandatory`.

        Raises:
            UsageError: `seconds` is below 0 or above 97 days, or the message has an expiration.
            NotFoundError: There is no such exchange; or, for the default exchange, no such queue.
            PublishError: By outcome, as of any publish.
        """
        properties = properties or Properties(delivery_mode=2)
        if properties.expiration is not None:
            raise UsageError("a message is delayed or has an expiration, not both")
        steps = steps_of(seconds, properties.priority)
        room = Room(name_of(exchange), routing_key)
        await self._enter(room)
        await self.ensure(steps)
        headers = {
            **cleaned(properties.headers or {}),
            EXCHANGE: room.exchange,
            **delay_headers(steps, room.name),
        }
        try:
            return await self._messaging.publish(
                body,
                exchange=entrance(steps),
                routing_key=routing_key,
                properties=replace(properties, headers=headers),
                mandatory=True,
                timeout=timeout,
            )
        except HopMQError:
            self.forget()
            raise

    async def ensure(self, steps: Iterable[Step]) -> None:
        """Declare what is missing for messages to take these steps."""
        wanted = set(steps)
        if wanted <= self._declared.steps:
            return
        async with self._declared.lock:
            missing = wanted - self._declared.steps
            if missing:
                await topology_of(missing).declare(self._messaging)
                self._declared.steps |= missing

    def forget(self) -> None:
        """Declare everything anew when it is needed next: something is not there any more."""
        self._declared.steps.clear()
        self._declared.rooms.clear()

    async def _enter(self, room: Room) -> None:
        if room.name in self._declared.rooms:
            return
        async with self._declared.lock:
            if room.name not in self._declared.rooms:
                await (topology_of(()) + room.topology).declare(self._messaging)
                self._declared.rooms.add(room.name)


async def publish_delayed(
    messaging: Messaging,
    seconds: float,
    *,
    exchange: str,
    routing_key: str,
    body: bytes,
    properties: Properties,
    timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
) -> Receipt:
    """Publish a message that reaches its exchange after `seconds`; see `Delays.publish`."""
    return await Delays(messaging).publish(
        body,
        seconds,
        exchange=exchange,
        routing_key=routing_key,
        properties=properties,
        timeout=timeout,
    )


def seconds_until(at: datetime, clock: Clock) -> float:
    """Return the seconds until a moment; 0 when it has passed.

    Raises:
        UsageError: It has no time zone, or is further away than the longest delay.
    """
    if at.tzinfo is None:
        raise UsageError("a datetime with a time zone is due: which moment is meant without one?")
    wall = clock.wall()
    seconds = max(0.0, at.timestamp() - wall)
    if seconds > LONGEST:
        raise UsageError(
            f"{at} is more than {LONGEST:.0f} seconds (97 days) ahead: it is "
            f"{datetime.fromtimestamp(wall, UTC)} by the application's clock"
        )
    return seconds
