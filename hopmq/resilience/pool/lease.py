"""A channel in somebody's hands, and whether it came back as it was lent."""

# ruff: noqa: SLF001  # what a borrower has done to a channel is nobody else's business

from dataclasses import dataclass

from hopmq.client.channel import Channel
from hopmq.resilience.pool.entries import ChannelSettings


@dataclass(slots=True, frozen=True, eq=False, kw_only=True)
class Lease:
    """A channel that is lent.

    Attributes:
        number, connection: Its own number and its connection's, within the pool.
        channel: What is lent.
        settings: What it was opened with.
    """

    number: int
    connection: int
    channel: Channel
    settings: ChannelSettings

    def is_unchanged(self) -> bool:
        """Return whether the next borrower would find the channel as it was opened."""
        channel = self.channel
        return (
            channel.is_open
            and not channel._consumers
            and not channel._core.consumers
            and not channel._core.deliveries.unsettled
            and not channel._core.replies
            and not channel._publishing.undecided()
            and not channel._publishing._has_transactions
            and channel._core.deliveries.uncommitted is None  # nor was one begun by hand
            and channel._prefetch == channel._prefetch_on_wire == self.settings.prefetch
        )

    def has_unsettled(self) -> bool:
        """Return whether messages of the channel are still at work."""
        return self.channel.is_open and bool(self.channel._core.deliveries.unsettled)
