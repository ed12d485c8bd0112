"""Groups of consumers as values: what each needs of the broker, and what it is called there."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from hopmq.app.errors import DeclarationError
from hopmq.app.groups.hashing import partition_of
from hopmq.app.messaging import Messaging
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable, FieldValue
from hopmq.values import Value

HashedBy = Literal["broker", "publisher"]

_MOST_PARTITIONS: Final = 1024
_DELIVERY_LIMIT: Final = 1000
"""Of partitions: whatever a member has unread counts as delivered whenever its channel ends.

It is not left out, since without one RabbitMQ 3.10 puts last what is given back.
"""


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Group(Value):
    """Consumers that share the messages of an exchange: `Group("billing")`.

    Each message goes to one member, whichever is free. With `partitions`, messages of one key
    (their routing key, or a header) are handled in order and never by two members at once. In a
    group made by `Group.broadcast`, each message goes to every member.

    Attributes:
        name: Of the group; its queues are called after exchange and group.
        partitions: Queues that keys are spread over, and so how many members can be at work at
            once. Once there are messages it is not to be changed: keys would move to other queues.
        hash_on: The header that holds the key; the routing key by default.
        hashed_by: `broker`, which takes the plugin `rabbitmq_consistent_hash_exchange`, or
            `publisher`: then messages are published to `exchange_name` with `routing_key`.
        kind: What queues are.
        arguments: Any others of queues.
        member: What this member's queue is called, in a group made by `broadcast`.
        is_broadcast: Whether each message goes to every member.

    Raises:
        DeclarationError: Options that do not go together.
    """

    name: str
    partitions: int | None = field(default=None, kw_only=True)
    hash_on: str | None = field(default=None, kw_only=True)
    hashed_by: HashedBy = field(default="broker", kw_only=True)
    kind: Literal["quorum", "classic"] = field(default="quorum", kw_only=True)
    arguments: FieldTable = field(default_factory=dict, kw_only=True)
    member: str | None = field(default=None, kw_only=True)
    is_broadcast: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.name:
            raise DeclarationError("a group has a name")
        if self.partitions is not None and not 1 <= self.partitions <= _MOST_PARTITIONS:
            raise DeclarationError(
                f"{self!r}: a group has 1 to {_MOST_PARTITIONS} partitions, not {self.partitions}"
            )
        if self.hashed_by not in {"broker", "publisher"}:
            raise DeclarationError(f"{self!r}: hashed_by is 'broker' or 'publisher'")
        if self.partitions is None and (self.hash_on is not None or self.hashed_by != "broker"):
            raise DeclarationError(
                f"{self!r}: hash_on and hashed_by are for groups with partitions"
            )
        if self.is_broadcast and self.partitions is not None:
            raise DeclarationError(f"{self!r}: all members of a group get all, or share partitions")
        if self.member is not None and not self.is_broadcast:
            raise DeclarationError(f"{self!r}: member= is for Group.broadcast")
        if self.hash_on is not None and self.hashed_by == "publisher":
            raise DeclarationError(
                f"{self!r}: hash_on is for the broker; publishers choose the key"
            )

    @classmethod
    def broadcast(
        cls, name: str, *, member: str | None = None, arguments: FieldTable | None = None
    ) -> "Group":
        """Return a group in which each message goes to every member that is there.

        The queue of a member is its connection's own and goes with its consumer: it misses what is
        published while it is away or paused.

        Args:
            name: See `Group`.
            member: What this member's queue is called; the broker chooses by default. No other
                member may have the same.
            arguments: Of the queue.
        """
        return cls(name, arguments=arguments or {}, member=member, is_broadcast=True)

    # --- names ---------------------------------------------------------------------------------

    def queue_name(self, exchange: str) -> str:
        """Return the name of the queue, or what those of all partitions or members begin with."""
        return f"{exchange}.{self.name}"

    def exchange_name(self, exchange: str) -> str:
        """Return the name of the exchange that gives messages to partitions, or to all members.

        Groups that share a queue have none.
        """
        return f"{exchange}.{self.name}"

    def partition_names(self, exchange: str) -> tuple[str, ...]:
        """Return the names of the partitions' queues, in order."""
        return tuple(f"{exchange}.{self.name}.{number}" for number in range(self.partitions or 0))

    def members_name(self, exchange: str) -> str:
        """Return the name of the exchange by which members of a partitioned group find each other."""
        return f"{exchange}.{self.name}.members"

    # --- where publishers decide ---------------------------------------------------------------

    def partition_of(self, key: str | bytes) -> int:
        """Return the partition that messages of this key go to; see `hashing.partition_of`.

        Raises:
            UsageError: Publishers do not decide that here.
        """
        if self.partitions is None or self.hashed_by != "publisher":
            raise UsageError(
                f"{self!r}: only with hashed_by='publisher' is a key's partition known"
            )
        return partition_of(key, self.partitions)

    def routing_key(self, key: str | bytes) -> str:
        """Return what to publish messages of this key with, to the exchange of `exchange_name`.

        Raises:
            UsageError: Publishers do not decide that here.
        """
        return str(self.partition_of(key))

    # --- what it needs -------------------------------------------------------------------------

    @property
    def has_one_queue(self) -> bool:
        """Whether members share a queue; otherwise an exchange leads to those there are."""
        return self.partitions is None and not self.is_broadcast

    @property
    def is_bound(self) -> bool:
        """Whether bindings lead from the exchange to it; False where publishers publish to it."""
        return self.hashed_by == "broker"

    def topology(self, exchange: Exchange, bindings: Iterable[Binding] = ()) -> Topology:
        """Return what is declared before a member starts.

        Args:
            exchange: Where messages come from.
            bindings: How they come from there; where they lead to is the group's business.

        Raises:
            DeclarationError: There are bindings, and it is not bound.
        """
        bindings = tuple(bindings)
        if self.is_broadcast:
            return Topology(exchanges=(exchange, self._way_to_members(exchange)))
        if self.partitions is not None:
            return self._partitioned(exchange, bindings)
        name = self.queue_name(exchange.name)
        return Topology(
            exchanges=(exchange,),
            queues=(self.queue(name),),
            bindings=_leading_to(name, "queue", bindings),
        )

    def queue(self, name: str) -> Queue:
        """Return a queue as the group has them, of another name maybe."""
        if self.is_broadcast:
            return Queue(
                name, durable=False, exclusive=True, auto_delete=True, arguments=self.arguments
            )
        own: dict[str, FieldValue] = {"x-queue-type": self.kind}
        if self.partitions is not None:
            own["x-single-active-consumer"] = True
            if self.kind == "quorum":
                own["x-delivery-limit"] = _DELIVERY_LIMIT
        return Queue(name, arguments={**own, **self.arguments})

    async def join(
        self, messaging: Messaging, exchange: Exchange, bindings: Iterable[Binding] = ()
    ) -> str:
        """Declare and bind the queue of a member of a group made by `broadcast`; return its name.

        Raises:
            ResourceLockedError: Another member has the name.
        """
        name = "" if self.member is None else f"{self.queue_name(exchange.name)}.{self.member}"
        info = await messaging.declare_queue(self.queue(name))
        way = self._way_to_members(exchange)
        ways = (*bindings, Binding(way.name, info.name))
        await Topology(exchanges=(way,), bindings=_leading_to(info.name, "queue", ways)).declare(
            messaging
        )
        return info.name

    # --- inside ------------------------------------------------------------------------------

    def _way_to_members(self, exchange: Exchange) -> Exchange:
        """Return what leads to the members alone: what they have parked comes back by it."""
        return Exchange.fanout(self.exchange_name(exchange.name))

    def _partitioned(self, exchange: Exchange, bindings: tuple[Binding, ...]) -> Topology:
        by_broker = self.hashed_by == "broker"
        if bindings and not by_broker:
            raise DeclarationError(
                f"{self!r}: publishers publish to {self.exchange_name(exchange.name)!r} themselves; "
                "there is nothing to bind"
            )
        name = self.exchange_name(exchange.name)
        header: FieldTable = {} if self.hash_on is None else {"hash-header": self.hash_on}
        spreading = Exchange(name, "x-consistent-hash" if by_broker else "direct", arguments=header)
        queues = self.partition_names(exchange.name)
        # All queues first: a key would move to another one with each that is bound later.
        spread = tuple(
            Binding(name, queue, routing_key="1" if by_broker else str(number))
            for number, queue in enumerate(queues)
        )
        return Topology(
            exchanges=(
                *((exchange,) if by_broker else ()),
                spreading,
                Exchange.fanout(self.members_name(exchange.name)),
            ),
            queues=tuple(map(self.queue, queues)),
            bindings=spread + _leading_to(name, "exchange", bindings),
        )


def _leading_to(
    destination: str, kind: Literal["queue", "exchange"], bindings: Iterable[Binding]
) -> tuple[Binding, ...]:
    return tuple(replace(each, destination=destination, kind=kind) for each in bindings)
