"""What was declared on a router, and on the routers that it includes."""

from collections.abc import Callable, Iterator
from typing import Any

from hopmq.app.context import ConsumeMiddleware
from hopmq.app.declarations import ConsumerDeclaration, EndpointDeclaration
from hopmq.app.sending import Outlet
from hopmq.app.topology import Topology
from hopmq.errors import UsageError

Hook = Callable[[], Any]
"""A function that is called when the application starts or ends; it may be a coroutine function."""


class Declared:
    """Everything that was declared on one router, in order.

    Attributes:
        prefix: What stands before the names of its queues, and of those of inner routers.
        middleware: What stands around its handlers, and around those of inner routers.
        consumers: Its consumers.
        endpoints: Its endpoints.
        destinations: What its publishers publish to.
        startup: What is called at the start.
        shutdown: What is called at the end.
        outlet: Where its publishers find the application.
    """

    def __init__(self, prefix: str, middleware: tuple[ConsumeMiddleware, ...]) -> None:
        """Have nothing yet."""
        self.prefix: str = prefix
        self.middleware: tuple[ConsumeMiddleware, ...] = middleware
        self.consumers: list[ConsumerDeclaration] = []
        self.endpoints: list[EndpointDeclaration] = []
        self.destinations: list[Topology] = []
        self.startup: list[Hook] = []
        self.shutdown: list[Hook] = []
        self.outlet: Outlet = Outlet()
        self._inner: list[Declared] = []

    def include(self, inner: "Declared") -> None:
        """Make what was declared on another router, or will be, part of this.

        Raises:
            UsageError: It is part of one already, or of itself.
        """
        if inner.outlet.is_joined or inner is self:
            raise UsageError("a router is included once, and not in itself")
        inner.outlet.join(self.outlet)
        self._inner.append(inner)

    def all_consumers(self) -> Iterator[ConsumerDeclaration]:
        """Yield the consumers, inner ones too, with prefixes and middleware around them."""
        inner = (each for declared in self._inner for each in declared.all_consumers())
        for each in (*self.consumers, *inner):
            yield each.within(self.prefix, self.middleware)

    def all_endpoints(self) -> Iterator[EndpointDeclaration]:
        """Yield the endpoints, likewise."""
        inner = (each for declared in self._inner for each in declared.all_endpoints())
        for each in (*self.endpoints, *inner):
            yield each.within(self.prefix, self.middleware)

    def all_destinations(self) -> tuple[Topology, ...]:
        """Return what publishers publish to."""
        return tuple(each for declared in self.steps() for each in declared.destinations)

    def steps(self) -> "Iterator[Declared]":
        """Yield this and all inner ones, in the order in which their hooks are called at the start."""
        yield self
        for inner in self._inner:
            yield from inner.steps()
