"""The exchanges `x-random` and `x-local-random`: each message goes to one destination by chance."""

from collections.abc import Callable, Sequence
from random import choice
from typing import TypeAlias

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.router import BindingTable
from hopmq.broker.refusal import Refusal
from hopmq.wire.events import Published

_Route: TypeAlias = tuple[Destination, ...]
Choose: TypeAlias = Callable[[Sequence[_Route]], _Route]
"""What picks one of several routes."""


class RandomRouter(BindingTable):
    """Routes to the destination of any one binding; keys do not matter."""

    __slots__ = ("_choose", "_routes")

    def __init__(self, choose: Choose = choice) -> None:
        """Start without bindings."""
        super().__init__()
        self._choose = choose
        self._routes: list[_Route] | None = []

    def route(self, message: Published, routing_key: str) -> _Route:
        """Return the one destination that chance picks."""
        if self._routes is None:
            self._routes = [(binding.destination,) for binding in self._bindings]
        return self._choose(self._routes) if self._routes else ()

    def _added(self, binding: Binding) -> None:
        self._routes = None

    def _removed(self, binding: Binding) -> None:
        self._routes = None


class LocalRandomRouter(RandomRouter):
    """The same among queues of this node, which all are here; bindings have no key.

    Queues have to be classic: a destination with an attribute `kind` of another value is refused.
    """

    __slots__ = ()

    def _check(self, binding: Binding) -> None:
        if binding.routing_key:
            raise Refusal(
                406,
                f"PRECONDITION_FAILED - Non empty binding '{binding.routing_key}' "
                "key not permitted",
            )
        if binding.destination.is_exchange:
            raise Refusal(406, "PRECONDITION_FAILED - Destination not found")
        kind = getattr(binding.destination, "kind", "classic")
        if kind != "classic":
            raise Refusal(
                406,
                f"PRECONDITION_FAILED - Queue type rabbit_{kind}_queue not valid "
                "for this exchange type",
            )
