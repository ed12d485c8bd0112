"""One channel of a raw peer: what is sent, and what arrived, in order."""

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Exchange, Queue

from hopmq import wire
from hopmq.wire import Properties, new_method
from parity.closed import Closed, Dropped
from scripted import frames

if TYPE_CHECKING:
    from parity.driver import Peer

FrameT = TypeVar("FrameT", bound=Frame)
EventT = TypeVar("EventT")

UNASKED = (Basic.Cancel, Channel.Flow)
"""Methods that the broker sends of its own accord; all others answer a request."""


class RawChannel:
    """A channel without any logic of a client.

    Requests and what the broker sends of its own accord are kept apart only when taken out:
    `call` takes the next answer and leaves deliveries, returns and confirms before it in place;
    `next` takes the next of those, and fails if it is not of the kind that is expected.

    Attributes:
        number: The channel's number.
        inbox: What arrived and was not taken yet, in order.
        closed: How the broker closed the channel, if it did.
    """

    def __init__(self, peer: "Peer", number: int) -> None:
        self.peer = peer
        self.number = number
        self.inbox: deque[Any] = deque()  # Any: events of whichever codec is active
        self.closed: Closed | None = None

    def __repr__(self) -> str:
        """Show the number."""
        return f"<channel {self.number}>"

    # --- sending ------------------------------------------------------------------------------

    def send(self, method: Frame | type[Frame], **fields: object) -> None:
        """Send a method, given as such or as its class with the fields that are not empty."""
        if isinstance(method, type):
            method = new_method(method, **fields)
        self._take_note(method)
        self.peer.write(wire.active.encode_method(self.number, method, 1 << 31))

    def raw(self, class_id: int, method_id: int, arguments: bytes = b"") -> None:
        """Send the frame of a method that need not exist."""
        self.peer.write(frames.raw_method(self.number, class_id, method_id, arguments))

    def frame(self, kind: int, payload: bytes) -> None:
        """Send a frame of any type."""
        self.peer.write(frames.frame(kind, self.number, payload))

    def publish(
        self,
        body: bytes = b"",
        *,
        exchange: str = "",
        routing_key: str = "",
        properties: Properties | bytes | None = None,
        mandatory: bool = False,
        immediate: bool = False,
    ) -> None:
        """Send a message, whole."""
        pieces: list[bytes | memoryview] = []
        wire.active.append_publish(
            pieces,
            self.number,
            exchange,
            routing_key,
            mandatory,
            properties,
            body,
            self.peer.frame_max or 131_072,
        )
        data = b"".join(pieces)
        if immediate:  # the last argument of the method, which no client of today has
            size = int.from_bytes(data[3:7], "big")
            bits = bytes([data[6 + size] | 2])
            data = data[: 6 + size] + bits + data[7 + size :]
        self.peer.write(data)

    def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Send basic.ack."""
        self.peer.write(wire.active.encode_ack(self.number, delivery_tag, multiple))

    def nack(self, delivery_tag: int, multiple: bool = False, requeue: bool = True) -> None:
        """Send basic.nack."""
        self.peer.write(wire.active.encode_nack(self.number, delivery_tag, multiple, requeue))

    def reject(self, delivery_tag: int, requeue: bool = True) -> None:
        """Send basic.reject."""
        self.peer.write(wire.active.encode_reject(self.number, delivery_tag, requeue))

    def _take_note(self, method: Frame) -> None:
        if isinstance(method, (Queue.Declare, Exchange.Declare)):
            self.peer.declared.append(method)

    # --- receiving ----------------------------------------------------------------------------

    def arrived(self, event: Any) -> None:  # Any: events of whichever codec is active
        """Keep what came."""
        method = getattr(event, "method", None)
        if not isinstance(method, Channel.Close):
            self.inbox.append(event)
            return
        self.closed = Closed.by(method)
        if self.peer.answers_closes:
            self.send(Channel.CloseOk)
            self.peer.forget(self.number)

    def _over(self) -> Exception | None:
        if self.closed or self.peer.closed:
            return self.closed or self.peer.closed
        return Dropped("the broker hung up without a close") if self.peer.gone else None

    async def call(self, method: Frame, reply: type[FrameT]) -> FrameT:
        """Send a request and return its answer.

        Raises:
            Closed: The broker closed the channel or the connection instead.
            Dropped: It hung up.
        """
        self.send(method)
        return await self.expect(reply)

    async def expect(self, reply: type[FrameT]) -> FrameT:
        """Return the next answer, which is to be of that class."""
        answer = await self.answer()
        assert isinstance(answer, reply), f"{reply.name} expected, not {answer}"
        return answer

    async def answer(self) -> Any:  # Any: a method or a fetched message
        """Return the next answer, whatever it is."""

        def look() -> Any:
            for event in self.inbox:
                method = event if isinstance(event, wire.active.Fetched) else _method(event)
                if method is not None and not isinstance(method, UNASKED):
                    self.inbox.remove(event)
                    return method
            return self._over()

        found = await self.peer.wait(look)
        if isinstance(found, (Closed, Dropped)):
            raise found
        return found

    async def any(self) -> Any:  # Any: an event or a method
        """Return whatever is next in the inbox; methods as such."""

        def look() -> Any:
            return self.inbox.popleft() if self.inbox else self._over()

        found = await self.peer.wait(look)
        if isinstance(found, (Closed, Dropped)):
            raise found
        method = _method(found)
        return found if method is None else method  # not `or`: methods are empty, hence false

    async def next(self, kind: type[EventT]) -> EventT:
        """Return the next thing in the inbox, which is to be of that class."""
        event = await self.any()
        # By name: the classes of the active codec need not be the ones imported by tests.
        assert type(event).__name__ == kind.__name__, f"{kind.__name__} expected, not {event}"
        return event  # type: ignore[no-any-return]

    async def collect(self, kind: type[EventT], count: int) -> list[EventT]:
        """Return the next `count` things in the inbox, all to be of that class."""
        return [await self.next(kind) for _ in range(count)]

    async def until_closed(self) -> Closed:
        """Wait until the broker closes the channel or the connection, and return how."""
        found = await self.peer.wait(self._over)
        if isinstance(found, Dropped):
            raise found
        assert isinstance(found, Closed)
        return found

    async def until_cancelled(self) -> str:
        """Return the tag of the consumer that the broker cancels next."""
        return str((await self.next(Basic.Cancel)).consumer_tag)

    async def put(self, body: bytes = b"", **fields: Any) -> None:  # Any: as for publish
        """Publish and wait for the confirm, which proves that the queues have the message.

        What they deliver for it to this channel has come by then, and for another channel when
        that one answers its next request. Nothing else proves that: RabbitMQ's queues answer a
        passive declare before what was published earlier.
        """

        def look() -> Any:
            for event in self.inbox:
                if isinstance(event, wire.active.Ack):
                    self.inbox.remove(event)
                    return event
            return self._over()

        self.publish(body, **fields)
        found = await self.peer.wait(look)
        if isinstance(found, (Closed, Dropped)):
            raise found


def _method(event: Any) -> Frame | None:  # Any: events of whichever codec is active
    return getattr(event, "method", None)
