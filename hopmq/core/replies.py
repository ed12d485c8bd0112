"""Requests that wait for their reply, in the order in which they were sent."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from pamqp.base import Frame
from pamqp.commands import Basic

from hopmq.errors import ClosedError
from hopmq.wire import Fetched

Reply: TypeAlias = Frame | Fetched


class Waiter(Protocol):
    """Whoever waits for a reply; an asyncio.Future is one."""

    def done(self) -> bool:
        """Return whether the waiter has its answer or has gone away."""

    # Any: futures of every reply type are waiters.
    def set_result(self, result: Any, /) -> None:
        """Hand over the reply."""

    def set_exception(self, error: BaseException, /) -> None:
        """Say that no reply will come."""


class _Nobody:
    """A waiter that never was: the reply is expected and dropped."""

    def done(self) -> bool:
        """Return True: nobody waits."""
        return True

    def set_result(self, result: Any, /) -> None:
        """Drop the reply."""

    def set_exception(self, error: BaseException, /) -> None:
        """Drop the error."""


NOBODY: Final = _Nobody()


@dataclass(slots=True, eq=False, repr=False)
class ReplySlot:
    """One request on the wire.

    Attributes:
        waiter: Who gets the reply.
        request: The index of the method that asked.
        replies: The types that answer the request.
        on_abandoned: Called with the reply when the waiter has gone away; undoes what the
            request did.
        before_reply: Called with the reply when it arrives, before anything that follows it is
            handled.
    """

    waiter: Waiter
    request: int
    replies: tuple[type, ...]
    on_abandoned: Callable[[Reply], None] | None = None
    before_reply: Callable[[Reply], None] | None = None


_OVERTAKEN: Final = frozenset({Basic.Consume.index, Basic.Cancel.index})
"""Requests that RabbitMQ has a queue answer: the channel may answer later ones before."""


class ReplyQueue:
    """Replies come in the order of their requests (AMQP 0-9-1, 2.2.2), but for `_OVERTAKEN`.

    A slot stays in its place until its reply comes, even when its waiter has been cancelled:
    the late reply is absorbed and never reaches the next request.
    """

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        """Start with nothing asked."""
        # An empty deque has room for 64: most channels wait for nothing most of the time.
        self._slots: deque[ReplySlot] | None = None

    def __len__(self) -> int:
        """Return how many requests are unanswered."""
        return len(self._slots or ())

    def expect(self, slot: ReplySlot) -> None:
        """Add the request just written."""
        if self._slots is None:
            self._slots = deque()
        self._slots.append(slot)

    def receive(self, reply: Reply) -> bool:
        """Hand a reply to the request that is due; False when it does not answer that one."""
        slot = self._due(reply)
        if slot is None:
            return False
        if slot.before_reply is not None:
            slot.before_reply(reply)
        if not slot.waiter.done():
            slot.waiter.set_result(reply)
        elif slot.on_abandoned is not None:
            slot.on_abandoned(reply)
        return True

    def _due(self, reply: Reply) -> ReplySlot | None:
        """Take the oldest slot, or the oldest that is not of a request which may be overtaken."""
        slots = self._slots
        if slots is None:
            return None
        for position, slot in enumerate(slots):
            if isinstance(reply, slot.replies):
                del slots[position]
                if not slots:
                    self._slots = None
                return slot
            if slot.request not in _OVERTAKEN:
                break
        return None

    def fail(self, error: ClosedError) -> None:
        """Tell every waiter that its reply will not come."""
        slots, self._slots = list(self._slots or ()), None
        closed_by = error.class_id << 16 | error.method_id
        blamed = bool(slots) and slots[0].request == closed_by
        for position, slot in enumerate(slots):
            if slot.waiter.done():
                continue
            copy = error.again()
            # The broker handles requests in order, and none after the one it closed us for.
            copy.unprocessed = blamed and position > 0
            slot.waiter.set_exception(copy)
