"""The same work done by three codecs: HopMQ's two and pamqp.

Every engine turns the same arguments into the same bytes, and the same bytes into messages. Each
uses what it has in the way its users would: pamqp marshals a method, a header and a body frame,
and unmarshals one frame after the other; HopMQ appends a whole message, and parses a whole buffer.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pamqp import body, commands, decode, encode, frame, header

from hopmq.wire import PURE, Codec, Properties, load_compiled

FRAME_MAX = 131_072
CHANNEL = 7
EXCHANGE = "orders"
ROUTING_KEY = "orders.created.eu"
CONSUMER_TAG = "ctag1.4f1c2b7e"

_frame_size = struct.Struct(">3xI").unpack_from

FIVE_ENTRIES: dict[str, Any] = {
    "attempt": 3,
    "first-seen": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "replayed": False,
    "source": "checkout",
    "trace-id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
NESTED: dict[str, Any] = {
    "x-death": [
        {
            "count": number,
            "exchange": "orders",
            "queue": f"orders.retry.{number}",
            "reason": "expired",
            "routing-keys": ["orders.created", "orders.updated"],
            "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        }
        for number in range(1, 4)
    ],
    "x-first-death-queue": "orders.retry.1",
}

PROPERTY_SETS: dict[int, dict[str, Any]] = {
    0: {},
    3: {"content_type": "application/json", "delivery_mode": 2, "message_id": "1f0c9e3a77b1"},
    10: {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": FIVE_ENTRIES,
        "delivery_mode": 2,
        "priority": 5,
        "correlation_id": "9a1d2f7c",
        "reply_to": "amq.rabbitmq.reply-to",
        "message_id": "1f0c9e3a77b1",
        "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "app_id": "shop",
    },
}


class Engine(Protocol):
    """What a codec is asked to do; a name says which one it is."""

    name: str

    def properties(self, values: dict[str, Any]) -> Any:
        """Make properties of the engine's own kind, once, before the clock starts."""

    def publish(self, out: list[Any], properties: Any, content: bytes) -> None:
        """Append what goes to the socket for one message."""

    def parse(self, stream: bytes, read_properties: bool) -> int:
        """Parse deliveries into messages with method, properties and body; count them."""

    def ack(self, tag: int) -> bytes:
        """Encode basic.ack."""

    def parse_acks(self, stream: bytes) -> int:
        """Parse acks; return the last delivery tag."""

    def encode_table(self, table: dict[str, Any]) -> bytes:
        """Encode a table."""

    def decode_table(self, raw: bytes) -> dict[str, Any]:
        """Decode a table."""


class HopmqEngine:
    """One of HopMQ's codecs."""

    def __init__(self, codec: Codec) -> None:
        self.name: str = codec.name
        self._append = codec.append_publish
        self._decoder = codec.Decoder(frame_max=FRAME_MAX)
        self.ack = lambda tag: codec.encode_ack(CHANNEL, tag, False)
        self.encode_table = codec.encode_table
        self.decode_table = codec.decode_table

    def properties(self, values: dict[str, Any]) -> Properties:
        return Properties(**values)

    def publish(self, out: list[Any], properties: Any, content: bytes) -> None:
        self._append(out, CHANNEL, EXCHANGE, ROUTING_KEY, True, properties, content, FRAME_MAX)

    def parse(self, stream: bytes, read_properties: bool) -> int:
        events = self._decoder.feed(stream)
        if read_properties:
            for event in events:
                event.properties  # type: ignore[union-attr]  # noqa: B018 - decoded when read
        return len(events)

    def parse_acks(self, stream: bytes) -> int:
        return self._decoder.feed(stream)[-1].delivery_tag  # type: ignore[union-attr]


class PamqpEngine:
    """pamqp, used as the clients that build on it do."""

    name = "pamqp"
    encode_table = staticmethod(encode.field_table)

    def properties(self, values: dict[str, Any]) -> commands.Basic.Properties:
        return commands.Basic.Properties(**values)

    def publish(self, out: list[Any], properties: Any, content: bytes) -> None:
        method = commands.Basic.Publish(exchange=EXCHANGE, routing_key=ROUTING_KEY, mandatory=True)
        head = header.ContentHeader(body_size=len(content), properties=properties)
        out.append(frame.marshal(method, CHANNEL))
        out.append(frame.marshal(head, CHANNEL))
        out.append(frame.marshal(body.ContentBody(content), CHANNEL))

    def parse(self, stream: bytes, read_properties: bool) -> int:
        messages = []
        position, end = 0, len(stream)
        method: Any = None
        head: Any = None
        while position < end:
            stop = position + _frame_size(stream, position)[0] + 8
            _, _, value = frame.unmarshal(stream[position:stop])
            position = stop
            if isinstance(value, body.ContentBody):
                messages.append((method, head.properties, value.value))
            elif isinstance(value, header.ContentHeader):
                head = value
            else:
                method = value
        return len(messages)

    def ack(self, tag: int) -> bytes:
        return frame.marshal(commands.Basic.Ack(tag, False), CHANNEL)

    def parse_acks(self, stream: bytes) -> int:
        position, end = 0, len(stream)
        value: Any = None
        while position < end:
            stop = position + _frame_size(stream, position)[0] + 8
            _, _, value = frame.unmarshal(stream[position:stop])
            position = stop
        tag: int = value.delivery_tag
        return tag

    def decode_table(self, raw: bytes) -> dict[str, Any]:
        return decode.field_table(raw)[1]


def engines() -> Sequence[Engine]:
    """Return the engines that are there; the compiled codec may not be built."""
    found: list[Engine] = [HopmqEngine(PURE)]
    try:
        found.append(HopmqEngine(load_compiled()))
    except ModuleNotFoundError:
        pass
    return [*found, PamqpEngine()]
