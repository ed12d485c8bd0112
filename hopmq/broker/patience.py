"""The delivery acknowledgement timeout: how long a channel may leave deliveries unsettled.

No time is kept per delivery. Every now and then the channel notes which delivery tag it has come
to; what was sent before such a note is at least as old as the note.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hopmq.broker.clock import Timer
from hopmq.broker.consumer import Consumer
from hopmq.broker.message import Entry
from hopmq.broker.queues.queue import Comeback, Queue
from hopmq.broker.queues.settings import seconds_of
from hopmq.broker.refusal import Refusal

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel

_NOTES: Final = 60
"""Notes per timeout: one that has passed is noticed at most a sixtieth of it later."""

_SHORTEST_INTERVAL: Final = 0.01
_ARGUMENT: Final = "x-consumer-timeout"


class Lapsed:
    """Stands for the queue of a delivery that has been taken away: to settle it means nothing."""

    ready: Final = 0

    def settle(self, entry: Entry) -> None:
        """Do nothing."""

    def discard(self, entry: Entry) -> None:
        """Do nothing."""

    def take_back(self, entries: Iterable[Entry], how: Comeback) -> None:
        """Do nothing."""

    def check_recovery(self) -> None:
        """Do nothing."""

    def dispatch(self) -> None:
        """Do nothing."""


LAPSED: Final = Lapsed()


class Patience:
    """The timeout of one channel. It runs while something is or may become unsettled."""

    __slots__ = ("_channel", "_shortest", "_tags", "_timer", "_times")

    def __init__(self, channel: "BrokerChannel") -> None:
        """Not run."""
        self._channel = channel
        # The notes: when, and the delivery tag used last by then. Both only grow.
        self._times: list[float] = []
        self._tags: list[int] = []
        self._timer: Timer | None = None
        self._shortest = 0.0  # timeout of those that there may be

    def start(self, queue: Queue, consumer: Consumer | None) -> None:
        """Run from now on, if deliveries of `queue` to `consumer` can time out."""
        timeout = self._timeout(queue, consumer)
        if timeout is None:
            return
        if self._timer is not None:
            if timeout >= self._shortest:
                return
            self._timer.cancel()
        self._shortest = timeout
        self._take_note()
        self._wait()

    def stop(self) -> None:
        """Run no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- notes -----------------------------------------------------------------------------

    def _take_note(self) -> None:
        tag = self._channel.last_tag
        if not self._tags or self._tags[-1] != tag:
            self._times.append(self._channel.vhost.clock.time())
            self._tags.append(tag)

    def _forget_notes(self) -> None:
        """Keep one note from before the oldest delivery that is unsettled."""
        oldest = next(iter(self._channel.unsettled), self._channel.last_tag + 1)
        count = bisect_right(self._tags, oldest - 1) - 1
        if count > 0:
            del self._tags[:count], self._times[:count]

    def _tag_at(self, time: float) -> int:
        """Return the delivery tag that was used last at `time`, or some earlier one."""
        position = bisect_right(self._times, time)
        return self._tags[position - 1] if position else 0

    # --- time ------------------------------------------------------------------------------

    def _wait(self) -> None:
        clock = self._channel.vhost.clock
        interval = max(self._shortest / _NOTES, _SHORTEST_INTERVAL)
        self._timer = clock.call_at(clock.time() + interval, self._look)

    def _look(self) -> None:
        self._timer = None
        self._take_note()
        self._forget_notes()
        self._end_lapsed()
        if self._is_needed:
            self._wait()

    @property
    def _is_needed(self) -> bool:
        channel = self._channel
        if channel.peer.channels.get(channel.number) is not channel:
            return False
        consumers = channel.consumers.values()
        return bool(channel.unsettled) or any(not consumer.no_ack for consumer in consumers)

    def _timeout(self, queue: Queue | Lapsed, consumer: Consumer | None) -> float | None:
        """Return the seconds that a delivery of a queue to a consumer may stay unsettled."""
        if not isinstance(queue, Queue):
            return None
        if queue.vhost.emulation.timeout_cancels:
            if queue.kind != "quorum":
                return None
            if consumer is not None:
                own = seconds_of(consumer.arguments.get(_ARGUMENT))
                if own is not None:
                    return own
        own = queue.settings.consumer_timeout
        return self._channel.peer.consumer_timeout if own is None else own

    # --- the end of patience ---------------------------------------------------------------

    def _end_lapsed(self) -> None:
        channel = self._channel
        now = channel.vhost.clock.time()
        lapsed: dict[Consumer, list[int]] = {}
        newest = self._tag_at(now - self._shortest)
        for tag, (_, queue, consumer) in channel.unsettled.items():
            if tag > newest:
                break
            timeout = self._timeout(queue, consumer)
            if timeout is None or tag > self._tag_at(now - timeout):
                continue
            if consumer is None or not channel.vhost.emulation.timeout_cancels:
                self._close(timeout)
                return
            lapsed.setdefault(consumer, []).append(tag)
        for consumer, tags in lapsed.items():
            channel.lapse(consumer, tags)

    def _close(self, timeout: float) -> None:
        """Close the channel, as RabbitMQ does where no consumer can be cancelled."""
        channel = self._channel
        shown = -1 if channel.vhost.emulation.timeout_cancels else round(timeout * 1000)
        refusal = Refusal(
            406,
            f"PRECONDITION_FAILED - delivery acknowledgement on channel {channel.number} timed "
            f"out. Timeout value used: {shown} ms. This timeout value can be configured, see "
            "consumers doc guide to learn more",
        )
        channel.refuse(refusal, 0)
