"""Order by key within one process: messages of a key one by one, keys beside each other."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TypeAlias

from hopmq.app.crew import Crew, give_back, log_and_give_back
from hopmq.app.errors import DeclarationError
from hopmq.client.handlers import is_coroutine_function
from hopmq.client.message import Message

logger: logging.Logger = logging.getLogger("hopmq.app")

Key: TypeAlias = Callable[[Message], Hashable]
OrderBy: TypeAlias = str | Key
"""`"routing_key"`, `"header:NAME"`, or a function of the message."""


def key_of(order_by: OrderBy) -> Key:
    """Return the function that says which messages keep their order among each other.

    Messages without the header have a key in common, None.

    Raises:
        DeclarationError: `order_by` names nothing that is known.
    """
    if callable(order_by):
        if is_coroutine_function(order_by):
            raise DeclarationError("order_by is a plain function of the message, and not async")
        return order_by
    if order_by == "routing_key":
        return _routing_key
    where, _, header = str(order_by).partition(":")
    if where != "header" or not header:
        raise DeclarationError(
            f"order_by is 'routing_key', 'header:NAME' or a function of the message, "
            f"not {order_by!r}"
        )
    return partial(_header, header)


def _routing_key(message: Message) -> Hashable:
    return message.routing_key


def _header(name: str, message: Message) -> Hashable:
    value = message.headers.get(name)
    return repr(value) if isinstance(value, dict | list) else value


class Lanes:
    """A plain handler for `consume`: gives messages to work, in order of arrival for each key.

    Never two of a key at once; messages of different keys beside each other, up to `concurrency`.
    Keys take turns. What waits is bounded by the consumer's prefetch. A message whose link is lost
    before its turn has come is passed over: the broker delivers it again.
    """

    def __init__(
        self,
        work: Callable[[Message], Awaitable[None]],
        key: Key,
        concurrency: int,
        *,
        name: str = "hopmq lane",
    ) -> None:
        """Have `work` done on each message.

        Args:
            work: Called with each message, and settles it. It should not raise: what it has not
                settled then goes back to the queue, behind others of its key.
            key: Which messages keep their order. Those for which it raises, or returns what has
                no hash, share the key None.
            concurrency: How many messages are worked on at once.
            name: What the tasks are called.
        """
        if concurrency < 1:
            raise DeclarationError("concurrency is at least 1")
        self._key = key
        self._work = work
        self._waiting: dict[Hashable, deque[Message]] = {}
        self._ready: deque[Hashable] = deque()
        self._is_ending = False
        self._crew: Crew[tuple[Hashable, Message]] = Crew(
            self._take, self._do, self._failed, concurrency, name
        )

    def __call__(self, message: Message) -> None:
        """Take a message that has arrived."""
        if self._is_ending:
            give_back((message,))
            return
        key = self._key_of(message)
        lane = self._waiting.get(key)
        if lane is not None:
            lane.append(message)
            return
        self._waiting[key] = deque((message,))
        self._ready.append(key)
        self._crew.wake()

    async def join(self) -> None:
        """Finish what is being worked on, and return the rest to the queue. Idempotent."""
        self._end()
        await self._crew.join()

    def cancel(self) -> None:
        """Cut off what is being worked on, and return the rest to the queue."""
        self._end()
        self._crew.cancel()

    # --- inside ------------------------------------------------------------------------------

    def _end(self) -> None:
        self._is_ending = True
        self._ready.clear()
        for lane in self._waiting.values():
            give_back(lane)
            lane.clear()

    def _key_of(self, message: Message) -> Hashable:
        try:
            key = self._key(message)
            hash(key)
        except Exception:  # the function is the user's
            logger.exception("order_by failed on delivery %s", message.delivery_tag)
            return None
        return key

    def _take(self) -> tuple[Hashable, Message] | None:
        """Take the next message of the key that has waited for longest; its lane stays closed."""
        while self._ready:
            key = self._ready.popleft()
            lane = self._waiting[key]
            while lane:
                message = lane.popleft()
                if not message.settled:
                    return key, message
            del self._waiting[key]
        return None

    async def _do(self, job: tuple[Hashable, Message]) -> None:
        key, message = job
        try:
            await self._work(message)
        finally:
            self._open(key)

    def _open(self, key: Hashable) -> None:
        """Let the next of this key have its turn."""
        if self._waiting[key]:
            self._ready.append(key)
        else:
            del self._waiting[key]

    def _failed(self, job: tuple[Hashable, Message], error: BaseException) -> None:
        log_and_give_back(job[1:], error)
