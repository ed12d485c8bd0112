"""From frames to events: methods, and contents put together from theirs, in pure Python."""

from collections.abc import Callable
from struct import Struct, error as struct_error
from typing import Final, TypeAlias

from hopmq.errors import FrameSyntaxError
from hopmq.wire import reasons
from hopmq.wire.events import (
    NO_PROPERTIES,
    Ack,
    Content,
    Delivery,
    Event,
    Fetched,
    FrameKind,
    Method,
    Nack,
    Oversized,
    Published,
    Reject,
    Returned,
)
from hopmq.wire.limits import INCOMPLETE_MESSAGES
from hopmq.wire.methods import CONNECTION_CLASS, PLANS, decode_arguments
from hopmq.wire.properties import decode_properties

_INDEX = Struct(">I").unpack_from
_TAG_BITS_LENGTH = Struct(">QBB").unpack_from
_SETTLE = Struct(">IQB").unpack_from
_SETTLE_SIZE: Final = 13
_HEADER = Struct(">HHQ").unpack_from
_HEADER_SIZE: Final = 14

_HEADER_NAME: Final = "content header"
_BODY_NAME: Final = "content body"


class _Partial:
    """A content whose frames have not all come.

    `content` is None when the body is to be skipped; `remaining` is None before the header.
    """

    __slots__ = ("content", "parts", "remaining")

    def __init__(self, content: Content | None) -> None:
        self.content: Content | None = content
        self.remaining: int | None = None
        self.parts: bytearray = bytearray()


class Assembly:
    """The contents that a stream's channels have in progress."""

    __slots__ = ("_limit", "_partials", "_unfinished", "delivery_type", "fetched_type", "max_size")

    def __init__(
        self, max_size: int, delivery_type: type[Delivery], fetched_type: type[Fetched]
    ) -> None:
        """Start with no content in progress."""
        if not issubclass(delivery_type, Delivery):
            raise TypeError("delivery_type must be a subclass of Delivery")
        if not issubclass(fetched_type, Fetched):
            raise TypeError("fetched_type must be a subclass of Fetched")
        self.max_size: int = max_size
        self.delivery_type: type[Delivery] = delivery_type
        self.fetched_type: type[Fetched] = fetched_type
        self._partials: dict[int, _Partial] = {}
        self._unfinished = 0
        self._limit = INCOMPLETE_MESSAGES * max_size

    def due(self, channel: int) -> FrameKind:
        """Return which kind of frame has to come next on a channel."""
        partial = self._partials.get(channel)
        if partial is None:
            return "method"
        return "header" if partial.remaining is None else "body"

    def method(self, channel: int, payload: bytes) -> Event | None:
        """Take a method frame: return its event, or None while a content follows."""
        if len(payload) < 4:
            raise FrameSyntaxError(0, reasons.METHOD_TOO_SHORT)
        index = _INDEX(payload)[0]
        decode = _HOT.get(index)
        if decode is None or not channel or channel in self._partials:
            return self._cold(channel, index, payload)
        try:
            event = decode(self, payload)
        except (IndexError, struct_error, UnicodeDecodeError):
            event = None
        if event is None:
            # Told apart by the slower decoder, which names what is wrong.
            raise _fault_of(index, payload)
        event.channel = channel
        if isinstance(event, Content):
            # The slot itself: a subclass may show its properties in a way of its own.
            event.context = event._properties = None  # noqa: SLF001
            self._partials[channel] = _Partial(event)
            return None
        return event

    def _cold(self, channel: int, index: int, payload: bytes) -> Event:
        plan = PLANS.get(index)
        if plan is None:
            reason = reasons.unknown_method(index >> 16, index & 0xFFFF)
            raise FrameSyntaxError(0, reason, 540)
        if (plan.class_id == CONNECTION_CLASS) != (channel == 0):
            raise FrameSyntaxError(0, reasons.wrong_channel(plan.name, channel), 503)
        if channel in self._partials:
            raise FrameSyntaxError(0, reasons.within_content(plan.name, channel), 505)
        return Method(channel, decode_arguments(plan, payload))

    def header(self, channel: int, payload: bytes) -> Event | None:
        """Take a content header frame: return the content if its body is empty."""
        if not channel:
            raise FrameSyntaxError(0, reasons.content_on_zero(_HEADER_NAME), 504)
        partial = self._partials.get(channel)
        if partial is None:
            raise FrameSyntaxError(0, reasons.header_unexpected(channel), 505)
        content = partial.content
        if content is None or partial.remaining is not None:
            raise FrameSyntaxError(0, reasons.within_content(_HEADER_NAME, channel), 505)
        if len(payload) < _HEADER_SIZE:
            raise FrameSyntaxError(0, reasons.HEADER_TOO_SHORT)
        class_id, weight, size = _HEADER(payload)
        if class_id != 60:
            raise FrameSyntaxError(0, reasons.header_class(class_id), 501)
        if weight:
            raise FrameSyntaxError(0, reasons.header_weight(weight), 501)
        content.raw_properties = raw = payload[12:]
        if raw != NO_PROPERTIES:
            content._properties = decode_properties(raw)  # noqa: SLF001  # as above
        partial.remaining = size
        if size > self.max_size:
            partial.content = None
            return Oversized(channel, size)
        if size:
            return None
        content.body = b""
        del self._partials[channel]
        return _event(content)

    def body(self, channel: int, payload: memoryview) -> Event | None:
        """Take a content body frame: return the content if that was the last of it."""
        if not channel:
            raise FrameSyntaxError(0, reasons.content_on_zero(_BODY_NAME), 504)
        partial = self._partials.get(channel)
        if partial is None or partial.remaining is None:
            raise FrameSyntaxError(0, reasons.body_unexpected(channel), 505)
        size = len(payload)
        if size > partial.remaining:
            raise FrameSyntaxError(0, reasons.body_too_long(size, partial.remaining), 501)
        partial.remaining -= size
        if partial.remaining:
            self._keep(partial, payload)
            return None
        del self._partials[channel]
        content = partial.content
        if content is None:
            return None
        if partial.parts:
            self._unfinished -= len(partial.parts)
            partial.parts += payload
            content.body = bytes(partial.parts)
        else:
            content.body = bytes(payload)
        return _event(content)

    def _keep(self, partial: _Partial, payload: memoryview) -> None:
        if partial.content is None:
            return
        self._unfinished += len(payload)
        if self._unfinished > self._limit:
            raise FrameSyntaxError(0, reasons.too_much_unfinished(self._limit), 506)
        partial.parts += payload


