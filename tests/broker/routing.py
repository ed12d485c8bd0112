"""Destinations, bindings and messages for the tests of exchanges."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hopmq.broker.exchanges import Binding, Destination, Exchange
from hopmq.broker.exchanges.router import Router
from hopmq.typedefs import FieldTable
from hopmq.wire.events import Published
from hopmq.wire.properties import Properties, encode_properties


@dataclass(slots=True, eq=False)
class Place:
    """A queue as exchanges see it."""

    name: str
    is_exchange: bool = field(default=False, kw_only=True)
    kind: str = field(default="classic", kw_only=True)


def binding(destination: Destination, key: str = "", **arguments: object) -> Binding:
    """Return a binding from the exchange `x`."""
    return Binding("x", destination, key, arguments)  # type: ignore[arg-type]


def bind(exchange: Exchange, destination: Destination, key: str = "") -> None:
    """Bind to an exchange."""
    exchange.router.bind(Binding(exchange.name, destination, key))


def message(key: str = "", headers: FieldTable | None = None, **properties: object) -> Published:
    """Return a published message."""
    raw = encode_properties(Properties(headers=headers, **properties))  # type: ignore[arg-type]
    return Published(routing_key=key, raw_properties=raw)


def names(destinations: Iterable[Destination]) -> list[str]:
    """Return the names of destinations."""
    return [each.name for each in destinations]


def routed(router: Router, key: str = "", headers: FieldTable | None = None) -> list[str]:
    """Return the names of where a router sends a message."""
    return names(router.route(message(key, headers), key))
