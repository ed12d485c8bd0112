"""The fanout exchange: every message goes to everyone bound."""

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.router import BindingTable, destinations_of
from hopmq.wire.events import Published


class FanoutRouter(BindingTable):
    """Routes to all; keys and arguments of bindings do not matter."""

    __slots__ = ("_everyone",)

    def __init__(self) -> None:
        """Start without bindings."""
        super().__init__()
        self._everyone: tuple[Destination, ...] | None = ()

    def route(self, message: Published, routing_key: str) -> tuple[Destination, ...]:
        """Return everyone bound."""
        if self._everyone is None:
            self._everyone = destinations_of(self._bindings)
        return self._everyone

    def _added(self, binding: Binding) -> None:
        self._everyone = None

    def _removed(self, binding: Binding) -> None:
        self._everyone = None
