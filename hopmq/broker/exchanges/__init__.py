"""Exchanges and bindings: from a published message to the queues that it goes to."""

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.exchange import Exchange, check_alternate, check_type, new_router
from hopmq.broker.exchanges.resolution import resolve
from hopmq.broker.exchanges.router import Router
from hopmq.broker.exchanges.rules import NEWEST, RULES, RoutingRules
from hopmq.broker.exchanges.sender_selected import (
    disclosed_keys_of,
    routing_keys_of,
    without_blind,
)

__all__ = [
    "NEWEST",
    "RULES",
    "Binding",
    "Destination",
    "Exchange",
    "Router",
    "RoutingRules",
    "check_alternate",
    "check_type",
    "disclosed_keys_of",
    "new_router",
    "resolve",
    "routing_keys_of",
    "without_blind",
]
