"""What a connection asks whoever keeps it alive beyond its link."""

from typing import TYPE_CHECKING, Protocol

from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.errors import ChannelClosed, ConnectionClosed, ConsumerCancelledError

if TYPE_CHECKING:
    from hopmq.client.channel import Channel
    from hopmq.client.consumer import Consumer


class TopologyRecord(Protocol):
    """Hears what a connection has declared, as the broker confirms it."""

    def current_name(self, queue: str) -> str:
        """Return what a queue is called now: the broker names some anew on each link."""

    def is_stream(self, queue: str) -> bool:
        """Return whether a queue was declared as a stream here."""

    def declared(self, entity: Queue | Exchange, name: str = "") -> None:
        """Take note of a queue or exchange; `name` is what the broker calls a queue."""

    def queue_doomed(self, queue: str, doomed: bool) -> None:
        """Take note that a queue is about to be deleted from here, or that this was refused."""

    def queue_deleted(self, queue: str) -> None:
        """Take note that it is not wanted any more, nor are its bindings."""

    def exchange_deleted(self, exchange: str) -> None:
        """Take note that it is not wanted any more, nor are its bindings."""

    def bound(self, binding: Binding) -> None:
        """Take note of a binding."""

    def unbound(self, binding: Binding) -> None:
        """Take note that a binding is not wanted any more."""

    def consumer_started(self, queue: str) -> None:
        """Take note of a consumer."""

    def consumer_ended(self, queue: str) -> None:
        """Take note that a consumer was cancelled here; the queue may go with its last one."""


class Keeper(Protocol):
    """Decides what outlives its link, and brings it back.

    What it keeps is suspended by the connection, never ended. Whatever it does, it does later
    and not within these calls.
    """

    @property
    def record(self) -> TopologyRecord:
        """What hears of everything that was declared."""

    def keep_connection(self, error: ConnectionClosed) -> bool:
        """Return whether the connection lives on after the end of its link."""

    def keep_channel(self, channel: "Channel", error: ChannelClosed) -> bool:
        """Return whether a channel that the broker closed lives on."""

    def keep_consumer(self, consumer: "Consumer", error: ConsumerCancelledError) -> bool:
        """Return whether a consumer that the broker cancelled lives on."""

    async def stop(self) -> None:
        """Bring nothing back any more."""


class NoRecord:
    """Remembers nothing."""

    def current_name(self, queue: str) -> str:
        """Return the name as it is."""
        return queue

    def is_stream(self, queue: str) -> bool:
        """Return False: nothing is known."""
        return False

    def declared(self, entity: Queue | Exchange, name: str = "") -> None:
        """Forget it."""

    def queue_doomed(self, queue: str, doomed: bool) -> None:
        """Forget it."""

    def queue_deleted(self, queue: str) -> None:
        """Forget it."""

    def exchange_deleted(self, exchange: str) -> None:
        """Forget it."""

    def bound(self, binding: Binding) -> None:
        """Forget it."""

    def unbound(self, binding: Binding) -> None:
        """Forget it."""

    def consumer_started(self, queue: str) -> None:
        """Forget it."""

    def consumer_ended(self, queue: str) -> None:
        """Forget it."""


class NoKeeper:
    """Everything ends with its link, its channel or its queue."""

    record: TopologyRecord = NoRecord()

    def keep_connection(self, error: ConnectionClosed) -> bool:
        """Return False."""
        return False

    def keep_channel(self, channel: "Channel", error: ChannelClosed) -> bool:
        """Return False."""
        return False

    def keep_consumer(self, consumer: "Consumer", error: ConsumerCancelledError) -> bool:
        """Return False."""
        return False

    async def stop(self) -> None:
        """Have nothing to stop."""
