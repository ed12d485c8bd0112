"""What a decoder returns: one object per message, method or fault, in pure Python.

The compiled codec has classes of the same names and fields. Events of either compare equal
when their class names and fields are equal.
"""

from typing import Any, ClassVar, Literal, TypeAlias

from pamqp.base import Frame

from hopmq.errors import FrameSyntaxError
from hopmq.wire.properties import Properties, decode_properties

FrameKind: TypeAlias = Literal["method", "header", "body"]
"""What a frame of a channel is, and which of the three has to come next."""

NO_PROPERTIES = b"\x00\x00"
"""An empty property list: flags without a value."""


class _Event:  # noqa: PLW1641  # mutable, and equal by content: no hash
    """Equality and repr by `__match_args__`, the fields that make up an event."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        return same_event(self, other)

    def __repr__(self) -> str:
        return show_event(self)


def same_event(one: Any, other: Any) -> bool:  # events of either codec
    """Compare two events, perhaps of different codecs."""
    if type(one).__name__ != type(other).__name__:
        return False
    fields = type(one).__match_args__
    if fields != getattr(type(other), "__match_args__", None):
        return False
    return all(_same_value(getattr(one, field), getattr(other, field)) for field in fields)


def _same_value(one: object, other: object) -> bool:
    if isinstance(one, Frame) and isinstance(other, Frame):
        return type(one) is type(other) and all(
            getattr(one, field, None) == getattr(other, field, None) for field in one.__slots__
        )
    return one == other


def show_event(event: Any) -> str:  # an event of either codec
    """Show an event's fields; bytes only by their size, for they may be large or secret."""
    kind = type(event)
    fields = ", ".join(f"{name}={_show(getattr(event, name))}" for name in kind.__match_args__)
    return f"{kind.__name__}({fields})"


def _show(value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, Frame):
        fields = ", ".join(f"{name}={_show(getattr(value, name))}" for name in value.__slots__)
        return f"{value.name}({fields})"
    return repr(value)


class Content(_Event):
    """A message with its body and properties; `context` is free for upper layers."""

    __slots__ = (
        "_properties",
        "body",
        "channel",
        "context",
        "exchange",
        "raw_properties",
        "routing_key",
    )
    __match_args__: ClassVar[tuple[str, ...]] = (
        "channel",
        "exchange",
        "routing_key",
        "body",
        "raw_properties",
    )

    channel: int
    exchange: str
    routing_key: str
    body: bytes
    raw_properties: bytes
    context: object
    _properties: Properties | None

    def __init__(
        self,
        channel: int = 0,
        exchange: str = "",
        routing_key: str = "",
        body: bytes = b"",
        raw_properties: bytes = NO_PROPERTIES,
        context: object = None,
    ) -> None:
        self.channel = channel
        self.exchange = exchange
        self.routing_key = routing_key
        self.body = body
        self.raw_properties = raw_properties
        self.context = context
        self._properties = None

    def octets(self) -> int:
        """Return the size of body and properties."""
        return len(self.body) + len(self.raw_properties)

    @property
    def properties(self) -> Properties:
        """The message's properties, decoded when first read."""
        if self._properties is None:
            self._properties = decode_properties(self.raw_properties)
        return self._properties

    @properties.setter
    def properties(self, value: Properties | None) -> None:  # None: decode them again
        self._properties = value


class Delivery(Content):
    """A message for a consumer (basic.deliver)."""

    __slots__ = ("consumer_tag", "delivery_tag", "redelivered")
    __match_args__: ClassVar[tuple[str, ...]] = (
        *Content.__match_args__,
        "consumer_tag",
        "delivery_tag",
        "redelivered",
    )

    def __init__(
        self,
        channel: int = 0,
        exchange: str = "",
        routing_key: str = "",
        body: bytes = b"",
        raw_properties: bytes = NO_PROPERTIES,
        consumer_tag: str = "",
        delivery_tag: int = 0,
        redelivered: bool = False,
        context: object = None,
    ) -> None:
        super().__init__(channel, exchange, routing_key, body, raw_properties, context)
        self.consumer_tag: str = consumer_tag
        self.delivery_tag: int = delivery_tag
        self.redelivered: bool = redelivered

    def admit(self, context: object, unsettled: set[int] | None) -> None:
        """Belong to `context`; count as unsettled, unless it needs no settling."""
        self.context = context
        if unsettled is not None:
            unsettled.add(self.delivery_tag)


