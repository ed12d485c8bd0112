"""Streams: logs that any number of consumers read, each from where it likes."""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from hopmq.broker.consumer import Consumer
from hopmq.broker.message import OVERHEAD, Entry
from hopmq.broker.property_list import number, with_added
from hopmq.broker.queues.consumer_arguments import check_arguments
from hopmq.broker.queues.queue import Comeback, Declaration, Queue
from hopmq.broker.queues.roster import Roster
from hopmq.broker.queues.stream_reading import Filter, Moment, Reading, offset_of
from hopmq.broker.refusal import Refusal
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel

_SEGMENT_SIZE: Final = 500_000_000
"""Bytes of a segment, if the queue does not say (RabbitMQ, Streams)."""

_OFFSET: Final = "x-stream-offset"


class Readers(Roster):
    """The consumers of a stream: each has everything, and none waits for another."""

    __slots__ = ()

    def add(self, consumer: Consumer) -> None:
        """Let a consumer take part."""
        self._all[consumer] = None

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go."""
        self._all.pop(consumer, None)

    def next(self) -> Consumer | None:
        """Return nobody: messages are not shared out."""
        return None

    def unpark(self, consumer: Consumer) -> None:
        """Let a consumer take part again."""
        consumer.parked = False


class StreamQueue(Queue):
    """A log. Acknowledgements are credit; nothing but age or size removes a message."""

    kind: ClassVar[str] = "stream"
    unsettled: int

    def __init__(self, declaration: Declaration) -> None:
        """Start empty and without consumers."""
        super().__init__(declaration)
        self._memory = self.vhost.memory
        self._readings: dict[Consumer, Reading] = {}
        self._messages: list[Published] = []
        self._times = array("d")  # of each message, in seconds since 1970
        self._first = 0  # offset of the first message there is
        self._bytes = 0
        # Segments that are complete: the offset after the last message, and their bytes.
        self._segments: deque[tuple[int, int]] = deque()
        self._segment_size = 0

    # --- what it holds ---------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """How many messages there are."""
        return len(self._messages)

    @property
    def message_bytes(self) -> int:
        """Bytes of their bodies."""
        return self._bytes

    @property
    def arrivals(self) -> int:
        """How many messages it has taken since it was declared."""
        return self.end

    @property
    def end(self) -> int:
        """The offset that the next message will have."""
        return self._first + len(self._messages)

    def entries(self) -> Iterable[Entry]:
        """Return what there is, in order; the position of each is its offset."""
        for offset, message in enumerate(self._messages, self._first):
            yield Entry(message, offset, None)

    def publish(self, message: Published, *, past: Entry | None = None) -> bool:
        """Append a message."""
        del past  # a log has no memory of other queues
        size = len(message.body) + OVERHEAD
        self._memory.add(size)
        self._messages.append(message)
        self._times.append(self.vhost.clock.wall())
        self._bytes += len(message.body)
        self._segment_size += size
        if self._segment_size > (self.settings.max_segment_size or _SEGMENT_SIZE):
            self._segments.append((self.end, self._segment_size))
            self._segment_size = 0
            self._retain()
        self.dispatch()
        return True

    # --- retention -------------------------------------------------------------------------

    def _retain(self) -> None:
        """Drop the oldest segments that are beyond a limit, when a segment is complete."""
        limit, age = self.settings.max_length_bytes, self.settings.max_age
        total = sum(size for _, size in self._segments)
        oldest = None if age is None else self.vhost.clock.wall() - age
        while self._segments:
            end, size = self._segments[0]
            too_large = limit is not None and total > limit
            too_old = oldest is not None and self._times[end - self._first - 1] < oldest
            if not too_large and not too_old:
                return
            total -= size
            self._segments.popleft()
            self._drop_before(end)

    def _drop_before(self, offset: int) -> None:
        count = offset - self._first
        size = sum(len(message.body) for message in self._messages[:count])
        del self._messages[:count]
        del self._times[:count]
        self._first = offset
        self._bytes -= size
        self._memory.release(size + count * OVERHEAD)

    # --- consumers -------------------------------------------------------------------------

    def _new_roster(self) -> Roster:
        return Readers(single=False)

    def check_consumer(
        self,
        channel: "BrokerChannel",
        *,
        no_ack: bool,
        exclusive: bool,
        arguments: Mapping[str, Any],
    ) -> None:
        """Refuse a consumer without prefetch, or one that does not acknowledge."""
        del exclusive  # every consumer is alone with its copy
        check_arguments(self, arguments)
        is_old = not self.vhost.emulation.message_containers
        if not channel.consumer_prefetch:
            what = f"'{self.label}'" if is_old else f"stream {self.label}"
            raise Refusal(
                406, f"PRECONDITION_FAILED - consumer prefetch count is not set for {what}"
            )
        if no_ack:
            what = f"stream queues {self.label}" if is_old else f"stream {self.label}"
            raise Refusal(
                540, f"NOT_IMPLEMENTED - automatic acknowledgement not supported by {what}"
            )
        offset_of(arguments.get(_OFFSET, "next"), self, self.vhost)
        if self.vhost.emulation.stream_filters:
            Filter(arguments)

    def add_consumer(self, consumer: Consumer) -> None:
        """Serve a consumer from now on, from the offset that it asks for."""
        wanted = consumer.arguments.get(_OFFSET, "next")
        self._readings[consumer] = Reading(
            self._position_of(offset_of(wanted, self, self.vhost)),
            Filter(consumer.arguments) if self.vhost.emulation.stream_filters else None,
        )
        super().add_consumer(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Serve a consumer no longer."""
        self._readings.pop(consumer, None)
        super().remove_consumer(consumer)

    def _position_of(self, offset: int | str | Moment) -> int:
        """Return the offset of what is read first."""
        if offset == "next":
            return self.end
        if offset == "last":
            return max(self._first, self.end - 1)
        if isinstance(offset, Moment):
            return self._first + bisect_left(self._times, offset.seconds)
        return self._first if isinstance(offset, str) else offset

    def dispatch(self) -> None:
        """Send to each consumer what it has not read yet."""
        for consumer in self.roster:
            reading = self._readings.get(consumer)
            if reading is not None:
                self._serve(consumer, reading)

    def _serve(self, consumer: Consumer, reading: Reading) -> None:
        reading.offset = max(reading.offset, self._first)
        while reading.offset < self.end:
            if not consumer.has_room():
                consumer.parked = True
                return
            offset = reading.offset
            reading.offset += 1
            message = self._messages[offset - self._first]
            if reading.filter is None or reading.filter.matches(message):
                entry = Entry(message, offset, None)
                self.unsettled += 1
                consumer.deliver(entry, self.properties_of(entry))

    def properties_of(self, entry: Entry) -> bytes:
        """Return the property list that the consumer of `entry` is sent."""
        return with_added(entry.message.raw_properties, {_OFFSET: number(entry.position)})

    # --- settling: credit, and nothing else ------------------------------------------------

    def settle(self, entry: Entry) -> None:
        """Take an acknowledgement."""
        del entry
        self.unsettled -= 1

    def discard(self, entry: Entry) -> None:
        """Take a refusal for an acknowledgement."""
        self.settle(entry)
        self._check_nacks()

    def take_back(self, entries: Iterable[Entry], how: Comeback) -> None:
        """Take a refusal for an acknowledgement: a consumer that wants to can read again."""
        for entry in entries:
            self.settle(entry)
        if how in {Comeback.NACKED, Comeback.REJECTED}:
            self._check_nacks()
        self.dispatch()

    def check_recovery(self) -> None:
        """Refuse to give deliveries again, where a stream does not know how to refuse it."""
        if not self.vhost.emulation.stream_nacks:
            raise Refusal(541, "INTERNAL_ERROR")

    def _check_nacks(self) -> None:
        if not self.vhost.emulation.stream_nacks:
            self._refuse("basic.nack and basic.reject")

    # --- what streams lack -----------------------------------------------------------------

    def get(self) -> NoReturn:
        """Refuse: a stream is read by consumers."""
        self._refuse("basic.get")

    def purge(self) -> NoReturn:
        """Refuse: a stream forgets by age and size."""
        self._refuse("queue.purge")

    def check_deletion(self, *, if_unused: bool, if_empty: bool) -> None:
        """Let it be deleted, whatever the condition."""

    def _refuse(self, operation: str) -> NoReturn:
        raise Refusal(
            540, f"NOT_IMPLEMENTED - {operation} not supported by stream queues {self.label}"
        )

    def close(self) -> int:
        """Drop everything; no messages are counted."""
        super().close()
        self._drop_before(self.end)
        self._segments.clear()
        self._readings.clear()
        return 0
