"""What a session tells each channel that stands on it."""

from typing import Protocol

from hopmq.errors import ChannelClosed, ClosedError
from hopmq.wire import Returned


class ChannelListener(Protocol):
    """What a session tells a channel."""

    def channel_ended(self, error: ClosedError) -> None:
        """The channel or its connection is gone for good."""

    def channel_refused(self, error: ChannelClosed) -> None:
        """The broker has closed the channel."""

    def suspend(self, error: ClosedError) -> None:
        """The link is gone, and another will take its place."""

    def consumer_cancelled(self, consumer_tag: str) -> None:
        """The broker ended a consumer."""

    def message_returned(self, message: Returned) -> None:
        """A mandatory message came back."""

    def is_awaiting(self) -> bool:
        """Return whether somebody waits for what the broker will send here."""

    def resume_publishing(self) -> None:
        """What held publishes back may be over."""
