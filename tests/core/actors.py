"""Who takes part in a test: waiters, publishes, and the frames of a peer written by hand."""

from typing import Any

from pamqp.base import Frame

from hopmq.core.connection import ConnectionCore
from hopmq.errors import HopMQError
from hopmq.wire import PURE, Properties, Returned, new_method

NO_LIMIT = 2**32 - 1


class Waiting:
    """Somebody who waits for a reply, as a future would."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: Any = None
        self.answers = 0
        self.cancelled = False

    def done(self) -> bool:
        return self.cancelled or self.answers > 0

    def cancel(self) -> None:
        self.cancelled = True

    def set_result(self, result: Any, /) -> None:
        assert not self.done()
        self.result = result
        self.answers += 1

    def set_exception(self, error: BaseException, /) -> None:
        assert not self.done()
        self.error = error
        self.answers += 1


class Publish:
    """A publish that remembers how it ended; it must end once."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.is_awaited = False
        self.outcome: str | None = None
        self.came_back: Returned | None = None
        self.error: HopMQError | None = None

    def _end(self, outcome: str) -> None:
        assert self.outcome is None, f"{self.outcome}, and now {outcome}"
        self.outcome = outcome

    def confirmed(self) -> bool:
        self._end("confirmed")
        return self.is_awaited

    def nacked(self) -> None:
        self._end("nacked")

    def returned(self, message: Returned) -> None:
        assert self.outcome is None
        self.came_back = message

    def lost(self, error: HopMQError) -> None:
        self._end("lost")
        self.error = error


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Write a frame of any kind."""
    head = bytes([kind]) + channel.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    return head + payload + b"\xce"


def method(channel: int, kind: type[Frame], **fields: object) -> bytes:
    """Write a method frame."""
    return PURE.encode_method(channel, new_method(kind, **fields), NO_LIMIT)


def deliver(channel: int, consumer_tag: str, delivery_tag: int, body: bytes = b"body") -> bytes:
    """Write the frames of a delivery."""
    out: list[Any] = []
    PURE.append_deliver(
        out, channel, consumer_tag, delivery_tag, False, "x", "key", None, body, 131_072
    )
    return b"".join(out)


def get_ok(channel: int, delivery_tag: int, body: bytes = b"body") -> bytes:
    """Write the frames of a get-ok."""
    out: list[Any] = []
    PURE.append_get_ok(out, channel, delivery_tag, False, "x", "key", 7, None, body, 131_072)
    return b"".join(out)


def returned(channel: int, headers: dict[str, Any] | None = None, body: bytes = b"body") -> bytes:
    """Write the frames of a return."""
    out: list[Any] = []
    properties = PURE.encode_properties(Properties(headers=headers))
    PURE.append_return(out, channel, 312, "NO_ROUTE", "x", "key", properties, body, 131_072)
    return b"".join(out)


def published(channel: int, body: bytes = b"body") -> bytes:
    """Write the frames of a publish."""
    out: list[Any] = []
    PURE.append_publish(out, channel, "x", "key", False, None, body, 131_072)
    return b"".join(out)


def written(core: ConnectionCore, now: float = 0.0) -> list[Any]:
    """Take what a core wants sent, as the events that a peer would see."""
    return parsed(b"".join(core.data_to_send(now)))


def parsed(data: bytes) -> list[Any]:
    """Read frames back, whatever their size."""
    decoder = PURE.Decoder(frame_max=NO_LIMIT)
    events = list(decoder.feed(data))
    while batch := decoder.more():
        events += batch
    return events


def methods(events: list[Any]) -> list[Frame]:
    """Pick the methods out of what was written."""
    return [event.method for event in events if type(event) is PURE.Method]


def names(events: list[Any]) -> list[str]:
    """Name what was written: methods by their own name, the rest by its class."""
    return [
        event.method.name if type(event) is PURE.Method else type(event).__name__
        for event in events
    ]
