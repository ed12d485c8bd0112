"""From an exchange to queues: bindings between exchanges, alternates, loops and delays."""

import pytest
from hypothesis import given, strategies as st

from hopmq.broker.exchanges import Exchange, resolve
from hopmq.wire.events import Published

from .routing import Place, bind, message, names

QUEUES = {name: Place(name) for name in ("q1", "q2", "q3", "q4")}


class Host:
    """A few exchanges by name."""

    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}

    def declare(self, name: str, kind: str = "direct", alternate: str | None = None) -> Exchange:
        arguments = {} if alternate is None else {"alternate-exchange": alternate}
        exchange = Exchange(name, kind, arguments=arguments)
        self.exchanges[name] = exchange
        return exchange

    def reached(self, exchange: Exchange, *keys: str) -> list[str]:
        published = message(keys[0])
        return sorted(names(resolve(self.exchanges, exchange, published, keys)))


@pytest.fixture
def host() -> Host:
    """Return a virtual host without exchanges."""
    return Host()


def test_a_route_to_queues_alone_is_the_routers_own(host: Host) -> None:
    exchange = host.declare("x")
    bind(exchange, QUEUES["q1"], "k")
    published = message("k")
    found = resolve(host.exchanges, exchange, published, ("k",))
    assert found is exchange.router.route(published, "k")


def test_messages_go_through_exchanges_to_queues(host: Host) -> None:
    first, second, third = host.declare("x"), host.declare("y", "fanout"), host.declare("z")
    bind(first, second, "k")
    bind(first, QUEUES["q1"], "k")
    bind(second, third)
    bind(second, QUEUES["q2"])
    bind(third, QUEUES["q3"], "k")
    bind(third, QUEUES["q4"], "another key")
    assert host.reached(first, "k") == ["q1", "q2", "q3"]


def test_a_queue_is_reached_once(host: Host) -> None:
    first, second = host.declare("x"), host.declare("y", "fanout")
    bind(first, second, "k")
    for exchange in (first, second):
        bind(exchange, QUEUES["q1"], "k")
    assert host.reached(first, "k", "k2") == ["q1"]


def test_loops_of_exchanges_end(host: Host) -> None:
    first, second = host.declare("x", "fanout"), host.declare("y", "fanout")
    for source, end in [(first, second), (second, first), (first, first)]:
        bind(source, end)
    assert host.reached(first, "k") == []
    bind(second, QUEUES["q1"])
    assert host.reached(first, "k") == ["q1"]


# --- alternate exchanges -------------------------------------------------------------------------


def test_what_matches_nothing_goes_to_the_alternate(host: Host) -> None:
    exchange, alternate = host.declare("x", alternate="y"), host.declare("y", "fanout")
    bind(exchange, QUEUES["q1"], "k")
    bind(alternate, QUEUES["q2"])
    assert host.reached(exchange, "k") == ["q1"]
    assert host.reached(exchange, "l") == ["q2"]
    assert host.reached(exchange, "l", "k") == ["q1"]


def test_an_alternate_counts_only_if_no_binding_matched(host: Host) -> None:
    exchange, alternate = host.declare("x", alternate="y"), host.declare("y", "fanout")
    bind(alternate, QUEUES["q2"])
    bind(exchange, host.declare("z"), "k")  # matches, and routes nowhere
    assert host.reached(exchange, "k") == []


def test_an_exchange_on_the_way_has_its_own_alternate(host: Host) -> None:
    first, second = host.declare("x", "fanout"), host.declare("y", alternate="z")
    bind(first, second)
    bind(first, QUEUES["q1"])
    bind(host.declare("z", "fanout"), QUEUES["q2"])
    assert host.reached(first, "k") == ["q1", "q2"]


@pytest.mark.parametrize("alternate", ["x", "missing", ""])
def test_an_alternate_that_leads_nowhere_drops_the_message(host: Host, alternate: str) -> None:
    exchange = host.declare("x", alternate=alternate)
    bind(host.declare(""), QUEUES["q1"], "q1")
    assert host.reached(exchange, "q1") == []


def test_alternates_may_name_each_other(host: Host) -> None:
    first, second = host.declare("x", alternate="y"), host.declare("y", alternate="x")
    bind(second, QUEUES["q1"], "k")
    assert host.reached(first, "k") == ["q1"]
    assert host.reached(first, "l") == []


# --- several keys --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["direct", "topic"])
def test_every_key_is_routed_by_itself(host: Host, kind: str) -> None:
    exchange = host.declare("x", kind)
    for number in "123":
        bind(exchange, QUEUES[f"q{number}"], f"k{number}")
    assert host.reached(exchange, "k1", "k3", "k4") == ["q1", "q3"]


@pytest.mark.parametrize("kind", ["x-consistent-hash", "x-modulus-hash", "x-random"])
def test_an_exchange_that_picks_one_does_so_whatever_the_keys(host: Host, kind: str) -> None:
    exchange = host.declare("x", kind)
    for queue in QUEUES.values():
        bind(exchange, queue, "1")
    keys = [str(number) for number in range(50)]
    assert len(host.reached(exchange, *keys)) == 1
    if kind != "x-random":
        assert host.reached(exchange, *keys) == host.reached(exchange, keys[0])


# --- delays --------------------------------------------------------------------------------------


def test_exchanges_on_the_way_may_postpone(host: Host) -> None:
    first = host.declare("x", "fanout")
    second = Exchange("y", "x-delayed-message", arguments={"x-delayed-type": "fanout"})
    bind(first, second)
    bind(first, QUEUES["q1"])
    bind(second, QUEUES["q2"])
    bind(second, host.declare("z"))
    postponed: list[tuple[Exchange, Published, float]] = []

    def resolved(exchange: Exchange, published: Published) -> list[str]:
        found = resolve(
            host.exchanges, exchange, published, ("k",), lambda *each: postponed.append(each)
        )
        return sorted(names(found))

    slow, prompt = message("k", {"x-delay": 2500}), message("k")
    assert resolved(first, slow) == ["q1"]
    assert postponed == [(second, slow, 2.5)]
    assert resolved(second, slow) == ["q2"]  # the wait is over
    assert resolved(first, prompt) == ["q1", "q2"]
    assert len(postponed) == 1


# --- against a naive search ----------------------------------------------------------------------

NODES = st.sampled_from(["a", "b", "c", "d"])
EDGES = st.lists(st.tuples(NODES, NODES), max_size=12)
ENDS = st.lists(st.tuples(NODES, st.sampled_from(list(QUEUES))), max_size=8)
ALTERNATES = st.dictionaries(NODES, NODES)


@given(edges=EDGES, ends=ENDS, alternates=ALTERNATES, start=NODES)
def test_the_queues_are_those_of_a_naive_search(
    edges: list[tuple[str, str]],
    ends: list[tuple[str, str]],
    alternates: dict[str, str],
    start: str,
) -> None:
    host = Host()
    for name in "abcd":
        host.declare(name, "fanout", alternates.get(name))
    for source, end in edges:
        bind(host.exchanges[source], host.exchanges[end])
    for source, queue in ends:
        bind(host.exchanges[source], QUEUES[queue])

    reached = {start}
    for _ in "abcd":
        for node in tuple(reached):
            following = {end for source, end in edges if source == node}
            bound = {queue for source, queue in ends if source == node}
            if not following and not bound and node in alternates:
                following = {alternates[node]}
            reached |= following
    expected = sorted({queue for source, queue in ends if source in reached})
    assert host.reached(host.exchanges[start], "k") == expected
