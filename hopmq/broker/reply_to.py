"""Direct reply-to: replies that reach a waiting channel without a queue.

RabbitMQ, Direct Reply-to. An address ends in a random key, so that nobody who was not given one
can send to it; and its prefix is reserved, so that no queue can take its place.
"""

import base64
import re
import secrets
from typing import TYPE_CHECKING, Final

from hopmq.broker.message import Entry
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel

PSEUDO_QUEUE: Final = "amq.rabbitmq.reply-to"
PREFIX: Final = f"{PSEUDO_QUEUE}."
_FORM: Final = re.compile(rf"{re.escape(PREFIX)}[\w+/=]+\.[\w+/=]+")


class ReplyAddress:
    """A consumer of the pseudo-queue: where the replies to one channel go.

    Attributes:
        name: The routing key that reaches it.
        channel: Whose it is.
        tag: The consumer's tag.
        is_exchange: False: it is reached as a queue is.
    """

    __slots__ = ("channel", "name", "tag")
    is_exchange = False

    def __init__(self, channel: "BrokerChannel", tag: str) -> None:
        """Have a name that cannot be guessed."""
        self.name: str = f"{PREFIX}{_random()}.{_random()}"
        self.channel: BrokerChannel = channel
        self.tag: str = tag

    def publish(self, message: Published, *, past: Entry | None = None) -> bool:
        """Send a reply on."""
        del past  # a channel has no memory of what came
        self.channel.deliver_reply(self.tag, Entry(message, 0, None))
        return True


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(18)).decode()


class Nobody:
    """Takes a reply to whom is no longer there, and loses it."""

    name: str = PSEUDO_QUEUE
    is_exchange = False

    def publish(self, message: Published, *, past: Entry | None = None) -> bool:
        """Lose a reply."""
        del message, past
        return True


NOBODY: Final = Nobody()


def has_form(name: str) -> bool:
    """Return whether a name could be that of an address."""
    return _FORM.fullmatch(name) is not None


class ReplyAddresses:
    """Every reply address of a broker, by name."""

    def __init__(self) -> None:
        """Start without any."""
        self._addresses: dict[str, ReplyAddress] = {}

    def add(self, channel: "BrokerChannel", tag: str) -> ReplyAddress:
        """Make an address for a channel."""
        address = ReplyAddress(channel, tag)
        self._addresses[address.name] = address
        return address

    def remove(self, address: ReplyAddress) -> None:
        """Forget an address."""
        self._addresses.pop(address.name, None)

    def find(self, name: str) -> ReplyAddress | None:
        """Return the address of that name."""
        return self._addresses.get(name)
