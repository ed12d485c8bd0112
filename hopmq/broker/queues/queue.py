"""What all kinds of queues have in common: a name, consumers, settings, and an end."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hopmq.broker.clock import Timer
from hopmq.broker.consumer import Consumer
from hopmq.broker.message import Entry
from hopmq.broker.queues.consumer_arguments import check_arguments
from hopmq.broker.queues.roster import Roster
from hopmq.broker.queues.settings import QueueSettings, queue_settings
from hopmq.broker.refusal import Refusal
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.peer import Peer
    from hopmq.broker.vhost import VirtualHost

EXPIRED: Final = "expired"
MAXLEN: Final = "maxlen"
REJECTED: Final = "rejected"
DELIVERY_LIMIT: Final = "delivery_limit"


class Comeback(Enum):
    """How a delivery that was not settled came back to its queue."""

    NACKED = "its consumer nacked it"
    REJECTED = "its consumer rejected it"
    RECOVERED = "its channel asked for everything again"
    ABANDONED = "its channel was closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a queue is made from: the attributes of `Queue` by these names, as they begin."""

    vhost: "VirtualHost"
    name: str
    durable: bool
    owner: "Peer | None"
    auto_delete: bool
    arguments: Mapping[str, Any]
    policy: Mapping[str, Any]


