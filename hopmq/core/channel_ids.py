"""Which channel numbers are free to be used."""

from hopmq.errors import NoChannelAvailableError


class ChannelIds:
    """Hand out channel numbers from 1 upwards; those given back come first."""

    __slots__ = ("_free", "_next")

    def __init__(self) -> None:
        """Start with none in use."""
        self._free: list[int] = []
        self._next = 1

    def take(self, channel_max: int) -> int:
        """Return a number that is not in use.

        Raises:
            NoChannelAvailableError: Every one up to `channel_max` is.
        """
        if self._free:
            return self._free.pop()
        if self._next > channel_max:
            raise NoChannelAvailableError(
                f"all {channel_max} channels of this connection are in use; "
                "close one, or raise channel_max here and on the broker"
            )
        self._next += 1
        return self._next - 1

    def give_back(self, channel_id: int) -> None:
        """Let a number be used again."""
        self._free.append(channel_id)
