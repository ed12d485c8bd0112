"""For operators: what is parked, and back to work or away with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from hopmq.app import header_names as names
from hopmq.app.messaging import Messaging
from hopmq.app.retry.aside import give_back
from hopmq.app.retry.copies import copied, forgiven
from hopmq.app.retry.ladder import END, topology_of, way_to
from hopmq.app.retry.parked import Parked, id_of, parked_of, parked_queue
from hopmq.app.topology import Topology
from hopmq.client.channel import Channel
from hopmq.client.message import Message
from hopmq.entities import Exchange, Queue, name_of
from hopmq.errors import ResourceLockedError, UsageError

_Messages: TypeAlias = list[Message]

_AT_ONCE: Final = 100
"""Messages that are fetched by one look."""
_PAUSE: Final = 0.1
"""Seconds between attempts to be the one who works on a parking queue.

Here and below time is the event loop's, since it is not the application that waits for it to pass.
"""
_FEW: Final = 25
_MOMENT: Final = 0.005
_LOOKS: Final = 100
"""How many messages are given back at a time, and how often it is looked whether they are there."""
_EVERYTHING: Final = 1 << 62

_locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()
"""By event loop and queue: tasks of one process share a connection, and so its exclusive queues."""


class Parking:
    """The parked messages of one queue.

    Who looks at them has them in hand for a moment, and they go back to their places. So one at a time
    does it: others wait, in this process and elsewhere. A message is requeued at least once: a copy is
    confirmed before the parked one goes, and who dies in between leaves both.
    """

    def __init__(
        self,
        messaging: Messaging,
        queue: Queue | str,
        *,
        exchange: Exchange | str | None = None,
        patience: float = 10.0,
    ) -> None:
        """Work on what was parked of `queue`.

        Args:
            messaging: A pool, for example.
            queue: The queue that the messages came from; of a group, what `queue_name` returns.
            exchange: Where they are given back to instead, by the routing keys that they have:
                for a group with partitions, what `exchange_name` returns.
            patience: Seconds to wait for others that work on the same messages.
        """
        self.queue: str = name_of(queue)
        self._exchange = None if exchange is None else name_of(exchange)
        self._parked = parked_queue(self.queue).name
        self._messaging = messaging
        self._patience = patience

    async def count(self) -> int:
        """Return how many messages are parked, but for those that somebody has in hand.

        Raises:
            NotFoundError: There is no parking queue; so it is for the other functions.
        """
        info = await self._messaging.declare_queue(self._parked, passive=True)
        return info.message_count

    async def list(self, limit: int = 100) -> list[Parked]:
        """Return what is parked, what came first before the rest, and leave it there.

        Raises:
            ResourceLockedError: Somebody else works on it for longer than `patience`; so it is
                for the other functions.
        """
        if limit < 0:
            raise UsageError(f"limit is 0 or more, not {limit!r}")
        async with self._messages(limit) as messages:
            return [parked_of(message) async for message in messages]

    async def show(self, parked_id: str) -> Parked | None:
        """Return a message and leave it there; None when it is not there."""
        async with self._messages() as messages:
            async for message in messages:
                if id_of(message) == parked_id:
                    return parked_of(message)
        return None

    async def requeue(self, *parked_ids: str) -> int:
        """Give these messages back to their queue, as if they had never failed.

        They keep body, routing key and properties, and lose their expiration, if they had one.

        Returns:
            How many there were; who is not there any more does not count.

        Raises:
            NotFoundError: The queue does not exist.
            PublishError: A copy was not stored; what it was made of is still parked.
        """
        return await self._requeue(frozenset(parked_ids).__contains__, len(set(parked_ids)))

    async def requeue_all(self) -> int:
        """Give everything back that is parked now; see `requeue`."""
        return await self._requeue(_any, _EVERYTHING)

    async def drop(self, *parked_ids: str) -> int:
        """Delete these messages; return how many there were."""
        return await self._settle(frozenset(parked_ids).__contains__, len(set(parked_ids)))

    async def drop_all(self) -> int:
        """Delete everything that is parked now; return how much it was."""
        return await self._settle(_any, _EVERYTHING)

    # --- inside --------------------------------------------------------------------------------

    async def _requeue(self, is_wanted: Callable[[str], bool], most: int) -> int:
        if self._exchange is None:
            await self._messaging.declare_queue(self.queue, passive=True)
            way = topology_of(()) + Topology(bindings=(way_to(self.queue),))
            await way.declare(self._messaging)
        return await self._settle(is_wanted, most, requeues=True)

    async def _settle(
        self, is_wanted: Callable[[str], bool], most: int, *, requeues: bool = False
    ) -> int:
        count = 0
        async with self._messages() as messages:
            async for message in messages:
                if not is_wanted(id_of(message)):
                    continue
                if requeues:
                    await self._publish(message)
                message.ack()
                count += 1
                if count == most:
                    break
        return count

    async def _publish(self, message: Message) -> None:
        headers = forgiven(message.headers)
        headers.pop(names.QUEUE, None)
        if self._exchange is None:
            headers[names.DELAY_TO] = self.queue
        await self._messaging.publish(
            message.body,
            exchange=self._exchange or END,
            routing_key=message.routing_key,
            properties=copied(message, headers),
            mandatory=True,
        )

    @asynccontextmanager
    async def _messages(self, limit: int = _EVERYTHING) -> AsyncIterator[AsyncIterator[Message]]:
        """Take what is parked now, one after the other; what is not settled goes back in the end."""
        async with (
            self._alone(),
            self._messaging.channel(confirms=False, consuming=True) as channel,
        ):
            taken: _Messages = []
            try:
                yield self._taking(channel, taken, min(limit, await self.count()))
                await self._take_all_that_came_back(channel, taken)
                await self._return_in_order(taken)
            finally:
                for message in taken:
                    give_back(message)

    async def _taking(
        self, channel: Channel, taken: _Messages, limit: int
    ) -> AsyncIterator[Message]:
        while limit > 0:
            found = await self._next(channel, min(_AT_ONCE, limit))
            taken[:] = [each for each in taken if not each.settled]
            taken.extend(found)
            limit -= len(found)
            for message in found:
                yield message
            if not found:
                return

    async def _take_all_that_came_back(self, channel: Channel, taken: _Messages) -> None:
        """Take what earlier looks have given back, to the last one.

        What comes back to a quorum queue lines up before the rest, but behind what came back before.
        Whoever gives back a part of that would turn their order round.
        """
        while taken and taken[-1].redelivered:
            found = await self._next(channel, _AT_ONCE)
            if not found:
                return
            taken.extend(found)

    async def _return_in_order(self, taken: _Messages) -> None:
        """Give back what was not settled, a few at a time.

        Of more than 32 commands that have not been carried out, RabbitMQ puts those beyond together and
        turns them round (quorum queues, `quorum_commands_soft_limit`).
        """
        unsettled = [each for each in taken if not each.settled]
        while unsettled:
            some, unsettled = unsettled[:_FEW], unsettled[_FEW:]
            ready = await self.count() + len(some)
            for message in some:
                give_back(message)
            await self._until_ready(ready)

    async def _until_ready(self, count: int) -> None:
        for _ in range(_LOOKS):
            if await self.count() >= count:
                return
            await asyncio.sleep(_MOMENT)

    async def _next(self, channel: Channel, count: int) -> _Messages:
        gets = (channel.get(self._parked) for _ in range(count))
        return [each for each in await asyncio.gather(*gets) if each is not None]

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Be the only one who has messages in hand: an exclusive queue says so to other processes."""
        key = id(asyncio.get_running_loop()), self._parked
        lock = _locks.setdefault(key, asyncio.Lock())
        async with lock:
            name = f"{self._parked}.taken"
            await self._take(Queue(name, durable=False, exclusive=True))
            try:
                yield
            finally:
                await self._messaging.delete_queue(name)

    async def _take(self, sign: Queue) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while True:
            try:
                await self._messaging.declare_queue(sign)
            except ResourceLockedError:
                if loop.time() >= end:
                    raise
            else:
                return
            await asyncio.sleep(_PAUSE)


def _any(parked_id: str) -> bool:
    del parked_id
    return True