class Queue(ABC):
    """A queue as channels see it.

    Attributes:
        vhost: Where it lives.
        name: Its name.
        durable: Whether it outlives the broker's restart.
        owner: The connection that it is exclusive to; None when it is not exclusive.
        auto_delete: Whether it goes with its last consumer.
        arguments: Those it was declared with.
        policy: What the policy that matches it says.
        settings: Both together.
        roster: Its consumers.
        unsettled: Messages delivered and not settled.
        is_exchange: False; a destination of bindings asks.
    """

    kind: ClassVar[str]
    is_exchange: ClassVar[bool] = False

    def __init__(self, declaration: Declaration) -> None:
        """Start empty and without consumers."""
        self.vhost: VirtualHost = declaration.vhost
        self.name: str = declaration.name
        self.durable: bool = declaration.durable
        self.owner: Peer | None = declaration.owner
        self.auto_delete: bool = declaration.auto_delete
        self.arguments: Mapping[str, Any] = declaration.arguments
        self.policy: Mapping[str, Any] = declaration.policy
        self.settings: QueueSettings = self._read_settings()
        self.roster: Roster = self._new_roster()
        self.unsettled: int = 0
        self.is_deleted: bool = False
        self._had_consumers = False
        self._idle_timer: Timer | None = None
        self.touch()

    def __repr__(self) -> str:
        """Show kind, name and counts."""
        return f"<{type(self).__name__} {self.name!r} {self.ready} ready, {self.unsettled} out>"

    @property
    def label(self) -> str:
        """What it is called in the texts of refusals."""
        return f"queue '{self.name}' in vhost '{self.vhost.name}'"

    def _read_settings(self) -> QueueSettings:
        return queue_settings(self.arguments, self.policy, self.vhost.emulation)

    def _new_roster(self) -> Roster:
        return Roster(self.settings.single_active_consumer)

    # --- messages --------------------------------------------------------------------------

    @property
    @abstractmethod
    def ready(self) -> int:
        """How many messages wait for a consumer."""

    @property
    def delayed(self) -> int:
        """How many messages wait before they are delivered again."""
        return 0

    @property
    @abstractmethod
    def message_bytes(self) -> int:
        """Bytes of the bodies that wait for a consumer."""

    @property
    def arrivals(self) -> int:
        """How many messages it has taken since it was declared."""
        return 0

    @abstractmethod
    def publish(self, message: Published, *, past: Entry | None = None) -> bool:
        """Take a message; False when the queue refuses it.

        Args:
            message: What to take.
            past: Its place in a queue where it died, if this one is to know of it.
        """

    @abstractmethod
    def get(self) -> Entry | None:
        """Take the next message for basic.get; it is unsettled from now on."""

    @abstractmethod
    def properties_of(self, entry: Entry) -> bytes:
        """Return the property list that the consumer of `entry` is sent."""

    @abstractmethod
    def settle(self, entry: Entry) -> None:
        """Forget a message that was acknowledged, or needed no acknowledgement."""

    @abstractmethod
    def take_back(self, entries: Iterable[Entry], how: Comeback) -> None:
        """Put messages back that were not settled, oldest first."""

    @abstractmethod
    def check_recovery(self) -> None:
        """Refuse to deliver everything unsettled again, if that cannot be done."""

    @abstractmethod
    def discard(self, entry: Entry) -> None:
        """Drop a message that was refused, or send it where dead messages go."""

    @abstractmethod
    def purge(self) -> int:
        """Drop what is ready; return how many messages that were."""

    @abstractmethod
    def dispatch(self) -> None:
        """Send what is ready to those who have room for it."""

    @abstractmethod
    def entries(self) -> Iterable[Entry]:
        """Return what is ready, in order."""

    # --- consumers -------------------------------------------------------------------------

    def check_consumer(
        self,
        channel: "BrokerChannel",
        *,
        no_ack: bool,
        exclusive: bool,
        arguments: Mapping[str, Any],
    ) -> None:
        """Refuse a consumer that may not stand beside those there are (AMQP 0-9-1, 1.8.3.3).

        Args:
            channel: Where the consumer would be.
            no_ack: Whether it would acknowledge nothing.
            exclusive: Whether it wants to be alone.
            arguments: Those of its `basic.consume`.
        """
        del channel, no_ack
        check_arguments(self, arguments)
        taken = len(self.roster) or self.roster.single
        if any(each.exclusive for each in self.roster) or (exclusive and taken):
            raise Refusal(403, f"ACCESS_REFUSED - {self.label} in exclusive use")

    def add_consumer(self, consumer: Consumer) -> None:
        """Serve a consumer from now on."""
        self._had_consumers = True
        self.roster.add(consumer)
        self.touch()

    def remove_consumer(self, consumer: Consumer) -> None:
        """Serve a consumer no longer; the last one takes an auto-delete queue with it."""
        self.roster.remove(consumer)
        if self.is_deleted:
            return
        if self.auto_delete and self._had_consumers and not len(self.roster):
            self.vhost.delete_queue(self)
            return
        self.touch()
        self.dispatch()

    # --- life ------------------------------------------------------------------------------

    def apply_policy(self, policy: Mapping[str, Any]) -> None:
        """Go by another policy."""
        self.policy = policy
        self.settings = self._read_settings()
        self.touch()

    def touch(self) -> None:
        """Take note of use: an unused queue with x-expires has its whole time again."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self.settings.expires is not None and not len(self.roster) and not self.is_deleted:
            clock = self.vhost.clock
            self._idle_timer = clock.call_at(clock.time() + self.settings.expires, self._expire)

    def forget_consumers(self) -> None:
        """Be as if nobody had consumed yet: an auto-delete queue outlives a crash."""
        self._had_consumers = False

    def go_away(self, *, abrupt: bool) -> None:
        """Lose what does not outlive a restart; with `abrupt`, a crash."""
        self._had_consumers = False
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def check_deletion(self, *, if_unused: bool, if_empty: bool) -> None:
        """Refuse to be deleted in use, or with messages, if the client does not want that."""
        if if_empty and self.ready:
            raise Refusal(406, f"PRECONDITION_FAILED - {self.label} not empty")
        if if_unused and len(self.roster):
            raise Refusal(406, f"PRECONDITION_FAILED - {self.label} in use")

    def close(self) -> int:
        """Drop everything; the virtual host has let go of the queue.

        Returns:
            How many messages it had ready.
        """
        self.is_deleted = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        return self.ready

    def _expire(self) -> None:
        self._idle_timer = None
        if not self.is_deleted and not len(self.roster):
            self.vhost.delete_queue(self)
