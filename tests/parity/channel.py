"""One channel of a raw peer: what arrived on it, in order, and short names for its methods."""

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Exchange, Queue, Tx

from hopmq import wire
from hopmq.typedefs import FieldTable
from hopmq.wire import Fetched, Properties, new_method
from parity.closed import Closed, Dropped
from scripted import frames

if TYPE_CHECKING:
    from parity.driver import Peer

FrameT = TypeVar("FrameT", bound=Frame)
EventT = TypeVar("EventT")

UNASKED = (Basic.Cancel, Channel.Flow)
"""Methods that the broker sends of its own accord; all others answer a request."""


class ChannelDriver:
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
        properties: Properties | None = None,
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
            self.peer.forget(self)

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
        answer = await self._answer()
        assert isinstance(answer, reply), f"{reply.name} expected, not {answer}"
        return answer

    async def _answer(self) -> Any:  # Any: a method or a fetched message
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

    async def expect_silence(self, queue: str | None = None) -> None:
        """Prove that nothing more came: the broker answers a request, and that is all.

        With `queue`, the request is one that the queue itself answers (a passive declare), so
        whatever a classic queue sent to this channel before has come by then.
        """
        if queue is None:
            await self.qos(0)
        else:
            await self.declare(queue, passive=True)
        assert not self.inbox, f"silence expected, not {list(self.inbox)}"

    # --- requests by short names --------------------------------------------------------------

    async def close(self) -> None:
        """Close the channel in good order."""
        close = new_method(Channel.Close, reply_code=200, reply_text="done")
        await self.call(close, Channel.CloseOk)
        self.peer.forget(self)

    async def exchange(
        self,
        exchange: str,
        exchange_type: str = "direct",
        *,
        passive: bool = False,
        durable: bool = False,
        auto_delete: bool = False,
        internal: bool = False,
        arguments: FieldTable | None = None,
    ) -> None:
        """Declare an exchange."""
        method = new_method(
            Exchange.Declare,
            exchange=exchange,
            exchange_type=exchange_type,
            passive=passive,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        await self.call(method, Exchange.DeclareOk)

    async def delete_exchange(self, exchange: str, *, if_unused: bool = False) -> None:
        """Delete an exchange."""
        method = new_method(Exchange.Delete, exchange=exchange, if_unused=if_unused)
        await self.call(method, Exchange.DeleteOk)

    async def bind_exchange(
        self, destination: str, source: str, key: str = "", arguments: FieldTable | None = None
    ) -> None:
        """Bind an exchange to another."""
        method = new_method(
            Exchange.Bind,
            destination=destination,
            source=source,
            routing_key=key,
            arguments=arguments,
        )
        await self.call(method, Exchange.BindOk)

    async def unbind_exchange(
        self, destination: str, source: str, key: str = "", arguments: FieldTable | None = None
    ) -> None:
        """Remove a binding between exchanges."""
        method = new_method(
            Exchange.Unbind,
            destination=destination,
            source=source,
            routing_key=key,
            arguments=arguments,
        )
        await self.call(method, Exchange.UnbindOk)

    async def declare(
        self,
        queue: str = "",
        *,
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: FieldTable | None = None,
    ) -> Queue.DeclareOk:
        """Declare a queue."""
        method = new_method(
            Queue.Declare,
            queue=queue,
            passive=passive,
            durable=durable,
            exclusive=exclusive,
            auto_delete=auto_delete,
            arguments=arguments,
        )
        return await self.call(method, Queue.DeclareOk)

    async def count(self, queue: str) -> int:
        """Return how many messages a queue has ready."""
        return (await self.declare(queue, passive=True)).message_count or 0

    async def bind(
        self, queue: str, exchange: str, key: str = "", arguments: FieldTable | None = None
    ) -> None:
        """Bind a queue."""
        method = new_method(
            Queue.Bind, queue=queue, exchange=exchange, routing_key=key, arguments=arguments
        )
        await self.call(method, Queue.BindOk)

    async def unbind(
        self, queue: str, exchange: str, key: str = "", arguments: FieldTable | None = None
    ) -> None:
        """Remove a queue's binding."""
        method = new_method(
            Queue.Unbind, queue=queue, exchange=exchange, routing_key=key, arguments=arguments
        )
        await self.call(method, Queue.UnbindOk)

    async def purge(self, queue: str) -> int:
        """Empty a queue; return how many messages it had ready."""
        method = new_method(Queue.Purge, queue=queue)
        return (await self.call(method, Queue.PurgeOk)).message_count or 0

    async def delete(self, queue: str, *, if_unused: bool = False, if_empty: bool = False) -> int:
        """Delete a queue; return how many messages it had ready."""
        method = new_method(Queue.Delete, queue=queue, if_unused=if_unused, if_empty=if_empty)
        return (await self.call(method, Queue.DeleteOk)).message_count or 0

    async def qos(self, count: int, *, size: int = 0, global_: bool = False) -> None:
        """Set the prefetch."""
        method = new_method(Basic.Qos, prefetch_count=count, prefetch_size=size, global_=global_)
        await self.call(method, Basic.QosOk)

    async def consume(
        self,
        queue: str,
        tag: str = "",
        *,
        no_ack: bool = False,
        no_local: bool = False,
        exclusive: bool = False,
        arguments: FieldTable | None = None,
    ) -> str:
        """Start a consumer; return its tag."""
        method = new_method(
            Basic.Consume,
            queue=queue,
            consumer_tag=tag,
            no_ack=no_ack,
            no_local=no_local,
            exclusive=exclusive,
            arguments=arguments,
        )
        return str((await self.call(method, Basic.ConsumeOk)).consumer_tag)

    async def cancel(self, tag: str) -> None:
        """Stop a consumer."""
        await self.call(new_method(Basic.Cancel, consumer_tag=tag), Basic.CancelOk)

    async def get(self, queue: str, *, no_ack: bool = True) -> Fetched | None:
        """Ask for one message; None when the queue is empty."""
        self.send(Basic.Get, queue=queue, no_ack=no_ack)
        answer = await self._answer()
        if isinstance(answer, Basic.GetEmpty):
            return None
        assert isinstance(answer, wire.active.Fetched), f"a message expected, not {answer}"
        return answer

    async def drain(self, queue: str) -> list[bytes]:
        """Take everything that a queue has ready; return the bodies."""
        bodies = []
        while (message := await self.get(queue)) is not None:
            bodies.append(message.body)
        return bodies

    async def recover(self, requeue: bool = True) -> None:
        """Have everything unsettled delivered again."""
        await self.call(new_method(Basic.Recover, requeue=requeue), Basic.RecoverOk)

    async def confirm(self) -> None:
        """Switch confirms on."""
        await self.call(new_method(Confirm.Select), Confirm.SelectOk)

    async def tx(self) -> None:
        """Begin transactions."""
        await self.call(new_method(Tx.Select), Tx.SelectOk)

    async def commit(self) -> None:
        """Commit."""
        await self.call(new_method(Tx.Commit), Tx.CommitOk)

    async def rollback(self) -> None:
        """Roll back."""
        await self.call(new_method(Tx.Rollback), Tx.RollbackOk)


def _method(event: Any) -> Frame | None:  # Any: events of whichever codec is active
    return getattr(event, "method", None)
