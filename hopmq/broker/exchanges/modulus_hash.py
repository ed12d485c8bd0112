"""The exchange `x-modulus-hash`: the routing key's hash picks one binding of all."""

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.hashing import hash_of
from hopmq.broker.exchanges.router import BindingTable
from hopmq.wire.events import Published


class ModulusHashRouter(BindingTable):
    """Routes by hash modulo the number of bindings, in the order of their destinations' names.

    The order makes routes the same after bindings were made anew, as in RabbitMQ. The hash is
    not RabbitMQ's.
    """

    __slots__ = ("_sorted",)

    def __init__(self) -> None:
        """Start without bindings."""
        super().__init__()
        self._sorted: list[tuple[Destination, ...]] | None = []

    def route(self, message: Published, routing_key: str) -> tuple[Destination, ...]:
        """Return the one destination of the key."""
        if self._sorted is None:
            ends = [binding.destination for binding in self._bindings]
            ends.sort(key=lambda end: (end.is_exchange, end.name))
            self._sorted = [(end,) for end in ends]
        if not self._sorted:
            return ()
        return self._sorted[hash_of(routing_key.encode()) % len(self._sorted)]

    def _added(self, binding: Binding) -> None:
        self._sorted = None

    def _removed(self, binding: Binding) -> None:
        self._sorted = None
