"""An exchange: what was declared, and the router of its type."""

from collections.abc import Callable
from typing import Final

from hopmq.broker.exchanges.consistent_hash import ConsistentHashRouter
from hopmq.broker.exchanges.delayed import DELAYED, delay_of, delegate_of
from hopmq.broker.exchanges.direct import DirectRouter
from hopmq.broker.exchanges.fanout import FanoutRouter
from hopmq.broker.exchanges.headers import HeadersRouter
from hopmq.broker.exchanges.modulus_hash import ModulusHashRouter
from hopmq.broker.exchanges.random_choice import LocalRandomRouter, RandomRouter
from hopmq.broker.exchanges.router import Router
from hopmq.broker.exchanges.rules import NEWEST, RoutingRules
from hopmq.broker.exchanges.terms import type_of
from hopmq.broker.exchanges.topic import TopicRouter
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable
from hopmq.wire.events import Published

ALTERNATE: Final = "alternate-exchange"
LOCAL_RANDOM: Final = "x-local-random"

DESCRIPTIONS: Final = {
    "direct": "AMQP direct exchange, as per the AMQP specification",
    "fanout": "AMQP fanout exchange, as per the AMQP specification",
    "headers": "AMQP headers exchange, as per the AMQP specification",
    "topic": "AMQP topic exchange, as per the AMQP specification",
    "x-consistent-hash": "Consistent Hashing Exchange",
    DELAYED: "Delayed Message Exchange.",
    LOCAL_RANDOM: "Picks one random local binding (queue) to route via (to).",
    "x-modulus-hash": "Modulus Hashing Exchange",
    "x-random": "Randomly picks a binding (queue) to route via (to).",
}
"""Every type of exchange, as the management API describes it."""

_WORDS_OF_ERLANG: Final = frozenset({"", "system"})
"""Names that RabbitMQ knows, though not as types of exchanges."""

_ROUTERS: Final[dict[str, Callable[[FieldTable, RoutingRules], Router]]] = {
    "direct": lambda _arguments, _rules: DirectRouter(),
    "fanout": lambda _arguments, _rules: FanoutRouter(),
    "headers": lambda _arguments, rules: HeadersRouter(rules),
    "topic": lambda _arguments, rules: TopicRouter(rules),
    "x-consistent-hash": ConsistentHashRouter,
    LOCAL_RANDOM: lambda _arguments, _rules: LocalRandomRouter(),
    "x-modulus-hash": lambda _arguments, _rules: ModulusHashRouter(),
    "x-random": lambda _arguments, _rules: RandomRouter(),
}


def types_of(rules: RoutingRules = NEWEST) -> tuple[str, ...]:
    """Return the types of exchange that there are, in the order of their names."""
    return tuple(name for name in DESCRIPTIONS if name != LOCAL_RANDOM or rules.local_random)


def check_type(name: str, rules: RoutingRules = NEWEST) -> None:
    """Refuse a type of exchange that there is not.

    Raises:
        Refusal: 503 or, since RabbitMQ 4.0, 406.
    """
    if name in types_of(rules):
        return
    code = rules.unknown_type_code
    kind = "COMMAND_INVALID" if code == 503 else "PRECONDITION_FAILED"
    word = "invalid" if name in _WORDS_OF_ERLANG else "unknown"
    raise Refusal(code, f"{kind} - {word} exchange type '{name}'")


def new_router(type_name: str, arguments: FieldTable, rules: RoutingRules = NEWEST) -> Router:
    """Return an empty router of a type.

    Raises:
        Refusal: There is no such type, or it does not take these arguments.
    """
    check_type(type_name, rules)
    if type_name == DELAYED:
        return new_router(delegate_of(arguments), arguments, rules)
    return _ROUTERS[type_name](arguments, rules)


def check_alternate(arguments: FieldTable, exchange: str, vhost: str) -> None:
    """Refuse an alternate exchange that is no name.

    Raises:
        Refusal: 406, naming the exchange that has the argument.
    """
    name = arguments.get(ALTERNATE)
    if ALTERNATE not in arguments or isinstance(name, str):
        return
    raise Refusal(
        406,
        f"PRECONDITION_FAILED - invalid type '{type_of(name)}' for arg '{ALTERNATE}' "
        f"in exchange '{exchange}' in vhost '{vhost}'",
    )


class Exchange:
    """An exchange of a virtual host; the same as itself alone.

    Attributes:
        name: Its name; empty for the default exchange.
        type: Its type, such as `topic`.
        durable: Whether a restart keeps it.
        auto_delete: Whether it goes with its last binding.
        internal: Whether it can be published to through other exchanges only.
        arguments: What it was declared with.
        policy: What the policies that match say, such as `alternate-exchange`.
        router: Its bindings, and how they route.
        delays: Whether messages may have to wait; see `delay_of`.
    """

    __slots__ = (
        "arguments",
        "auto_delete",
        "delays",
        "durable",
        "internal",
        "name",
        "policy",
        "router",
        "type",
    )

    is_exchange: Final = True

    def __init__(
        self,
        name: str,
        type: str,
        *,
        durable: bool = False,
        auto_delete: bool = False,
        internal: bool = False,
        arguments: FieldTable | None = None,
        rules: RoutingRules = NEWEST,
    ) -> None:
        """Make an exchange without bindings.

        Raises:
            Refusal: There is no such type, or it does not take these arguments.
        """
        self.name: str = name
        self.type: str = type
        self.durable: bool = durable
        self.auto_delete: bool = auto_delete
        self.internal: bool = internal
        self.arguments: FieldTable = arguments or {}
        self.policy: FieldTable = {}
        self.router: Router = new_router(type, self.arguments, rules)
        self.delays: bool = type == DELAYED

    def __repr__(self) -> str:
        """Show name and type."""
        return f"<Exchange {self.name!r} {self.type}>"

    @property
    def alternate_exchange(self) -> str | None:
        """Name of where messages go that are not routed; an argument comes before policies."""
        name = self.arguments.get(ALTERNATE, self.policy.get(ALTERNATE))
        return name if isinstance(name, str) else None

    def delay_of(self, message: Published) -> float:
        """Return the seconds that a message has to wait here before it is routed."""
        return delay_of(message) if self.delays else 0.0
