"""A channel with short names for the requests of AMQP 0-9-1."""

from pamqp.commands import Basic, Channel, Confirm, Exchange, Queue, Tx

from hopmq import wire
from hopmq.typedefs import FieldTable
from hopmq.wire import Fetched, new_method
from parity.raw_channel import RawChannel


class ChannelDriver(RawChannel):
    """A channel without any logic of a client: every method sends one request."""

    async def expect_silence(self, queue: str | None = None) -> None:
        """Prove that nothing more came: the broker answers a request, and that is all.

        With `queue`, the request is one that the queue itself answers (a passive declare), so
        whatever a classic queue delivered to this channel before has come by then. `put` makes
        sure that it has dealt with what was published.
        """
        if queue is None:
            await self.qos(0)
        else:
            await self.declare(queue, passive=True)
        assert not self.inbox, f"silence expected, not {list(self.inbox)}"

    async def close(self) -> None:
        """Close the channel in good order."""
        close = new_method(Channel.Close, reply_code=200, reply_text="done")
        await self.call(close, Channel.CloseOk)
        self.peer.forget(self.number)

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
        """Return how many messages a queue has ready; see `put` on what it may not know yet."""
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
        answer = await self.answer()
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
