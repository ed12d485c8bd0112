"""Quorum queues: classic ones that count deliveries, and give up on what fails too often."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hopmq.broker.clock import Timer
from hopmq.broker.message import OVERHEAD, Entry
from hopmq.broker.property_list import Field, number, with_added
from hopmq.broker.queues.backlog import Backlog
from hopmq.broker.queues.classic import ClassicQueue
from hopmq.broker.queues.consumer_arguments import check_arguments
from hopmq.broker.queues.queue import DELIVERY_LIMIT, EXPIRED, Comeback, Declaration
from hopmq.broker.queues.quorum_backlog import QuorumBacklog
from hopmq.broker.queues.roster import Roster
from hopmq.broker.queues.settings import (
    DROP_HEAD,
    REJECT_PUBLISH,
    REJECT_PUBLISH_DLX,
    QueueSettings,
)
from hopmq.broker.refusal import Refusal
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.consumer import Consumer

_REBURY_INTERVAL: Final = 180.0
"""Seconds between attempts to dead-letter at least once (RabbitMQ, settle timeout)."""

_DELAYED_AFTER: Final[Mapping[Comeback, frozenset[str]]] = {
    Comeback.NACKED: frozenset({"all", "returned"}),
    Comeback.RECOVERED: frozenset({"all", "returned"}),
    Comeback.REJECTED: frozenset({"all", "failed"}),
    Comeback.ABANDONED: frozenset({"all", "failed"}),
}
"""Values of x-delayed-retry-type with which a message waits before it is delivered again."""


class QuorumQueue(ClassicQueue):
    """First in, first out; what comes back is next, until it has come back too often."""

    kind: ClassVar[str] = "quorum"
    unsettled: int
    tells_past_at_once: ClassVar[bool] = True

    def __init__(self, declaration: Declaration) -> None:
        """Start empty and without consumers."""
        super().__init__(declaration)
        self._delayed: dict[Entry, Timer] = {}
        self._unburied: deque[tuple[Entry, str]] = deque()
        self._rebury_timer: Timer | None = None

    @property
    def delayed(self) -> int:
        """How many messages wait before they are delivered again."""
        return len(self._delayed)

    def check_deletion(self, *, if_unused: bool, if_empty: bool) -> None:
        """Refuse conditions, which quorum queues do not know (540)."""
        for flag, name in ((if_unused, "if-unused"), (if_empty, "if-empty")):
            if flag:
                raise Refusal(
                    540,
                    f"NOT_IMPLEMENTED - cannot delete {self.label}. queue.delete operations with "
                    f"{name} flag set are not supported by quorum queues",
                )

    # --- consumers -------------------------------------------------------------------------

    def check_consumer(
        self,
        channel: "BrokerChannel",
        *,
        no_ack: bool,
        exclusive: bool,
        arguments: Mapping[str, Any],
    ) -> None:
        """Refuse a consumer on a channel with a limit of its own; exclusive means nothing here."""
        del no_ack, exclusive
        check_arguments(self, arguments)
        if channel.prefetch:
            raise Refusal(540, f"NOT_IMPLEMENTED - {self.label} does not support global qos")

    def get(self) -> Entry | None:
        """Take the next message for basic.get; it is unsettled from now on."""
        if self.roster.single:
            kind = '<<"quorum">>' if self.vhost.emulation.delayed_retry else "quorum"
            raise Refusal(
                405,
                f"RESOURCE_LOCKED - cannot obtain access to locked {self.label}. basic.get "
                f"operations are not supported by {kind} queues with single active consumer",
            )
        return super().get()

    # --- deliveries ------------------------------------------------------------------------

    def properties_of(self, entry: Entry) -> bytes:
        """Return the property list that the consumer of `entry` is sent."""
        if not self.vhost.emulation.message_containers and not entry.deliveries:
            # A get shows a count of zero, a delivery does not (RabbitMQ before 4.0).
            return with_added(entry.message.raw_properties, {"x-delivery-count": number(0)})
        return self._counted(entry)

    def _counted(self, entry: Entry) -> bytes:
        raw = entry.message.raw_properties
        if not entry.redelivered:
            return raw
        counts: dict[str, Field] = {}
        if entry.deliveries:
            counts["x-delivery-count"] = number(abs(entry.deliveries))
        if entry.acquired and not self.vhost.emulation.nack_counts:
            counts["x-acquired-count"] = number(abs(entry.acquired))
        return with_added(raw, counts)

    def _hand_over(self, entry: Entry, consumer: "Consumer") -> None:
        self.unsettled += 1
        consumer.deliver(entry, self._counted(entry))
        if consumer.no_ack:
            self.settle(entry)

    # --- coming back -----------------------------------------------------------------------

    def _return(self, entry: Entry, how: Comeback) -> None:
        """Put a message before all others; or have it wait, or die."""
        limit = self.settings.delivery_limit
        if limit is not None and entry.deliveries > limit:
            self._bury(entry, DELIVERY_LIMIT)
            return
        delay = self._delay_of(entry, how)
        if delay > 0:
            clock = self.vhost.clock
            timer = clock.call_at(clock.time() + delay, lambda: self._end_delay(entry))
            self._delayed[entry] = timer
            return
        if limit is None and how is not Comeback.ABANDONED and self._returns_to_tail:
            self._append_again(entry)
        else:
            self._put_back(entry)

    @property
    def _returns_to_tail(self) -> bool:
        """Whether what comes back has to queue up, as without a delivery limit before 4.0."""
        return not self.vhost.emulation.message_containers

    def _append_again(self, entry: Entry) -> None:
        self._backlog.append_entry(entry)
        self._bytes += entry.size
        self._expiring = self._expiring or entry.expires_at is not None

    def _delay_of(self, entry: Entry, how: Comeback) -> float:
        """Return the seconds that a message waits: longer with every failure, up to a maximum."""
        settings = self.settings
        shortest = settings.delayed_retry_min
        if shortest is None or not self.vhost.emulation.delayed_retry:
            return 0.0
        if settings.delayed_retry not in _DELAYED_AFTER[how]:
            return 0.0
        longest = settings.delayed_retry_max
        return min(shortest * max(1, entry.deliveries), shortest if longest is None else longest)

    def _end_delay(self, entry: Entry) -> None:
        del self._delayed[entry]
        self._put_back(entry)
        self._see_to_returned()

    def _see_to_returned(self) -> None:
        """Go on after something has come back: a consumer gets it before the limits do."""
        self.dispatch()
        if self.settings.is_bounded:
            self._drop_beyond_limits()

    def _drop_expired(self) -> None:
        """Drop what has expired, at one head or at several; wake up when the next one there does."""
        backlog = self._backlog
        if not self.vhost.emulation.levels_expire or not isinstance(backlog, QuorumBacklog):
            super()._drop_expired()
            return
        now = self.vhost.clock.time()
        while (entry := backlog.pop_expired(now)) is not None:
            self._bytes -= entry.size
            self._bury(entry, EXPIRED)
        soonest = backlog.soonest_expiry()
        if soonest is not None:
            self._wake_at(soonest)
        self._expiring = bool(backlog)

    # --- dying -----------------------------------------------------------------------------

    def _bury(self, entry: Entry, reason: str) -> None:
        """Let go of a message that died; at least once means that somebody else has it first."""
        if not self._buries_safely or self.is_deleted:
            super()._bury(entry, reason)
            return

        def then(arrived: bool) -> None:
            if arrived or self.is_deleted:
                self._memory.release(entry.size + OVERHEAD)
            else:
                self._unburied.append((entry, reason))
                self._rebury_later()

        self.vhost.dead_letter(self, entry, reason, then)

    @property
    def _buries_safely(self) -> bool:
        settings = self.settings
        return (
            settings.at_least_once
            and settings.overflow == REJECT_PUBLISH
            and settings.dead_letter_exchange is not None
        )

    def _rebury_later(self) -> None:
        if self._rebury_timer is None:
            clock = self.vhost.clock
            self._rebury_timer = clock.call_at(clock.time() + _REBURY_INTERVAL, self._rebury)

    def _rebury(self) -> None:
        self._rebury_timer = None
        waiting, self._unburied = self._unburied, deque()
        for entry, reason in waiting:
            self._bury(entry, reason)

    # --- ending ----------------------------------------------------------------------------

    def purge(self) -> int:
        """Drop what is ready, and what waits to be; return how many messages that were."""
        delayed, self._delayed = self._delayed, {}
        for entry, timer in delayed.items():
            timer.cancel()
            self._memory.release(entry.size + OVERHEAD)
        return super().purge() + len(delayed)

    def go_away(self, *, abrupt: bool) -> None:
        """Keep every message: a log that is replicated has them all, whatever happened."""
        del abrupt
        super().go_away(abrupt=False)

    def _outlives_restart(self, entry: Entry) -> bool:
        del entry
        return True

    def close(self) -> int:
        """Drop everything; the virtual host has let go of the queue."""
        count = super().close()
        if self._rebury_timer is not None:
            self._rebury_timer.cancel()
        for entry, _ in self._unburied:
            self._memory.release(entry.size + OVERHEAD)
        self._unburied.clear()
        return count

    # --- limits ----------------------------------------------------------------------------

    def _new_roster(self) -> Roster:
        emulation = self.vhost.emulation
        return Roster(
            self.settings.single_active_consumer,
            by_priority=emulation.message_containers,
            rising=emulation.rising_consumers,
        )

    def _read_settings(self) -> QueueSettings:
        settings = super()._read_settings()
        if settings.overflow == REJECT_PUBLISH_DLX:
            return replace(settings, overflow=DROP_HEAD)
        return settings

    def _is_full(self, message: Published) -> bool:
        """Return whether it refuses a message: it takes one more than it may hold."""
        del message
        return self._is_over(self.settings)

    def _is_over(self, settings: QueueSettings) -> bool:
        if settings.max_length is not None and len(self._backlog) > settings.max_length:
            return True
        if settings.max_length_bytes is None:
            return False
        size = self._bytes
        if self.vhost.emulation.property_bytes and isinstance(self._backlog, QuorumBacklog):
            size += self._backlog.property_bytes
        return size > settings.max_length_bytes

    def _new_backlog(self) -> Backlog:
        emulation = self.vhost.emulation
        return QuorumBacklog(emulation.quorum_priorities, strict=emulation.strict_priorities)
