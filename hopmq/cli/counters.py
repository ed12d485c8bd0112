"""What an embedded broker holds and how fast messages pass, read from outside of its hot path."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hopmq.broker import Broker
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.queues.queue import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """One reading.

    Attributes:
        connections, blocked: Clients, and those of them that an alarm keeps from publishing.
        channels, consumers, queues: How many there are.
        ready, unsettled: Messages that wait for a consumer, and those delivered but not settled.
        arrived, delivered: Messages that came to queues and left them, since the first reading.
        arriving, delivering: The same per second, since the reading before.
        memory, memory_limit: Bytes of messages, and how many there may be.
    """

    connections: int = 0
    blocked: int = 0
    channels: int = 0
    consumers: int = 0
    queues: int = 0
    ready: int = 0
    unsettled: int = 0
    arrived: int = 0
    delivered: int = 0
    arriving: float = 0.0
    delivering: float = 0.0
    memory: int = 0
    memory_limit: int = 0


class Meter:
    """Read a broker's counters.

    A queue knows how many messages came to it, and a channel how many it was sent. What they have
    counted since the last reading is added up, also of those that are gone by now; one that came
    and went in between is missed.
    """

    def __init__(self, broker: "Broker") -> None:
        """Count from now on."""
        self._broker = broker
        self._queues: dict[Queue, int] = {}
        self._channels: dict[BrokerChannel, int] = {}
        self._arrived = 0
        self._delivered = 0
        self._read_at: float | None = None

    def read(self, now: float) -> Counters:
        """Return the counters at a time in seconds; all zero while the broker is away."""
        if not self._broker.is_running:
            return Counters()
        state = self._broker.state
        queues = [queue for vhost in state.vhosts.values() for queue in vhost.queues.values()]
        channels = [channel for peer in state.peers for channel in peer.channels.values()]
        arrived, delivered = self._arrived, self._delivered
        self._count_arrivals(queues)
        self._count_deliveries(channels)
        elapsed = 0.0 if self._read_at is None else now - self._read_at
        self._read_at = now
        return Counters(
            connections=len(state.peers),
            blocked=sum(peer.is_blocked for peer in state.peers),
            channels=len(channels),
            consumers=sum(len(channel.consumers) for channel in channels),
            queues=len(queues),
            ready=sum(queue.ready for queue in queues),
            unsettled=sum(queue.unsettled for queue in queues),
            arrived=self._arrived,
            delivered=self._delivered,
            arriving=(self._arrived - arrived) / elapsed if elapsed else 0.0,
            delivering=(self._delivered - delivered) / elapsed if elapsed else 0.0,
            memory=state.memory.used,
            memory_limit=state.memory.limit,
        )

    def _count_arrivals(self, queues: "list[Queue]") -> None:
        known = self._queues
        self._queues = {queue: queue.arrivals for queue in queues}
        for queue in self._queues.keys() | known.keys():
            self._arrived += queue.arrivals - known.get(queue, 0)

    def _count_deliveries(self, channels: "list[BrokerChannel]") -> None:
        known = self._channels
        self._channels = {channel: channel.last_tag for channel in channels}
        for channel in self._channels.keys() | known.keys():
            self._delivered += channel.last_tag - known.get(channel, 0)
