"""Messages that have arrived and wait for a reader."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from hopmq.client.message import Message
from hopmq.core.unread import Unread, UnreadBytes
from hopmq.wire.limits import UNREAD_OVERHEAD


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


class ReadingBudget(UnreadBytes):
    """Bound the bytes of messages that wait unread on one connection, with all they take here.

    Above `limit` the socket is not read, so that the broker and the network hold the rest. While
    an answer is awaited on the same connection (a confirm, a reply), stopping would wait for
    ourselves: then reading goes on up to `HARD_FACTOR` times the limit.
    """

    HARD_FACTOR = 8

    __slots__ = ("_reading",)

    unread: int
    paused: bool

    def __init__(self, limit: int, reading: Reading) -> None:
        """Start with nothing unread."""
        super().__init__(limit)
        self._reading = reading

    def add(self, message: Message) -> None:
        """Count a message that arrived."""
        self.unread += message.octets() + UNREAD_OVERHEAD
        if self.unread > self.limit:
            self.overrun()

    def remove(self, message: Message) -> None:
        """Count a message that was taken."""
        self.unread -= message.octets() + UNREAD_OVERHEAD
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


class Inbox(Unread):
    """A queue of messages with any number of readers and an end.

    A cancelled `get` loses nothing: a message leaves the queue in the same step in which its
    reader gets it.
    """

    __slots__ = ("_end", "_readers", "_reading")

    on_first: Callable[[], None] | None
    on_awaited: Callable[[], None] | None

    def __init__(self, budget: ReadingBudget) -> None:
        """Count unread bytes on `budget`."""
        super().__init__(budget)
        self._reading = budget
        self._readers: deque[asyncio.Future[None]] | None = None
        self._end: Callable[[], BaseException] | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it is closed, and empty."""
        return self._end is not None and not self

    async def get(self) -> Message:
        """Take the oldest message; wait for one if there is none.

        Raises:
            Whatever `close` was given, once the queue is empty.
        """
        while True:
            message: Message | None = self.take()
            if message is not None:
                return message
            if self._end is not None:
                raise self._end()
            await self._wait()

    def close(self, end: Callable[[], BaseException]) -> None:
        """Let readers finish what is there, then raise `end()`."""
        if self._end is None:
            self._end = end
            self.on_first = None
        while self._readers:
            self._wake_one()

    async def _wait(self) -> None:
        reader = asyncio.get_running_loop().create_future()
        if self._readers is None:
            self._readers = deque()
        self._readers.append(reader)
        self.on_awaited = self._wake_for_message
        try:
            await reader
        except asyncio.CancelledError:
            if reader.done() and not reader.cancelled() and self:
                self._wake_one()
            raise
        finally:
            if not reader.done() or reader.cancelled():
                self._readers = deque(other for other in self._readers if other is not reader)
            if not self._readers:
                self.on_awaited = None

    def _wake_for_message(self) -> None:
        self._wake_one()
        self._reading.reader_woken()

    def _wake_one(self) -> None:
        readers = self._readers
        while readers:
            reader = readers.popleft()
            if not reader.done():
                reader.set_result(None)
                break
        if not readers:
            self.on_awaited = None