# --- the methods of messages and their acknowledgement --------------------------------------------


def _deliver(self: Assembly, payload: bytes) -> Delivery | None:
    at = 5 + payload[4]
    delivery = self.delivery_type.__new__(self.delivery_type)
    delivery.consumer_tag = payload[5:at].decode()
    delivery.delivery_tag, bits, length = _TAG_BITS_LENGTH(payload, at)
    delivery.redelivered = bits & 1 != 0
    at += 10
    end = at + length
    delivery.exchange = payload[at:end].decode()
    at = end + 1
    delivery.routing_key = payload[at:].decode()
    return delivery if at + payload[end] == len(payload) else None


def _get_ok(self: Assembly, payload: bytes) -> Fetched | None:
    fetched = self.fetched_type.__new__(self.fetched_type)
    fetched.delivery_tag, bits, length = _TAG_BITS_LENGTH(payload, 4)
    fetched.redelivered = bits & 1 != 0
    end = 14 + length
    fetched.exchange = payload[14:end].decode()
    at = end + 1
    end = at + payload[end]
    fetched.routing_key = payload[at:end].decode()
    fetched.message_count = _INDEX(payload, end)[0]
    return fetched if end + 4 == len(payload) else None


def _return(_self: Assembly, payload: bytes) -> Returned | None:
    returned = Returned.__new__(Returned)
    returned.reply_code = payload[4] << 8 | payload[5]
    at = 7 + payload[6]
    returned.reply_text = payload[7:at].decode()
    end = at + 1 + payload[at]
    returned.exchange = payload[at + 1 : end].decode()
    at = end + 1
    returned.routing_key = payload[at:].decode()
    return returned if at + payload[end] == len(payload) else None


def _publish(_self: Assembly, payload: bytes) -> Published | None:
    published = Published.__new__(Published)
    end = 7 + payload[6]
    published.exchange = payload[7:end].decode()
    at = end + 1
    end = at + payload[end]
    published.routing_key = payload[at:end].decode()
    bits = payload[end]
    published.mandatory = bits & 1 != 0
    published.immediate = bits & 2 != 0
    return published if end + 1 == len(payload) else None


def _ack(_self: Assembly, payload: bytes) -> Ack | None:
    _, tag, bits = _SETTLE(payload)
    return Ack(0, tag, bits & 1 != 0) if len(payload) == _SETTLE_SIZE else None


def _nack(_self: Assembly, payload: bytes) -> Nack | None:
    _, tag, bits = _SETTLE(payload)
    exact = len(payload) == _SETTLE_SIZE
    return Nack(0, tag, bits & 1 != 0, bits & 2 != 0) if exact else None


def _reject(_self: Assembly, payload: bytes) -> Reject | None:
    _, tag, bits = _SETTLE(payload)
    return Reject(0, tag, bits & 1 != 0) if len(payload) == _SETTLE_SIZE else None


_Hot: TypeAlias = Delivery | Fetched | Returned | Published | Ack | Nack | Reject

_HOT: Final[dict[int, Callable[[Assembly, bytes], _Hot | None]]] = {
    0x003C_003C: _deliver,
    0x003C_0047: _get_ok,
    0x003C_0032: _return,
    0x003C_0028: _publish,
    0x003C_0050: _ack,
    0x003C_0078: _nack,
    0x003C_005A: _reject,
}


def _fault_of(index: int, payload: bytes) -> FrameSyntaxError:
    plan = PLANS[index]
    try:
        decode_arguments(plan, payload)
    except FrameSyntaxError as error:
        return error
    return FrameSyntaxError(0, reasons.in_method(plan.name, reasons.TRUNCATED))


def _event(content: Content) -> Event:
    assert isinstance(content, (Delivery, Fetched, Returned, Published))
    return content
