"""The broker's answer to a request that it does not carry out: a close with code and text."""

from typing import Final

from hopmq.core.closing import shortened
from hopmq.errors import HopMQError

CODES_OF_CHANNEL: Final = frozenset({311, 312, 313, 403, 404, 405, 406})
"""Reply codes that cost a peer its channel and not its connection (AMQP 0-9-1, 1.2)."""


class Refusal(HopMQError):
    """A request is refused; its channel, or the whole connection, is closed.

    Attributes:
        code: AMQP reply code.
        text: What the peer is told, in RabbitMQ's form: `NOT_FOUND - no exchange 'x' in vhost '/'`.
        closes_connection: Whether the connection ends; with the codes of `CODES_OF_CHANNEL`,
            only the channel does.
    """

    def __init__(self, code: int, text: str) -> None:
        """Refuse with a reply code and a text, which is cut to the 255 bytes that travel."""
        self.code: int = code
        self.text: str = shortened(text)
        super().__init__(f"{code} {self.text}")
        self.closes_connection: bool = code not in CODES_OF_CHANNEL
