"""For operators: what is parked, and back to work or away with it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

from hopmq.app import header_names as names
from hopmq.app.messaging import Messaging
from hopmq.app.retry.copies import copied, forgiven
from hopmq.app.retry.ladder import END, topology_of, way_to
from hopmq.app.retry.parked import Parked, id_of, parked_of, parked_queue
from hopmq.app.topology import Topology
from hopmq.client.channel import Channel
from hopmq.client.consumer import Consumer
from hopmq.client.message import Message
from hopmq.entities import Exchange, Queue, name_of
from hopmq.errors import HopMQError, ResourceLockedError, UsageError

_Messages: TypeAlias = list[Message]
_Looks: TypeAlias = list[_Messages]

_FIRST_LOOK: Final = 200
_LARGEST_LOOK: Final = 65_535
"""Messages that are taken at once: as many as are in hand already, up to the greatest prefetch."""
_QUIET: Final = 1.0
"""Seconds without a message after which it is asked whether there is another."""
_PAUSE: Final = 0.1
"""Seconds between attempts to be the one who works on a parking queue.

Here and elsewhere time is the event loop's, since it is not the application that waits for it to pass.
"""
_FEW: Final = 32
"""Messages that one command gives back, and commands that are under way.

Before 4.0 RabbitMQ keeps no more than 32 messages of a command in their order (the keys of a small map), and
of more than 32 commands that have not been carried out it puts those beyond together and turns them round
(quorum queues, `quorum_commands_soft_limit`).
"""
_MOMENT: Final = 0.005
_LOOKS: Final = 100
"""How often it is looked whether what was given back is there."""
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
                for a group with partitions, or of which every member gets all, what
                `exchange_name` returns.
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
        async with self._looks(limit) as looks:
            return [parked_of(message) async for look in looks for message in look]

    async def show(self, parked_id: str) -> Parked | None:
        """Return a message and leave it there; None when it is not there."""
        async with self._looks() as looks:
            async for look in looks:
                if named := _named(look, {parked_id}):
                    return parked_of(named[0])
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
        return await self._requeue(set(parked_ids))

    async def requeue_all(self) -> int:
        """Give everything back that is parked now; see `requeue`."""
        return await self._requeue(None)

    async def drop(self, *parked_ids: str) -> int:
        """Delete these messages; return how many there were."""
        wanted = set(parked_ids)
        count = 0
        async with self._looks() as looks:
            async for look in looks:
                named = _named(look, wanted)
                _ack(named)
                count += len(named)
                if not wanted:
                    break
        return count

    async def drop_all(self) -> int:
        """Delete everything that is parked now; return how much it was."""
        async with self._alone():
            return await self._messaging.purge(self._parked)

    # --- inside --------------------------------------------------------------------------------

    async def _requeue(self, wanted: set[str] | None) -> int:
        """Requeue what is called by one of these names, or everything."""
        if self._exchange is None:
            await self._messaging.declare_queue(self.queue, passive=True)
            way = topology_of(()) + Topology(bindings=(way_to(self.queue),))
            await way.declare(self._messaging)
        count = 0
        async with self._looks() as looks, self._messaging.channel() as way_back:
            async for look in looks:
                chosen = look if wanted is None else _named(look, wanted)
                await self._publish(way_back, chosen)
                count += len(chosen)
                if wanted is not None and not wanted:
                    break
        return count

    async def _publish(self, channel: Channel, messages: _Messages) -> None:
        """Publish copies, and acknowledge what they are copies of as far as they are stored."""
        copies = (self._publish_copy(channel, each) for each in messages)
        outcomes = await asyncio.gather(*copies, return_exceptions=True)
        errors = [each for each in outcomes if each is not None]
        _ack(each for each, error in zip(messages, outcomes, strict=True) if error is None)
        if errors:
            raise errors[0]

    async def _publish_copy(self, channel: Channel, message: Message) -> None:
        headers = forgiven(message.headers)
        headers.pop(names.QUEUE, None)
        if self._exchange is None:
            headers[names.DELAY_TO] = self.queue
        await channel.publish(
            message.body,
            exchange=self._exchange or END,
            routing_key=message.routing_key,
            properties=copied(message, headers),
            mandatory=True,
        )

    @asynccontextmanager
    async def _looks(self, limit: int = _EVERYTHING) -> AsyncIterator[AsyncIterator[_Messages]]:
        """Take what is parked now, some at a time; what is not settled goes back in the end."""
        async with (
            self._alone(),
            self._messaging.channel(confirms=False, consuming=True) as channel,
        ):
            taken: _Looks = []
            try:
                yield self._taking(channel, taken, min(limit, await self.count()))
            except Exception:
                with suppress(HopMQError):  # what went wrong before is told
                    await self._put_back(channel, taken)
                raise
            else:
                await self._put_back(channel, taken)
            finally:
                for portion in _portions(taken):
                    _give_back(portion)

    async def _taking(
        self, channel: Channel, taken: _Looks, limit: int
    ) -> AsyncIterator[_Messages]:
        while limit > 0:
            taken[:] = filter(None, map(_unsettled, taken))
            look = await _whole(self._look(channel, taken, limit))
            if not look:
                return
            limit -= len(look)
            yield look

    async def _put_back(self, channel: Channel, taken: _Looks) -> None:
        """Give back what was not settled to its place, and return when it is there."""
        await self._take_all_that_came_back(channel, taken)
        await self._return_in_order(taken)

    async def _take_all_that_came_back(self, channel: Channel, taken: _Looks) -> None:
        """Take what earlier looks have given back, to the last one.

        What comes back to a quorum queue lines up before the rest, but behind what came back before.
        Whoever gives back a part of that would turn their order round.
        """
        look = taken[-1] if taken else []
        while look and look[-1].redelivered:
            look = await _whole(self._look(channel, taken))

    async def _look(self, channel: Channel, taken: _Looks, limit: int = _LARGEST_LOOK) -> _Messages:
        """Take as many as are `taken` already, up to `limit`; fewer when there are no more."""
        look: _Messages = []
        count = max(_FIRST_LOOK, sum(map(len, taken)))
        count = min(count, limit, _LARGEST_LOOK, await self.count())
        if not count:
            return look
        taken.append(look)
        await channel.set_prefetch(count)
        async with channel.consume(self._parked) as consumer:
            while len(look) < count:
                message = await self._arriving(channel, consumer, count)
                if message is None:
                    break
                look.append(message)
        return look

    async def _arriving(self, channel: Channel, consumer: Consumer, count: int) -> Message | None:
        """Return the next message; None when others have taken those that were counted."""
        message = await _next(consumer, within=_QUIET)
        if message is None:
            # What a slow broker had for us is there once its queue, then its channel has answered.
            await self.count()
            await channel.set_prefetch(count)
            message = await _next(consumer, within=0)
        return message

    async def _return_in_order(self, taken: _Looks) -> None:
        """Give back what was not settled, as much at a time as keeps its order."""
        portions = _portions(taken)
        while portions:
            some, portions = portions[:_FEW], portions[_FEW:]
            ready = await self.count() + sum(map(len, some))
            for portion in some:
                _give_back(portion)
            await self._until_ready(ready)

    async def _until_ready(self, count: int) -> None:
        for _ in range(_LOOKS):
            if await self.count() >= count:
                return
            await asyncio.sleep(_MOMENT)

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


async def _whole(looking: Coroutine[Any, Any, _Messages]) -> _Messages:
    """Return what comes of a look; who is cancelled meanwhile waits for its end.

    What a look that was cut off has not read yet would go back before what it has.
    """
    look = asyncio.create_task(looking)
    try:
        return await asyncio.shield(look)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([look])
        finally:
            look.cancel()
        raise


async def _next(consumer: Consumer, *, within: float) -> Message | None:
    """Return the next message; None when there is none within so many seconds."""
    try:
        async with asyncio.timeout(within):
            return await anext(consumer)
    except TimeoutError:
        return None


def _named(messages: _Messages, wanted: set[str]) -> _Messages:
    """Return those that are called by one of these names, and strike the names out."""
    named: _Messages = []
    for message in messages:
        name = id_of(message)
        if name in wanted:
            wanted.remove(name)
            named.append(message)
    return named


def _unsettled(messages: _Messages) -> _Messages:
    return [each for each in messages if not each.settled]


def _ack(messages: Iterable[Message]) -> None:
    for message in messages:
        if not message.settled:
            message.ack()


def _portions(taken: _Looks) -> _Looks:
    """Divide what is not settled into what one command gives back: of one look, and a few."""
    return [
        look[start : start + _FEW]
        for look in map(_unsettled, taken)
        for start in range(0, len(look), _FEW)
    ]


def _give_back(portion: _Messages) -> None:
    """Give back a portion, after all before it."""
    portion[-1].nack(multiple=True)
