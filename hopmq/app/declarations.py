"""What decorators note down: consumers and endpoints, as values that are checked at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal

from hopmq.app.batching import Batch
from hopmq.app.context import ConsumeMiddleware
from hopmq.app.groups import Group
from hopmq.app.ordering import OrderBy
from hopmq.app.placing import BindingKey, Place, place_of, prefixed
from hopmq.app.retry import Retry
from hopmq.app.topology import Topology
from hopmq.entities import Exchange, Queue
from hopmq.typedefs import FieldTable

Function = Callable[..., Any]
"""A handler, of any signature: what its parameters are is looked up when the application starts."""

AckPolicy = Literal["auto", "manual", "first"]
ACK_POLICIES: Final = ("auto", "manual", "first")


@dataclass(frozen=True, kw_only=True)
class ConsumerDeclaration:
    """A consumer as it was declared; see `Router.consumer` for what each field means.

    Attributes:
        prefix: Stands before the name of its queue: those of the routers that it is part of.
    """

    prefix: str = ""
    wanted_name: str | None
    function: Function
    wanted_queue: Queue | str | None
    exchange: Exchange | None
    bindings: tuple[BindingKey, ...]
    prefetch: int
    concurrency: int
    order_by: OrderBy | None
    retry: Retry | None
    ack: AckPolicy
    batch: Batch | None
    group: Group | None
    middleware: tuple[ConsumeMiddleware, ...]
    priority: int | None
    arguments: FieldTable | None

    @cached_property
    def place(self) -> Place:
        """What it reads, and what that needs.

        Raises:
            DeclarationError: It is not told, or contradictory.
        """
        return place_of(
            self.wanted_queue, self.exchange, self.bindings, self.group, prefix=self.prefix
        )

    @property
    def name(self) -> str:
        """What the application calls it."""
        return self.wanted_name or self.place.queue.name

    @property
    def stays_in_place(self) -> bool:
        """Whether a message is tried again where it is.

        A later one would overtake it otherwise; or its queue is a member's own, and a stream keeps it.
        """
        group = self.group
        of_member = group is not None and (group.partitions is not None or group.is_broadcast)
        return self.order_by is not None or of_member or self.place.queue.kind == "stream"

    def within(self, prefix: str, outer: Sequence[ConsumeMiddleware]) -> "ConsumerDeclaration":
        """Return the same as part of a router or an application."""
        return replace(self, prefix=prefix + self.prefix, middleware=(*outer, *self.middleware))


@dataclass(frozen=True, kw_only=True)
class EndpointDeclaration:
    """An endpoint as it was declared; see `Router.endpoint` for what each field means.

    Attributes:
        prefix: As of `ConsumerDeclaration`.
    """

    prefix: str = ""
    wanted_name: str | None
    function: Function
    wanted_queue: Queue
    prefetch: int
    concurrency: int
    ack: AckPolicy
    middleware: tuple[ConsumeMiddleware, ...]
    content_type: str | None

    @cached_property
    def queue(self) -> Queue:
        """The queue that requests come by."""
        return prefixed(self.wanted_queue, self.prefix)

    @property
    def name(self) -> str:
        """What the application calls it."""
        return self.wanted_name or self.queue.name

    @property
    def topology(self) -> Topology:
        """What it needs."""
        return Topology(queues=(self.queue,))

    def within(self, prefix: str, outer: Sequence[ConsumeMiddleware]) -> "EndpointDeclaration":
        """Return the same as part of a router or an application."""
        return replace(self, prefix=prefix + self.prefix, middleware=(*outer, *self.middleware))
