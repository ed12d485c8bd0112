"""How many channels the broker lets a user have, over all connections of a pool."""

from collections.abc import Callable


class ChannelAllowance:
    """A limit that is learned when the broker refuses a channel for it.

    Attributes:
        limit: How many channels; None as long as none was refused.
    """

    def __init__(self) -> None:
        """Know of no limit."""
        self.limit: int | None = None
        self._counts: list[Callable[[], int]] = []

    def count(self, channels: Callable[[], int]) -> None:
        """Let what `channels` returns count towards the limit."""
        self._counts.append(channels)

    @property
    def used(self) -> int:
        """How many channels there are."""
        return sum(channels() for channels in self._counts)

    def has_room(self) -> bool:
        """Return whether another one may be opened."""
        return self.limit is None or self.used < self.limit
