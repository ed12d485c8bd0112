"""Classic queues: in memory, with limits of time and length, and priorities."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hopmq.broker.clock import Timer
from hopmq.broker.message import EXPIRATION, OVERHEAD, Entry, is_persistent, time_to_live
from hopmq.broker.queues.backlog import Backlog, FifoBacklog, PriorityBacklog
from hopmq.broker.queues.queue import EXPIRED, MAXLEN, REJECTED, Comeback, Declaration, Queue
from hopmq.broker.queues.settings import DROP_HEAD, REJECT_PUBLISH_DLX, QueueSettings
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.consumer import Consumer


_FAILURES: Final = frozenset({Comeback.REJECTED, Comeback.ABANDONED})
"""What counts as a failed delivery, where a nack does not."""


class ClassicQueue(Queue):
    """First in, first out; by priority where there are any."""

    kind: ClassVar[str] = "classic"
    tells_past_at_once: ClassVar[bool] = False
    """Whether what died after a delivery is marked even if a consumer waits for it (4.3)."""
    unsettled: int

    def __init__(self, declaration: Declaration) -> None:
        """Start empty and without consumers."""
        super().__init__(declaration)
        self._backlog: Backlog = self._new_backlog()
        self._memory = self.vhost.memory
        self._bytes = 0
        # Whether something here may expire: without, expiry costs nothing.
        self._expiring = False
        self._expiry_timer: Timer | None = None
        self._expiry_at = 0.0

    # --- what it holds ---------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """How many messages wait for a consumer."""
        return len(self._backlog)

    @property
    def message_bytes(self) -> int:
        """Bytes of the bodies that wait for a consumer."""
        return self._bytes

    @property
    def arrivals(self) -> int:
        """How many messages it has taken since it was declared."""
        return self._backlog.arrivals

    def entries(self) -> Iterable[Entry]:
        """Return what is ready, in order."""
        return iter(self._backlog)

    # --- coming ----------------------------------------------------------------------------

    def publish(self, message: Published, *, past: Entry | None = None) -> bool:
        """Take a message; False when the queue refuses it."""
        settings = self.settings
        expires_at = None
        if settings.message_ttl is not None or message.raw_properties[0] & EXPIRATION:
            expires_at = self._expiry_of(message)
        # RabbitMQ refuses even what a consumer waits for.
        if settings.is_bounded and settings.overflow != DROP_HEAD and self._is_full(message):
            if settings.overflow == REJECT_PUBLISH_DLX:
                self.vhost.dead_letter(self, Entry(message, 0, None), MAXLEN)
            return False
        backlog = self._backlog
        if not backlog:
            consumer = self.roster.next()
            if consumer is not None:
                self._memory.add(len(message.body) + OVERHEAD)
                entry = backlog.entry(message, expires_at)
                if past is not None:
                    entry.go_on_from(past)
                    entry.redelivered = self.tells_past_at_once
                self._hand_over(entry, consumer)
                return True
        self._memory.add(len(message.body) + OVERHEAD)
        if past is None:
            backlog.append(message, expires_at)
        else:
            entry = Entry(message, 0, expires_at)
            entry.go_on_from(past)
            backlog.append_entry(entry)
        self._bytes += len(message.body)
        if settings.is_bounded:
            self._drop_beyond_limits()
        if expires_at is not None:
            self._expiring = True
            self._drop_expired()
        return True

    # --- going -----------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Send what is ready to those who have room for it."""
        if self._expiring:
            self._drop_expired()
        backlog = self._backlog
        roster = self.roster
        while backlog:
            consumer = roster.next()
            if consumer is None:
                break
            entry = backlog.pop()
            self._bytes -= len(entry.message.body)
            self._hand_over(entry, consumer)
            if self._expiring:
                self._drop_expired()

    def get(self) -> Entry | None:
        """Take the next message for basic.get; it is unsettled from now on."""
        self.touch()
        if self._expiring:
            self._drop_expired()
        if not self._backlog:
            return None
        entry = self._backlog.pop()
        self._bytes -= len(entry.message.body)
        self.unsettled += 1
        if self._expiring:
            self._drop_expired()
        return entry

    def properties_of(self, entry: Entry) -> bytes:
        """Return the property list that the consumer of `entry` is sent."""
        return entry.message.raw_properties

    def _hand_over(self, entry: Entry, consumer: "Consumer") -> None:
        self.unsettled += 1
        consumer.deliver(entry, entry.message.raw_properties)
        if consumer.no_ack:
            self.settle(entry)

    # --- settling --------------------------------------------------------------------------

    def settle(self, entry: Entry) -> None:
        """Forget a message that was acknowledged, or needed no acknowledgement."""
        self.unsettled -= 1
        self._memory.release(len(entry.message.body) + OVERHEAD)

    def take_back(self, entries: Iterable[Entry], how: Comeback) -> None:
        """Put messages back, to be delivered again."""
        if self.is_deleted:
            for entry in entries:
                self.settle(entry)
            return
        counts = how in _FAILURES or self.vhost.emulation.nack_counts
        for entry in entries:
            self.unsettled -= 1
            entry.redelivered = True
            entry.acquired = max(entry.acquired, 0) + 1
            if counts:
                entry.deliveries = max(entry.deliveries, 0) + 1
            self._return(entry, how)
        self._see_to_returned()

    def _see_to_returned(self) -> None:
        """Go on after something has come back."""
        if self.settings.is_bounded:
            self._drop_beyond_limits()
        self.dispatch()

    def check_recovery(self) -> None:
        """Agree: everything unsettled can be delivered again."""

    def _return(self, entry: Entry, how: Comeback) -> None:
        """Put a message back into its old place."""
        del how  # wherever it comes from
        self._put_back(entry)

    def _put_back(self, entry: Entry) -> None:
        self._backlog.put_back(entry)
        self._bytes += len(entry.message.body)
        if entry.expires_at is not None:
            self._expiring = True

    def discard(self, entry: Entry) -> None:
        """Drop a message that was refused, or send it where dead messages go."""
        self.unsettled -= 1
        self._bury(entry, REJECTED)

    def _bury(self, entry: Entry, reason: str) -> None:
        """Let go of a message that died."""
        self._memory.release(entry.size + OVERHEAD)
        if not self.is_deleted:
            self.vhost.dead_letter(self, entry, reason)

    def purge(self) -> int:
        """Drop what is ready; return how many messages that were."""
        if self._expiring:
            self._drop_expired()
        count = len(self._backlog)
        self._memory.release(self._bytes + count * OVERHEAD)
        self._backlog.clear()
        self._bytes = 0
        return count

    def go_away(self, *, abrupt: bool) -> None:
        """Lose what is not persistent; a crash also leaves open what was delivered before it."""
        super().go_away(abrupt=abrupt)
        entries = [self._backlog.pop() for _ in range(len(self._backlog))]
        self._memory.release(self._bytes + len(entries) * OVERHEAD)
        self._bytes = 0
        for entry in entries:
            if self._outlives_restart(entry):
                entry.redelivered = entry.redelivered or abrupt
                self._restore(entry)

    def _outlives_restart(self, entry: Entry) -> bool:
        return is_persistent(entry.message)

    def _restore(self, entry: Entry) -> None:
        self._memory.add(entry.size + OVERHEAD)
        self._bytes += entry.size
        if entry.redelivered:
            self._backlog.put_back(entry)
        else:
            self._backlog.append(entry.message, entry.expires_at)

    def close(self) -> int:
        """Drop everything; the virtual host has let go of the queue."""
        count = super().close()
        self.purge()
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        return count

    # --- limits ----------------------------------------------------------------------------

    def apply_policy(self, policy: Mapping[str, Any]) -> None:
        """Go by another policy; its limits count at once."""
        super().apply_policy(policy)
        if self.settings.is_bounded:
            self._drop_beyond_limits()
        self.dispatch()

    def _is_full(self, message: Published) -> bool:
        settings = self.settings
        if settings.max_length is not None and len(self._backlog) >= settings.max_length:
            return True
        limit = settings.max_length_bytes
        return limit is not None and self._bytes + len(message.body) > limit

    def _drop_beyond_limits(self) -> None:
        settings = self.settings
        if settings.overflow != DROP_HEAD:
            return
        while self._backlog and self._is_over(settings):
            self._drop_head(MAXLEN)

    def _is_over(self, settings: QueueSettings) -> bool:
        if settings.max_length is not None and len(self._backlog) > settings.max_length:
            return True
        return settings.max_length_bytes is not None and self._bytes > settings.max_length_bytes

    def _expiry_of(self, message: Published) -> float | None:
        own, limit = time_to_live(message), self.settings.message_ttl
        times = [time for time in (own, limit) if time is not None]
        return self.vhost.clock.time() + min(times) if times else None

    def _drop_expired(self) -> None:
        """Drop what has expired at the head, and wake up when the next one there does."""
        now = self.vhost.clock.time()
        while isinstance(head := self._backlog.peek(), Entry) and head.expires_at is not None:
            if head.expires_at > now:
                self._wake_at(head.expires_at)
                break
            self._drop_head(EXPIRED)
        if head is None:
            self._expiring = False

    def _wake_at(self, when: float) -> None:
        timer = self._expiry_timer
        if timer is not None:
            if self._expiry_at <= when:
                return
            timer.cancel()
        self._expiry_at = when
        self._expiry_timer = self.vhost.clock.call_at(when, self._on_expiry)

    def _on_expiry(self) -> None:
        self._expiry_timer = None
        if not self.is_deleted:
            self._drop_expired()

    def _drop_head(self, reason: str) -> None:
        entry = self._backlog.pop()
        self._bytes -= entry.size
        self._bury(entry, reason)

    def _new_backlog(self) -> Backlog:
        highest = self.settings.max_priority
        return PriorityBacklog(highest) if highest else FifoBacklog()
