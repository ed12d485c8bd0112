"""Messages that have arrived and wait for a reader, and how much they are."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from hopmq.wire import active
from hopmq.wire.limits import UNREAD_OVERHEAD


class UnreadBytes:
    """What waits unread on one connection, with all that it takes here.

    Attributes:
        limit: Bytes above which too much is unread.
        unread: Bytes that are.
        paused: Whether its owner has stopped whatever brings messages.
    """

    __slots__ = ("limit", "paused", "unread")

    def __init__(self, limit: int) -> None:
        """Start with nothing unread."""
        self.limit: int = limit
        self.unread: int = 0
        self.paused: bool = False

    def overrun(self) -> None:
        """Hear of a message that came when more is unread than the limit, for the owner to use."""

    def eased(self) -> None:
        """Hear of a message that was taken while all is paused, for the owner to use."""


class Unread:
    """Messages of one reader, in the order in which they came.

    Attributes:
        on_first: Called once, before the first message is there.
        on_awaited: Called behind each message, as long as somebody waits for one.
    """

    __slots__ = ("_budget", "_messages", "on_awaited", "on_first")

    def __init__(self, budget: UnreadBytes) -> None:
        """Count on `budget`."""
        # An empty deque has room for 64: those who wait for nothing go without.
        self._messages: deque[Any] | None = None
        self._budget = budget
        self.on_first: Callable[[], None] | None = None
        self.on_awaited: Callable[[], None] | None = None

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._messages or ())

    def put(self, message: Any) -> None:
        """Add a message."""
        size = message.octets() + UNREAD_OVERHEAD
        messages = self._messages
        if messages is None:
            messages = self._messages = deque()
            if self.on_first is not None:
                self.on_first()
        messages.append(message)
        budget = self._budget
        budget.unread += size
        if budget.unread > budget.limit:
            budget.overrun()
        if self.on_awaited is not None:
            self.on_awaited()

    def take(self) -> Any:
        """Take the oldest message; None when there is none."""
        messages = self._messages
        if not messages:
            return None
        message = messages.popleft()
        budget = self._budget
        budget.unread -= message.octets() + UNREAD_OVERHEAD
        if budget.paused:
            budget.eased()
        return message

    def take_all(self) -> list[Any]:
        """Take every message, oldest first."""
        taken = []
        while (message := self.take()) is not None:
            taken.append(message)
        return taken


PURE: Final = (Unread, UnreadBytes)
"""The classes above, whichever are in use."""

if not TYPE_CHECKING and active.name == "cython":
    from hopmq._speedups.codec import Unread, UnreadBytes  # in place of those above
