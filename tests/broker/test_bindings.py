"""Bindings: what makes one itself, and that routers forget what was unbound."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hopmq.broker.exchanges import RULES, Binding, Exchange
from hopmq.broker.exchanges.consistent_hash import ConsistentHashRouter
from hopmq.broker.exchanges.direct import DirectRouter
from hopmq.broker.exchanges.fanout import FanoutRouter
from hopmq.broker.exchanges.headers import HeadersRouter
from hopmq.broker.exchanges.modulus_hash import ModulusHashRouter
from hopmq.broker.exchanges.random_choice import RandomRouter
from hopmq.broker.exchanges.router import Router
from hopmq.broker.exchanges.topic import TopicRouter
from hopmq.typedefs import FieldTable
from trials import trials

from .routing import Place, binding, routed

QUEUE = Place("q")

ROUTERS: dict[str, Callable[[], Router]] = {
    "direct": DirectRouter,
    "fanout": FanoutRouter,
    "topic": lambda: TopicRouter(RULES["4.0"]),
    "headers": HeadersRouter,
    "x-consistent-hash": lambda: ConsistentHashRouter({}),
    "x-modulus-hash": ModulusHashRouter,
    "x-random": lambda: RandomRouter(lambda routes: routes[-1]),
}


@pytest.fixture(params=ROUTERS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return each type of exchange in turn."""
    return str(request.param)


# --- one binding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "one, other, same",
    [
        ({}, {}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": "b"}, {"a": b"b"}, False),
        ({"a": 5}, {"a": datetime.fromtimestamp(5, UTC)}, False),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True),
    ],
)
def test_arguments_are_part_of_a_binding(one: FieldTable, other: FieldTable, same: bool) -> None:
    first, second = (Binding("x", QUEUE, "k", table) for table in (one, other))
    assert (first == second) is same
    if same:
        assert hash(first) == hash(second)


def test_source_destination_and_key_are_part_of_a_binding() -> None:
    one = Binding("x", QUEUE, "k")
    assert one == Binding("x", QUEUE, "k")
    assert one != Binding("y", QUEUE, "k")
    assert one != Binding("x", QUEUE, "l")
    assert one != Binding("x", Place("q"), "k")  # another queue of that name
    assert one != ("x", QUEUE, "k", {})


@pytest.mark.parametrize(
    "key, expected",
    [
        ("", "~"),
        ("q", "q"),
        ("a.b #~*/", "a.b+%23%7E%2A%2F"),
        ("ü", "%C3%BC"),
    ],
)
def test_the_properties_key_is_spelled_as_in_the_management_api(key: str, expected: str) -> None:
    assert Binding("x", QUEUE, key).properties_key == expected


def test_arguments_add_a_digest_to_the_properties_key() -> None:
    keys = {
        Binding("x", QUEUE, key, arguments).properties_key
        for key in ("", "~", "k")
        for arguments in ({"a": 1}, {"a": 2})
    }
    assert len(keys) == 6
    one = Binding("x", QUEUE, "~", {"a": 1, "b": 2}).properties_key
    assert one.startswith("%7E~")
    assert one == Binding("x", QUEUE, "~", {"b": 2, "a": 1}).properties_key


# --- bindings of a router ------------------------------------------------------------------------


def test_binding_twice_is_binding_once(kind: str) -> None:
    router = ROUTERS[kind]()
    assert router.is_empty
    assert router.bind(binding(QUEUE, "1"))
    assert not router.bind(binding(QUEUE, "1"))
    assert not router.is_empty
    assert list(router.bindings()) == [binding(QUEUE, "1")]
    assert router.unbind(binding(QUEUE, "1"))
    assert not router.unbind(binding(QUEUE, "1"))
    assert router.is_empty
    assert routed(router, "1") == []


def test_a_router_knows_whether_it_reaches_exchanges(kind: str) -> None:
    router, exchange = ROUTERS[kind](), Exchange("y", "fanout")
    router.bind(binding(QUEUE, "1"))
    assert not router.reaches_exchanges
    router.bind(binding(exchange, "1"))
    router.bind(binding(exchange, "2"))
    router.unbind(binding(exchange, "1"))
    assert router.reaches_exchanges
    router.unbind(binding(exchange, "2"))
    assert not router.reaches_exchanges


@pytest.mark.parametrize("name", ["direct", "topic", "fanout"])
def test_destinations_come_once_in_the_order_of_their_bindings(name: str) -> None:
    router = ROUTERS[name]()
    places = [Place(each) for each in "cab"]
    for place in places:
        router.bind(binding(place, "k"))
    router.bind(binding(places[0], "k", again=True))
    assert routed(router, "k") == ["c", "a", "b"]
    router.unbind(binding(places[0], "k"))
    assert routed(router, "k") == ["a", "b", "c"]


def test_a_direct_exchange_matches_keys_as_they_are() -> None:
    router = DirectRouter()
    router.bind(binding(QUEUE, "a.b"))
    assert routed(router, "a.b") == ["q"]
    assert [routed(router, key) for key in ("a.B", "a", "", "a.*", "#")] == [[]] * 5


@pytest.mark.parametrize("name", ["direct", "topic", "fanout"])
def test_a_route_is_put_together_once(name: str) -> None:
    router = ROUTERS[name]()
    router.bind(binding(QUEUE, "k"))
    first = router.route(None, "k")  # type: ignore[arg-type]  # these do not look at the message
    assert router.route(None, "k") is first  # type: ignore[arg-type]


# --- any order of binding and unbinding ----------------------------------------------------------

PLACES = [Place(name) for name in "abcd"]
KEYS = ["1", "2", "10"]
TABLES: list[FieldTable] = [{}, {"x-match": "any", "h": 1}, {"h": 2}]
BINDINGS = [Binding("x", place, key, table) for place in PLACES for key in KEYS for table in TABLES]
PROBES = [(key, {"h": value}) for key in (*KEYS, "3") for value in (1, 2, 3)]


class BindAndUnbind(RuleBasedStateMachine):
    """Bind and unbind at will; routes are those of a router that only saw what is left."""

    make: Callable[[], Router] = DirectRouter

    def __init__(self) -> None:
        super().__init__()
        self.router = type(self).make()
        self.left: dict[Binding, None] = {}

    @rule(each=st.sampled_from(BINDINGS))
    def bind(self, each: Binding) -> None:
        assert self.router.bind(each) is (each not in self.left)
        self.left.setdefault(each)

    @rule(each=st.sampled_from(BINDINGS))
    def unbind(self, each: Binding) -> None:
        assert self.router.unbind(each) is (each in self.left)
        self.left.pop(each, None)

    @rule()
    def unbind_the_oldest(self) -> None:
        for each in list(self.left)[:1]:
            self.unbind(each)

    @invariant()
    def routes_are_those_of_a_fresh_router(self) -> None:
        fresh = type(self).make()
        for each in self.left:
            fresh.bind(each)
        assert list(self.router.bindings()) == list(self.left)
        assert self.router.is_empty is not bool(self.left)
        for key, headers in PROBES:
            assert routed(self.router, key, headers) == routed(fresh, key, headers)


def test_routes_depend_on_nothing_but_the_bindings_that_are_left(kind: str) -> None:
    machine = type("Machine", (BindAndUnbind,), {"make": staticmethod(ROUTERS[kind])})
    run_state_machine_as_test(machine, settings=trials(40, steps=20))
