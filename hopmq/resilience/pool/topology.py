"""Declaring, binding, purging and deleting by a pool."""

from abc import ABC, abstractmethod

from hopmq.client.connection import Connection
from hopmq.entities import Exchange, Queue, QueueInfo, name_of
from hopmq.resilience.pool.side import Side
from hopmq.typedefs import FieldTable


class PooledTopology(ABC):
    """What a pool offers as connections and channels do; see these for arguments and errors.

    All of it is done on one connection, so that this one knows what is to be restored. It is one
    for consuming: a broker that has blocked publishing answers there still.
    """

    def __init__(self) -> None:
        """Have declared nothing."""
        self._homes: dict[str, int] = {}
        self._held: set[int] = set()

    @abstractmethod
    def _consuming_side(self) -> Side:
        """Return the side that declares, once the pool is open."""

    @abstractmethod
    async def _connected(self) -> None:
        """Wait until that side has a connection."""

    async def _topology(self) -> Connection:
        """Return the connection that declares, the oldest one; it is kept from now on."""
        side = self._consuming_side()
        while not side.connections:
            await self._connected()
        number, connection = next(iter(side.connections.items()))
        if number not in self._held:
            self._held.add(number)
            side.sizing.hold(number)
        return connection

    def _home_of(self, queue: str) -> int | None:
        """Return the connection that alone can use `queue`; None when any can."""
        return self._homes.get(queue)

    def _connection_ended(self, number: int) -> None:
        """Forget the exclusive queues that went with a connection."""
        self._held.discard(number)
        self._homes = {queue: home for queue, home in self._homes.items() if home != number}

    def _declared_exclusively(self, queue: str, connection: Connection) -> None:
        for number, other in self._consuming_side().connections.items():
            if other is connection:
                self._homes[queue] = number

    async def server_properties(self) -> FieldTable:
        """Return what the broker says of itself; see `Connection.server_properties`."""
        connection = await self._topology()
        return connection.server_properties

    async def declare_queue(
        self,
        queue: Queue | str,
        *,
        durable: bool | None = None,
        exclusive: bool | None = None,
        auto_delete: bool | None = None,
        arguments: FieldTable | None = None,
        passive: bool = False,
    ) -> QueueInfo:
        """Create a queue unless it exists; one that is exclusive is the pool's.

        See `Channel.declare_queue`. `consume` finds the connection that an exclusive queue
        belongs to; borrowed channels may be of another one.
        """
        connection = await self._topology()
        info = await connection.declare_queue(
            queue,
            durable=durable,
            exclusive=exclusive,
            auto_delete=auto_delete,
            arguments=arguments,
            passive=passive,
        )
        is_exclusive = isinstance(queue, Queue) and queue.exclusive
        if (is_exclusive if exclusive is None else exclusive) and not passive:
            self._declared_exclusively(info.name, connection)
        return info

    async def declare_exchange(
        self,
        exchange: Exchange | str,
        type: str | None = None,  # the protocol's own word
        *,
        durable: bool | None = None,
        auto_delete: bool | None = None,
        internal: bool | None = None,
        arguments: FieldTable | None = None,
        passive: bool = False,
    ) -> Exchange:
        """Create an exchange unless it exists; see `Channel.declare_exchange`."""
        connection = await self._topology()
        return await connection.declare_exchange(
            exchange,
            type,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
            passive=passive,
        )

    async def declare(self, *entities: Queue | Exchange) -> None:
        """Declare several entities, pipelined, in order; see `Channel.declare`."""
        connection = await self._topology()
        await connection.declare(*entities)
        for entity in entities:
            if isinstance(entity, Queue) and entity.exclusive and entity.name:
                self._declared_exclusively(entity.name, connection)

    async def bind(
        self,
        queue: Queue | str,
        exchange: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Let messages of `exchange` that match reach `queue`; see `Channel.bind`."""
        connection = await self._topology()
        await connection.bind(queue, exchange, routing_key, arguments=arguments)

    async def unbind(
        self,
        queue: Queue | str,
        exchange: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Undo a `bind`; see `Channel.unbind`."""
        connection = await self._topology()
        await connection.unbind(queue, exchange, routing_key, arguments=arguments)

    async def bind_exchange(
        self,
        destination: Exchange | str,
        source: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Let messages of `source` that match reach `destination`; see `Channel.bind_exchange`."""
        connection = await self._topology()
        await connection.bind_exchange(destination, source, routing_key, arguments=arguments)

    async def unbind_exchange(
        self,
        destination: Exchange | str,
        source: Exchange | str,
        routing_key: str = "",
        *,
        arguments: FieldTable | None = None,
    ) -> None:
        """Undo a `bind_exchange`; see `Channel.unbind_exchange`."""
        connection = await self._topology()
        await connection.unbind_exchange(destination, source, routing_key, arguments=arguments)

    async def purge(self, queue: Queue | str) -> int:
        """Drop the messages that are ready in `queue`; return how many there were."""
        connection = await self._topology()
        return await connection.purge(queue)

    async def delete_queue(
        self, queue: Queue | str, *, if_unused: bool = False, if_empty: bool = False
    ) -> int:
        """Delete a queue; return how many messages went with it; see `Channel.delete_queue`."""
        connection = await self._topology()
        count = await connection.delete_queue(queue, if_unused=if_unused, if_empty=if_empty)
        self._homes.pop(name_of(queue), None)
        return count

    async def delete_exchange(self, exchange: Exchange | str, *, if_unused: bool = False) -> None:
        """Delete an exchange; see `Channel.delete_exchange`."""
        connection = await self._topology()
        await connection.delete_exchange(exchange, if_unused=if_unused)
