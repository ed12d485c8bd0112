"""Messages that have arrived and wait for a reader."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from hopmq.client.message import Message

_EACH: Final = 256
"""What a message takes beside its body and properties: without it, empty ones were no burden."""


class Reading(Protocol):
    """What a budget stops and resumes."""

    def pause_reading(self) -> None:
        """Read no more from the socket."""

    def resume_reading(self) -> None:
        """Read again."""

    def is_awaiting(self) -> bool:
        """Return whether an answer is due that stopping to read would hold back."""
        ...

    def expect_output(self) -> None:
        """Write what those who were just woken will have to send."""


class ReadingBudget:
    """Bound the bytes of messages that wait unread on one connection, with all they take here.

    Above `limit` the socket is not read, so that the broker and the network hold the rest. While
    an answer is awaited on the same connection (a confirm, a reply), stopping would wait for
    ourselves: then reading goes on up to `HARD_FACTOR` times the limit.
    """

    HARD_FACTOR = 8

    __slots__ = ("_reading", "limit", "paused", "unread")

    def __init__(self, limit: int, reading: Reading) -> None:
        """Start with nothing unread."""
        self.limit: int = limit
        self.unread: int = 0
        self.paused: bool = False
        self._reading = reading

    def add(self, message: Message) -> None:
        """Count a message that arrived."""
        self.unread += message.octets() + _EACH
        if self.unread > self.limit:
            self.overrun()

    def remove(self, message: Message) -> None:
        """Count a message that was taken."""
        self.unread -= message.octets() + _EACH
        if self.paused:
            self.eased()

    def overrun(self) -> None:
        """Stop reading, as more is unread than the limit."""
        if not self.paused:
            self._stop_if_allowed()

    def eased(self) -> None:
        """Read again once half of the limit is free."""
        if self.unread <= self.limit // 2:
            self.go_on()

    def awaiting(self) -> None:
        """Read on if stopped: somebody now waits for an answer."""
        if self.paused and self.unread <= self.limit * self.HARD_FACTOR:
            self.go_on()

    def go_on(self) -> None:
        """Read again."""
        self.paused = False
        self._reading.resume_reading()

    def reader_woken(self) -> None:
        """Take note that a reader was woken: it may settle what it reads."""
        self._reading.expect_output()

    def _stop_if_allowed(self) -> None:
        if self.unread <= self.limit * self.HARD_FACTOR and self._reading.is_awaiting():
            return
        self.paused = True
        self._reading.pause_reading()


class Inbox:
    """A queue of messages with any number of readers and an end.

    A cancelled `get` loses nothing: a message leaves the queue in the same step in which its
    reader gets it.
    """

    __slots__ = ("_budget", "_end", "_messages", "_readers", "on_first")

    def __init__(self, budget: ReadingBudget) -> None:
        """Count unread bytes on `budget`."""
        # An empty deque has room for 64: those who wait for nothing go without.
        self._messages: deque[Message] | None = None
        self._readers: deque[asyncio.Future[None]] | None = None
        self.on_first: Callable[[], None] | None = None
        self._budget = budget
        self._end: Callable[[], BaseException] | None = None

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._messages or ())

    @property
    def is_finished(self) -> bool:
        """Whether it is closed, and empty."""
        return self._end is not None and not self._messages

    def put(self, message: Message) -> None:
        """Add a message and wake one reader."""
        messages = self._messages
        if messages is None:
            messages = self._begin()
        messages.append(message)
        budget = self._budget
        budget.unread += message.octets() + _EACH
        if budget.unread > budget.limit:
            budget.overrun()
        if self._readers:
            self._wake_one()
            budget.reader_woken()

    async def get(self) -> Message:
        """Take the oldest message; wait for one if there is none.

        Raises:
            Whatever `close` was given, once the queue is empty.
        """
        while (message := self.take()) is None:
            if self._end is not None:
                raise self._end()
            await self._wait()
        return message

    def take(self) -> Message | None:
        """Take the oldest message, if there is one."""
        messages = self._messages
        if not messages:
            return None
        message = messages.popleft()
        budget = self._budget
        budget.unread -= message.octets() + _EACH
        if budget.paused:
            budget.eased()
        return message

    def close(self, end: Callable[[], BaseException]) -> None:
        """Let readers finish what is there, then raise `end()`."""
        if self._end is None:
            self._end = end
        while self._readers:
            self._wake_one()

    def take_all(self) -> list[Message]:
        """Empty the queue and return what nobody has read."""
        left = list(self._messages or ())
        if self._messages is not None:
            self._messages.clear()
        for message in left:
            self._budget.remove(message)
        return left

    def _begin(self) -> deque[Message]:
        """Make room for messages, and tell those who shall read them that there will be one."""
        messages: deque[Message] = deque()
        self._messages = messages
        if self.on_first is not None and self._end is None:
            self.on_first()
        return messages

    async def _wait(self) -> None:
        reader = asyncio.get_running_loop().create_future()
        if self._readers is None:
            self._readers = deque()
        self._readers.append(reader)
        try:
            await reader
        except asyncio.CancelledError:
            if reader.done() and not reader.cancelled() and self._messages:
                self._wake_one()
            raise
        finally:
            if not reader.done() or reader.cancelled():
                self._readers = deque(other for other in self._readers if other is not reader)

    def _wake_one(self) -> None:
        while self._readers:
            reader = self._readers.popleft()
            if not reader.done():
                reader.set_result(None)
                return
