"""The exchange `x-consistent-hash`: equal keys go to one destination, shared out by weight."""

import re
from collections.abc import Callable
from math import log
from typing import Final

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.hashing import BITS, hash_of, mixed
from hopmq.broker.exchanges.headers import headers_of
from hopmq.broker.exchanges.router import BindingTable
from hopmq.broker.exchanges.rules import NEWEST, RoutingRules
from hopmq.broker.exchanges.terms import term
from hopmq.broker.exchanges.values import content, seconds_of
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable
from hopmq.wire.events import Published

REMEMBERED: Final = 4096
"""How many keys are remembered with their destinations."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DIGITS: Final = 18
"""Digits of a weight that are told apart; more is as much as that."""


def weight_of(key: str) -> int | None:
    """Return the number that a binding key spells, or None."""
    if not _INTEGER.fullmatch(key):
        return None
    sign, digits = key[0] == "-", key.lstrip("+-").lstrip("0")
    number = int(digits[:_DIGITS] or "0") if len(digits) <= _DIGITS else 10**_DIGITS
    return -number if sign else number


class ConsistentHashRouter(BindingTable):
    """Routes by rendezvous hashing: each message goes to the destination that scores highest.

    Shares are as RabbitMQ's: in proportion to the weights. Which destination a key gets is not:
    RabbitMQ's depends on Erlang's generator of random numbers. And when a binding comes or
    goes, only the keys move that it gets or had, where RabbitMQ moves others too.

    As in RabbitMQ, a destination counts once, with the weight of its oldest binding. A key that
    is not remembered costs one step for each destination.
    """

    __slots__ = ("_bound", "_key_of", "_places", "_routes", "_rules")

    def __init__(self, arguments: FieldTable, rules: RoutingRules = NEWEST) -> None:
        """Start without bindings.

        Raises:
            Refusal: `hash-header` and `hash-property` are given together, or wrongly.
        """
        super().__init__()
        self._rules = rules
        self._key_of = _key_function(arguments)
        self._bound: dict[Destination, dict[Binding, None]] = {}
        self._places: dict[Destination, tuple[int, float]] = {}
        self._routes: dict[bytes, tuple[Destination, ...]] = {}

    def route(self, message: Published, routing_key: str) -> tuple[Destination, ...]:
        """Return the one destination of the message's key."""
        key = self._key_of(message, routing_key)
        found = self._routes.get(key)
        if found is None:
            if len(self._routes) >= REMEMBERED:
                self._routes.clear()
            found = self._routes[key] = self._choose(hash_of(key))
        return found

    def _choose(self, number: int) -> tuple[Destination, ...]:
        """Return the destination with the highest score, which weights raise in proportion.

        With u even between 0 and 1, -ln(u) / weight is the time until something of that rate
        happens; each is the first in proportion to its rate.
        """
        if not self._places:
            return ()
        scale = 1 << BITS

        def time(place: tuple[int, float]) -> float:
            seed, weight = place
            return -log((mixed(number, seed) + 0.5) / scale) / weight

        return (min(self._places, key=lambda destination: time(self._places[destination])),)

    def _check(self, binding: Binding) -> None:
        weight = weight_of(binding.routing_key)
        most = self._rules.hash_weight
        if weight is None:
            fault = f"must be an integer: {term(binding.routing_key)}"
        elif weight < 1:
            fault = "must be greater than 0"
        elif most is not None and weight > most:
            fault = f"must not exceed {most}"
        else:
            return
        raise Refusal(406, f"PRECONDITION_FAILED - The binding key {fault}")

    def _added(self, binding: Binding) -> None:
        self._bound.setdefault(binding.destination, {})[binding] = None
        self._place(binding.destination)

    def _removed(self, binding: Binding) -> None:
        del self._bound[binding.destination][binding]
        self._place(binding.destination)

    def _place(self, destination: Destination) -> None:
        """Give a destination the weight of its oldest binding, or no place without any."""
        self._routes.clear()
        self._places.pop(destination, None)
        oldest = next(iter(self._bound[destination]), None)
        if oldest is None:
            del self._bound[destination]
            return
        kind = "exchange" if destination.is_exchange else "queue"
        seed = hash_of(f"{kind} {destination.name}".encode())
        self._places[destination] = seed, float(weight_of(oldest.routing_key) or 1)


# --- what is hashed ------------------------------------------------------------------------------

_KeyFunction = Callable[[Published, str], bytes]


def _key_function(arguments: FieldTable) -> _KeyFunction:
    header, named = arguments.get("hash-header"), arguments.get("hash-property")
    for value in (header, named):
        if value is not None and not isinstance(value, str):
            raise Refusal(541, "INTERNAL_ERROR")
    if isinstance(header, str) and isinstance(named, str):
        raise Refusal(
            406,
            "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive",
        )
    if isinstance(header, str):
        return _header_function(header)
    if isinstance(named, str):
        if named not in _PROPERTIES:
            raise Refusal(406, f"PRECONDITION_FAILED - Unsupported property: {named}")
        return _PROPERTIES[named]
    return _routing_key


def _routing_key(_message: Published, routing_key: str) -> bytes:
    return routing_key.encode()


def _header_function(name: str) -> _KeyFunction:
    def from_header(message: Published, _routing_key: str) -> bytes:
        value = headers_of(message).get(name)
        return value.encode() if isinstance(value, str) else repr(content(value)).encode()

    return from_header


def _correlation_id(message: Published, _routing_key: str) -> bytes:
    return (message.properties.correlation_id or "").encode()


def _message_id(message: Published, _routing_key: str) -> bytes:
    return (message.properties.message_id or "").encode()


def _timestamp(message: Published, _routing_key: str) -> bytes:
    moment = message.properties.timestamp
    return b"" if moment is None else str(seconds_of(moment)).encode()


_PROPERTIES: Final[dict[str, _KeyFunction]] = {
    "correlation_id": _correlation_id,
    "message_id": _message_id,
    "timestamp": _timestamp,
}
