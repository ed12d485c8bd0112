"""Queues and exchanges as values: what to declare, checked before it is sent."""

from dataclasses import dataclass, field
from typing import Final, Literal, Self

from hopmq.errors import UsageError
from hopmq.queue_rules import check_queue
from hopmq.typedefs import FieldTable, FieldValue
from hopmq.values import Value

Overflow = Literal["drop-head", "reject-publish", "reject-publish-dlx"]
DeadLetterStrategy = Literal["at-most-once", "at-least-once"]

_NO_ARGUMENTS: Final[dict[str, FieldValue]] = {}


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Queue(Value):
    """A queue to declare; durable and shared unless said otherwise.

    `Queue("orders")` leaves the type to the virtual host's default. `Queue.classic`,
    `Queue.quorum`, `Queue.stream` and `Queue.temporary` name it and type its arguments.

    Attributes:
        name: Up to 255 bytes of UTF-8; `""` lets the broker choose.
        durable: Whether the queue survives a restart of the broker.
        exclusive: Whether it belongs to this connection and goes with it.
        auto_delete: Whether it goes with its last consumer.
        arguments: Its `x-` arguments.

    Raises:
        UsageError: A combination that RabbitMQ refuses.
    """

    name: str
    durable: bool = field(default=True, kw_only=True)
    exclusive: bool = field(default=False, kw_only=True)
    auto_delete: bool = field(default=False, kw_only=True)
    arguments: FieldTable = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what RabbitMQ would refuse, without costing a channel."""
        check_queue(self.name, self.durable, self.exclusive, self.auto_delete, self.arguments)

    @property
    def kind(self) -> str | None:
        """`classic`, `quorum`, `stream`, or None for the virtual host's default."""
        kind = self.arguments.get("x-queue-type")
        return None if kind is None else str(kind)

    @classmethod
    def classic(
        cls,
        name: str,
        *,
        durable: bool = True,
        exclusive: bool = False,
        auto_delete: bool = False,
        message_ttl: float | None = None,
        expires: float | None = None,
        max_length: int | None = None,
        max_length_bytes: int | None = None,
        overflow: Overflow | None = None,
        dead_letter_exchange: str | None = None,
        dead_letter_routing_key: str | None = None,
        max_priority: int | None = None,
        single_active_consumer: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return a classic queue: one node, fast, priorities.

        Args:
            name: See `Queue`.
            durable: See `Queue`.
            exclusive: See `Queue`.
            auto_delete: See `Queue`.
            message_ttl: Seconds a message may wait.
            expires: Seconds without use after which the queue is deleted.
            max_length: Messages it holds at most.
            max_length_bytes: Bytes of bodies it holds at most.
            overflow: What goes when it is full; RabbitMQ's default is drop-head.
            dead_letter_exchange: Where rejected and expired messages go.
            dead_letter_routing_key: Their routing key; the original one by default.
            max_priority: Highest priority, 1 to 255; RabbitMQ advises no more than 5.
            single_active_consumer: Whether one consumer at a time gets messages.
            arguments: Any others.
        """
        table = _arguments(
            arguments,
            {
                "x-queue-type": "classic",
                "x-message-ttl": _milliseconds(message_ttl),
                "x-expires": _milliseconds(expires),
                "x-max-length": max_length,
                "x-max-length-bytes": max_length_bytes,
                "x-overflow": overflow,
                "x-dead-letter-exchange": dead_letter_exchange,
                "x-dead-letter-routing-key": dead_letter_routing_key,
                "x-max-priority": max_priority,
                "x-single-active-consumer": single_active_consumer or None,
            },
        )
        return cls(
            name, durable=durable, exclusive=exclusive, auto_delete=auto_delete, arguments=table
        )

    @classmethod
    def quorum(
        cls,
        name: str,
        *,
        delivery_limit: int | None = None,
        message_ttl: float | None = None,
        expires: float | None = None,
        max_length: int | None = None,
        max_length_bytes: int | None = None,
        overflow: Literal["drop-head", "reject-publish"] | None = None,
        dead_letter_exchange: str | None = None,
        dead_letter_routing_key: str | None = None,
        dead_letter_strategy: DeadLetterStrategy | None = None,
        initial_group_size: int | None = None,
        single_active_consumer: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return a quorum queue: replicated, for what must not be lost.

        Args:
            name: See `Queue`.
            delivery_limit: Deliveries after which a message is dropped or dead-lettered; from
                RabbitMQ 4.0 on the default is 20.
            message_ttl: See `classic`.
            expires: See `classic`.
            max_length: See `classic`.
            max_length_bytes: See `classic`.
            overflow: See `classic`.
            dead_letter_exchange: See `classic`.
            dead_letter_routing_key: See `classic`.
            dead_letter_strategy: at-least-once needs overflow reject-publish and a
                dead_letter_exchange.
            initial_group_size: Replicas to start with.
            single_active_consumer: See `classic`.
            arguments: Any others.
        """
        table = _arguments(
            arguments,
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": delivery_limit,
                "x-message-ttl": _milliseconds(message_ttl),
                "x-expires": _milliseconds(expires),
                "x-max-length": max_length,
                "x-max-length-bytes": max_length_bytes,
                "x-overflow": overflow,
                "x-dead-letter-exchange": dead_letter_exchange,
                "x-dead-letter-routing-key": dead_letter_routing_key,
                "x-dead-letter-strategy": dead_letter_strategy,
                "x-quorum-initial-group-size": initial_group_size,
                "x-single-active-consumer": single_active_consumer or None,
            },
        )
        return cls(name, arguments=table)

    @classmethod
    def stream(
        cls,
        name: str,
        *,
        max_age: str | None = None,
        max_length_bytes: int | None = None,
        max_segment_size: int | None = None,
        initial_cluster_size: int | None = None,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return a stream: an append-only log that is read without being emptied.

        Args:
            name: See `Queue`.
            max_age: How long messages are kept, such as `7D` or `12h`.
            max_length_bytes: Bytes kept at most.
            max_segment_size: Bytes of one segment file.
            initial_cluster_size: Replicas to start with.
            arguments: Any others.
        """
        table = _arguments(
            arguments,
            {
                "x-queue-type": "stream",
                "x-max-age": max_age,
                "x-max-length-bytes": max_length_bytes,
                "x-stream-max-segment-size-bytes": max_segment_size,
                "x-initial-cluster-size": initial_cluster_size,
            },
        )
        return cls(name, arguments=table)

    @classmethod
    def temporary(cls, name: str = "", *, arguments: FieldTable = _NO_ARGUMENTS) -> Self:
        """Return a queue of this connection alone, which goes with it; the broker names it."""
        return cls(name, durable=False, exclusive=True, arguments=arguments)


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Exchange(Value):
    """An exchange to declare; durable unless said otherwise.

    Attributes:
        name: Up to 255 bytes of UTF-8.
        type: direct, fanout, topic, headers, or the name of a plugin's type.
        durable: Whether the exchange survives a restart of the broker.
        auto_delete: Whether it goes with its last binding.
        internal: Whether only other exchanges may publish to it.
        arguments: Its arguments, such as `alternate-exchange`.
    """

    name: str
    type: str = "direct"
    durable: bool = field(default=True, kw_only=True)
    auto_delete: bool = field(default=False, kw_only=True)
    internal: bool = field(default=False, kw_only=True)
    arguments: FieldTable = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what RabbitMQ would refuse, without costing a channel."""
        if not self.name:
            raise UsageError("the default exchange has no name and is never declared")

    @classmethod
    def direct(
        cls,
        name: str,
        *,
        durable: bool = True,
        auto_delete: bool = False,
        internal: bool = False,
        alternate_exchange: str | None = None,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return an exchange that routes by equal keys.

        Args:
            name: See `Exchange`.
            durable: See `Exchange`.
            auto_delete: See `Exchange`.
            internal: See `Exchange`.
            alternate_exchange: Where messages go that it cannot route.
            arguments: Any others.
        """
        return cls(
            name,
            "direct",
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=_arguments(arguments, {"alternate-exchange": alternate_exchange}),
        )

    @classmethod
    def fanout(
        cls,
        name: str,
        *,
        durable: bool = True,
        auto_delete: bool = False,
        internal: bool = False,
        alternate_exchange: str | None = None,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return an exchange that routes to everything bound to it.

        Args:
            name: See `Exchange`.
            durable: See `Exchange`.
            auto_delete: See `Exchange`.
            internal: See `Exchange`.
            alternate_exchange: Where messages go that it cannot route.
            arguments: Any others.
        """
        return cls(
            name,
            "fanout",
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=_arguments(arguments, {"alternate-exchange": alternate_exchange}),
        )

    @classmethod
    def topic(
        cls,
        name: str,
        *,
        durable: bool = True,
        auto_delete: bool = False,
        internal: bool = False,
        alternate_exchange: str | None = None,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return an exchange that routes by key patterns (`*` one word, `#` any number).

        Args:
            name: See `Exchange`.
            durable: See `Exchange`.
            auto_delete: See `Exchange`.
            internal: See `Exchange`.
            alternate_exchange: Where messages go that it cannot route.
            arguments: Any others.
        """
        return cls(
            name,
            "topic",
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=_arguments(arguments, {"alternate-exchange": alternate_exchange}),
        )

    @classmethod
    def headers(
        cls,
        name: str,
        *,
        durable: bool = True,
        auto_delete: bool = False,
        internal: bool = False,
        alternate_exchange: str | None = None,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> Self:
        """Return an exchange that routes by headers.

        Args:
            name: See `Exchange`.
            durable: See `Exchange`.
            auto_delete: See `Exchange`.
            internal: See `Exchange`.
            alternate_exchange: Where messages go that it cannot route.
            arguments: Any others.
        """
        return cls(
            name,
            "headers",
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=_arguments(arguments, {"alternate-exchange": alternate_exchange}),
        )


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class QueueInfo(Value):
    """What the broker says of a queue it has.

    Attributes:
        name: Its name, also where the broker chose it.
        message_count: Messages ready for delivery.
        consumer_count: Consumers at work.
    """

    name: str
    message_count: int
    consumer_count: int


def name_of(entity: Queue | Exchange | str) -> str:
    """Return the name of a queue or exchange, or of what stands for it.

    Raises:
        UsageError: It is neither.
    """
    if isinstance(entity, str):
        return entity
    if isinstance(entity, Queue | Exchange):
        return entity.name
    raise UsageError(f"a queue or an exchange, or its name, is due, not {type(entity).__name__}")


def _milliseconds(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    try:
        return round(seconds * 1000)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"a time is a number of seconds, not {seconds!r}") from None


def _arguments(others: FieldTable, named: dict[str, FieldValue]) -> FieldTable:
    given = {name: value for name, value in named.items() if value is not None}
    return {**others, **given}