class Fetched(Content):
    """A message that was asked for (basic.get-ok)."""

    __slots__ = ("delivery_tag", "message_count", "redelivered")
    __match_args__: ClassVar[tuple[str, ...]] = (
        *Content.__match_args__,
        "delivery_tag",
        "redelivered",
        "message_count",
    )

    def __init__(
        self,
        channel: int = 0,
        exchange: str = "",
        routing_key: str = "",
        body: bytes = b"",
        raw_properties: bytes = NO_PROPERTIES,
        delivery_tag: int = 0,
        redelivered: bool = False,
        message_count: int = 0,
        context: object = None,
    ) -> None:
        super().__init__(channel, exchange, routing_key, body, raw_properties, context)
        self.delivery_tag: int = delivery_tag
        self.redelivered: bool = redelivered
        self.message_count: int = message_count


class Returned(Content):
    """A message that came back unrouted (basic.return)."""

    __slots__ = ("reply_code", "reply_text")
    __match_args__: ClassVar[tuple[str, ...]] = (
        *Content.__match_args__,
        "reply_code",
        "reply_text",
    )

    def __init__(
        self,
        channel: int = 0,
        exchange: str = "",
        routing_key: str = "",
        body: bytes = b"",
        raw_properties: bytes = NO_PROPERTIES,
        reply_code: int = 0,
        reply_text: str = "",
        context: object = None,
    ) -> None:
        super().__init__(channel, exchange, routing_key, body, raw_properties, context)
        self.reply_code: int = reply_code
        self.reply_text: str = reply_text


class Published(Content):
    """A message that a client publishes (basic.publish)."""

    __slots__ = ("immediate", "mandatory")
    __match_args__: ClassVar[tuple[str, ...]] = (*Content.__match_args__, "mandatory", "immediate")

    def __init__(
        self,
        channel: int = 0,
        exchange: str = "",
        routing_key: str = "",
        body: bytes = b"",
        raw_properties: bytes = NO_PROPERTIES,
        mandatory: bool = False,
        immediate: bool = False,
        context: object = None,
    ) -> None:
        super().__init__(channel, exchange, routing_key, body, raw_properties, context)
        self.mandatory: bool = mandatory
        self.immediate: bool = immediate


class Ack(_Event):
    """Deliveries are settled, or publishes confirmed (basic.ack)."""

    __slots__ = ("channel", "delivery_tag", "multiple")
    __match_args__: ClassVar[tuple[str, ...]] = __slots__

    def __init__(self, channel: int = 0, delivery_tag: int = 0, multiple: bool = False) -> None:
        self.channel: int = channel
        self.delivery_tag: int = delivery_tag
        self.multiple: bool = multiple


class Nack(_Event):
    """Deliveries or publishes are refused (basic.nack)."""

    __slots__ = ("channel", "delivery_tag", "multiple", "requeue")
    __match_args__: ClassVar[tuple[str, ...]] = __slots__

    def __init__(
        self,
        channel: int = 0,
        delivery_tag: int = 0,
        multiple: bool = False,
        requeue: bool = False,
    ) -> None:
        self.channel: int = channel
        self.delivery_tag: int = delivery_tag
        self.multiple: bool = multiple
        self.requeue: bool = requeue


class Reject(_Event):
    """One delivery is refused (basic.reject)."""

    __slots__ = ("channel", "delivery_tag", "requeue")
    __match_args__: ClassVar[tuple[str, ...]] = __slots__

    def __init__(self, channel: int = 0, delivery_tag: int = 0, requeue: bool = False) -> None:
        self.channel: int = channel
        self.delivery_tag: int = delivery_tag
        self.requeue: bool = requeue


class Method(_Event):
    """Any other method, as pamqp's class of it."""

    __slots__ = ("channel", "method")
    __match_args__: ClassVar[tuple[str, ...]] = __slots__

    def __init__(self, channel: int, method: Frame) -> None:
        self.channel: int = channel
        self.method: Frame = method


class Heartbeat(_Event):
    """The peer is alive."""

    __slots__ = ()


class ProtocolHeader(_Event):
    """What a client sends first, and a server that speaks another version."""

    __slots__ = ("raw",)
    __match_args__: ClassVar[tuple[str, ...]] = __slots__

    def __init__(self, raw: bytes = b"") -> None:
        self.raw: bytes = raw


class Oversized(_Event):
    """A content larger than `max_message_size`; its body is skipped."""

    __slots__ = ("channel", "size")
    __match_args__: ClassVar[tuple[str, ...]] = __slots__

    def __init__(self, channel: int = 0, size: int = 0) -> None:
        self.channel: int = channel
        self.size: int = size


Event: TypeAlias = (
    Delivery
    | Fetched
    | Returned
    | Published
    | Ack
    | Nack
    | Reject
    | Method
    | Heartbeat
    | ProtocolHeader
    | Oversized
    | FrameSyntaxError
)
"""One of what a decoder returns."""
