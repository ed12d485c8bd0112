"""What every type of exchange offers: bindings in, destinations of a message out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.wire.events import Published


class Router(Protocol):
    """The bindings of one exchange, and how its type routes by them."""

    by_key: bool
    """Whether each routing key of a message (CC, BCC) is routed by itself; else the first counts."""

    reaches_exchanges: bool
    """Whether any destination is an exchange."""

    def bind(self, binding: Binding) -> bool:
        """Add a binding and return whether it is new.

        Raises:
            Refusal: The type of exchange does not take such a key or such arguments.
        """

    def unbind(self, binding: Binding) -> bool:
        """Remove a binding and return whether it was there."""

    def route(self, message: Published, routing_key: str) -> Sequence[Destination]:
        """Return each destination once, in the order of their bindings; not to be changed."""

    def bindings(self) -> Iterable[Binding]:
        """Return the bindings, oldest first."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no binding."""


class BindingTable(ABC):
    """The bindings of one exchange, oldest first: what the routers have in common."""

    __slots__ = ("_bindings", "_exchanges", "_next", "reaches_exchanges")

    by_key = False

    def __init__(self) -> None:
        """Start without bindings."""
        self._bindings: dict[Binding, int] = {}
        self._next = 0
        self._exchanges = 0
        self.reaches_exchanges: bool = False

    def bind(self, binding: Binding) -> bool:
        """Add a binding and return whether it is new; see `Router`."""
        if binding in self._bindings:
            return False
        self._check(binding)
        self._bindings[binding] = self._next
        self._next += 1
        self._count_exchanges(binding, 1)
        self._added(binding)
        return True

    def unbind(self, binding: Binding) -> bool:
        """Remove a binding and return whether it was there."""
        if self._bindings.pop(binding, None) is None:
            return False
        self._count_exchanges(binding, -1)
        self._removed(binding)
        return True

    def bindings(self) -> Iterable[Binding]:
        """Return the bindings, oldest first."""
        return tuple(self._bindings)

    @property
    def is_empty(self) -> bool:
        """Whether there is no binding."""
        return not self._bindings

    def _count_exchanges(self, binding: Binding, change: int) -> None:
        self._exchanges += change * binding.destination.is_exchange
        self.reaches_exchanges = self._exchanges > 0

    def _check(self, binding: Binding) -> None:  # noqa: B027  # most types take any
        """Refuse a binding that the type of exchange does not take."""

    @abstractmethod
    def _added(self, binding: Binding) -> None:
        """Take a new binding into what routes fast."""

    @abstractmethod
    def _removed(self, binding: Binding) -> None:
        """Take a binding out of what routes fast."""


def destinations_of(bindings: Iterable[Binding]) -> tuple[Destination, ...]:
    """Return each destination once, in the order of their first bindings."""
    return tuple(dict.fromkeys(binding.destination for binding in bindings))
