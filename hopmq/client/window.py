"""How much of a channel may be unconfirmed at once."""

from dataclasses import dataclass

from hopmq.errors import UsageError
from hopmq.typedefs import Body


@dataclass(slots=True, frozen=True, kw_only=True)
class Window:
    """Bounds on the unconfirmed messages of a channel.

    Attributes:
        messages: How many may be unconfirmed at once.
        size: Bytes of bodies that may be unconfirmed at once; a single message always fits.
    """

    messages: int = 1000
    size: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse bounds that nothing could pass."""
        if self.messages < 1 or self.size < 1:
            raise UsageError("a window holds at least one message and one byte")


def size_of(body: Body) -> int:
    """Return how many bytes of the window a body takes."""
    if isinstance(body, memoryview):
        return body.nbytes
    try:
        return len(body)
    except TypeError:
        return 0  # the encoder will refuse it with a better message
