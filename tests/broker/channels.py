"""A virtual host with channels, without connections: what is sent is kept to be looked at."""

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from pamqp.commands import Basic, Queue as Methods

from broker.manual_clock import ManualClock
from hopmq.broker.channel import BrokerChannel
from hopmq.broker.emulation import emulation_of
from hopmq.broker.memory_limit import MemoryLimit
from hopmq.broker.queues.queue import Queue
from hopmq.broker.refusal import Refusal
from hopmq.broker.reply_to import ReplyAddresses
from hopmq.broker.vhost import VirtualHost
from hopmq.typedefs import FieldTable
from hopmq.wire import Ack, Nack, Properties, Published, Reject, active, new_method

RELEASES = ("3.10", "4.0", "4.3")


@dataclass
class Sent:
    """A delivery, or the answer to a get."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    raw_properties: bytes
    body: bytes
    consumer: str = ""

    @property
    def properties(self) -> Properties:
        """Return the properties, decoded."""
        return active.decode_properties(self.raw_properties)

    @property
    def headers(self) -> dict[str, Any]:
        """Return the headers."""
        return dict(self.properties.headers or {})


class Wire:
    """Stands for a connection and for its codec."""

    Ack, Nack, Reject = Ack, Nack, Reject

    def __init__(self) -> None:
        self.codec = self
        self.out: list[object] = []
        self.out_size = 0
        self.frame_max = 131_072
        self.sent: deque[Sent] = deque()
        self.methods: deque[Any] = deque()

    def append_deliver(
        self, _out: object, _channel: int, consumer: str, tag: int, *rest: Any
    ) -> int:
        """Keep a delivery."""
        redelivered, exchange, routing_key, raw, body, _frame_max = rest
        self.sent.append(Sent(tag, redelivered, exchange, routing_key, raw, body, consumer))
        return 0

    def append_get_ok(self, _out: object, _channel: int, tag: int, *rest: Any) -> int:
        """Keep an answer to a get."""
        redelivered, exchange, routing_key, _count, raw, body, _frame_max = rest
        self.sent.append(Sent(tag, redelivered, exchange, routing_key, raw, body))
        return 0

    def encode_method(self, _channel: int, method: object, _frame_max: int) -> bytes:
        """Keep a method."""
        self.methods.append(method)
        return b""

    def wrote(self, size: int) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Do nothing."""


@dataclass(eq=False)
class FakePeer:
    """Stands for a client that may do anything and reads everything."""

    core: Wire = field(default_factory=Wire)
    held: bool = False
    is_blocked: bool = False
    turn_size: int = 1 << 30
    username: str = "guest"
    consumer_timeout: float | None = None
    channels: dict[int, BrokerChannel] = field(default_factory=dict)
    exclusive_queues: dict[Queue, None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def has_capability(self, _name: str) -> bool:
        """Agree."""
        return True

    def require(self, _operation: str, _kind: str, _name: str) -> None:
        """Allow."""

    def refuse(self, refusal: Refusal, _index: int) -> None:
        """Keep why the connection would be closed."""
        self.refusals.append(refusal)

    def log_channel_error(self, _number: int, refusal: Refusal) -> None:
        """Keep why the channel was closed."""
        self.refusals.append(refusal)


class TestChannel(BrokerChannel):
    """A channel as its client sees it."""

    __slots__ = ()
    __test__ = False

    @property
    def wire(self) -> Wire:
        """What was sent."""
        return cast("Wire", self.connection)

    @property
    def refusal(self) -> Refusal | None:
        """Why it was closed."""
        refusals = cast("FakePeer", self.peer).refusals
        return refusals[-1] if refusals else None

    def declare(self, queue: str, kind: str = "classic", **arguments: Any) -> Queue:
        """Declare a durable queue; its arguments are written with _ for -."""
        table: FieldTable = {f"x-{key.replace('_', '-')}": arguments[key] for key in arguments}
        method = new_method(
            Methods.Declare,
            queue=queue,
            durable=True,
            arguments={"x-queue-type": kind, **table},
        )
        self.receive_method(method)
        return self.vhost.queues[queue]

    def consume(self, queue: str, tag: str, *, no_ack: bool = False, **arguments: Any) -> None:
        """Start a consumer; its arguments are written with _ for -."""
        table: FieldTable = {f"x-{key.replace('_', '-')}": arguments[key] for key in arguments}
        self.receive_method(
            new_method(Basic.Consume, queue=queue, consumer_tag=tag, no_ack=no_ack, arguments=table)
        )

    def qos(self, count: int) -> None:
        """Set the prefetch of consumers to come."""
        self.receive_method(new_method(Basic.Qos, prefetch_count=count))

    def cancel(self, tag: str) -> None:
        """Stop a consumer."""
        self.receive_method(new_method(Basic.Cancel, consumer_tag=tag))

    def recover(self) -> None:
        """Have everything unsettled delivered again."""
        self.receive_method(new_method(Basic.Recover, requeue=True))

    def get(self, queue: str, *, no_ack: bool = False) -> Sent | None:
        """Get a message."""
        before = len(self.wire.sent)
        self.receive_method(new_method(Basic.Get, queue=queue, no_ack=no_ack))
        return self.wire.sent.pop() if len(self.wire.sent) > before else None

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Acknowledge."""
        self.receive_settled(Ack(1, tag, multiple))

    def nack(self, tag: int, *, multiple: bool = False, requeue: bool = True) -> None:
        """Refuse."""
        self.receive_settled(Nack(1, tag, multiple, requeue))

    def reject(self, tag: int, *, requeue: bool = True) -> None:
        """Refuse one."""
        self.receive_settled(Reject(1, tag, requeue))

    def taken(self) -> list[Sent]:
        """Return what was delivered since the last look."""
        found = list(self.wire.sent)
        self.wire.sent.clear()
        return found


class Host:
    """A virtual host of its own, with a clock that is turned by hand."""

    def __init__(self, release: str = "4.3") -> None:
        self.clock = ManualClock()
        self.memory = MemoryLimit(1 << 40, lambda _alarmed: None)
        self.vhost = VirtualHost(
            "/",
            clock=self.clock,
            memory=self.memory,
            emulation=emulation_of(release),
            replies=ReplyAddresses(),
        )

    def channel(self, *, consumer_timeout: float | None = None) -> TestChannel:
        """Return a channel of a connection of its own."""
        peer = FakePeer(consumer_timeout=consumer_timeout)
        core = SimpleNamespace(channel_id=1, abort=lambda _error: None)
        channel = TestChannel(cast("Any", peer), self.vhost, cast("Any", core))
        peer.channels[1] = channel
        return channel

    def publish(self, queue: str, body: bytes = b"body", **properties: Any) -> bool:
        """Publish to a queue; return whether it was taken."""
        raw = active.encode_properties(Properties(**properties))
        return self.vhost.publish(Published(routing_key=queue, body=body, raw_properties=raw))

    def bodies(self, queue: str) -> list[bytes]:
        """Return what a queue has ready."""
        return [entry.message.body for entry in self.vhost.queues[queue].entries()]
