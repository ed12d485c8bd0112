"""Which publishes stay apart from others, since the broker may close their channel for them."""

from typing import Final

from hopmq.typedefs import FieldTable
from hopmq.wire import Properties

_MAX_PROVEN: Final = 10_000
LARGE: Final = 16 * 1024 * 1024
"""Bytes of a body from which RabbitMQ refuses a message, unless it is told otherwise."""
_CHECKED_HEADERS: Final = frozenset({"CC", "BCC"})
"""RabbitMQ closes the channel (406) where these are not lists of routing keys."""


class Isolation:
    """Knows the exchanges that have taken a message.

    An exchange that does not exist, is internal or forbidden costs its publisher the channel, and
    whoever shares that channel the knowledge of what became of their messages. So the first
    messages to an exchange go by a channel of their own.
    """

    def __init__(self) -> None:
        """Know none but the default exchange."""
        self._proven: set[str] = {""}

    def is_risky(
        self,
        exchange: str,
        size: int,
        headers: FieldTable | None,
        properties: Properties | None,
    ) -> bool:
        """Return whether the broker might close the channel for a message."""
        if exchange not in self._proven or size > LARGE:
            return True
        if properties is not None:
            # Both are checked by the broker, and not by us.
            if properties.user_id is not None or properties.expiration is not None:
                return True
            headers = properties.headers
        return bool(headers) and not _CHECKED_HEADERS.isdisjoint(headers or ())

    def prove(self, exchange: str) -> None:
        """Take note that an exchange has taken a message."""
        if len(self._proven) > _MAX_PROVEN:
            self.forget()
        self._proven.add(exchange)

    def forget(self) -> None:
        """Trust no exchange any more: the broker has closed a channel."""
        self._proven = {""}
