"""The direct exchange: a message goes where its routing key is bound."""

from typing import Final

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.router import BindingTable, destinations_of
from hopmq.wire.events import Published

_NOWHERE: Final[tuple[Destination, ...]] = ()


class DirectRouter(BindingTable):
    """Routes by equal keys: one look into a dict per message."""

    __slots__ = ("_by_key", "_routes")

    by_key = True

    def __init__(self) -> None:
        """Start without bindings."""
        super().__init__()
        self._by_key: dict[str, dict[Binding, None]] = {}
        self._routes: dict[str, tuple[Destination, ...]] = {}

    def route(self, message: Published, routing_key: str) -> tuple[Destination, ...]:
        """Return what is bound with just this key."""
        found = self._routes.get(routing_key)
        return self._collect(routing_key) if found is None else found

    def _collect(self, routing_key: str) -> tuple[Destination, ...]:
        """Put together the route of a key whose bindings have changed."""
        bound = self._by_key.get(routing_key)
        if bound is None:
            return _NOWHERE
        found = self._routes[routing_key] = destinations_of(bound)
        return found

    def _added(self, binding: Binding) -> None:
        self._routes.pop(binding.routing_key, None)
        self._by_key.setdefault(binding.routing_key, {})[binding] = None

    def _removed(self, binding: Binding) -> None:
        key = binding.routing_key
        self._routes.pop(key, None)
        bound = self._by_key[key]
        del bound[binding]
        if not bound:
            del self._by_key[key]
