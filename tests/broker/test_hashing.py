"""The exchanges that pick one destination: by hash, weighted or not, and by chance."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from hopmq.broker.exchanges import RULES, Exchange, new_router
from hopmq.broker.exchanges.consistent_hash import REMEMBERED, ConsistentHashRouter
from hopmq.broker.exchanges.modulus_hash import ModulusHashRouter
from hopmq.broker.exchanges.random_choice import LocalRandomRouter, RandomRouter
from hopmq.broker.exchanges.router import Router
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable

from .routing import Place, binding, message, names, routed

KEYS = [f"key-{number}" for number in range(6000)]


def ring(**weights: int) -> ConsistentHashRouter:
    router = ConsistentHashRouter({})
    for name, weight in weights.items():
        router.bind(binding(Place(name), str(weight)))
    return router


def assignment(router: Router) -> dict[str, str]:
    """Return the destination of each key; there is always just one."""
    found = {key: routed(router, key) for key in KEYS}
    assert all(len(each) == 1 for each in found.values())
    return {key: each[0] for key, each in found.items()}


def text_of_refusal(key: str, release: str = "4.3") -> str:
    router = ConsistentHashRouter({}, RULES[release])
    with pytest.raises(Refusal) as refused:
        router.bind(binding(Place("q"), key))
    assert refused.value.code == 406
    assert router.is_empty
    return refused.value.text


# --- x-consistent-hash: shares -------------------------------------------------------------------


def test_keys_are_shared_out_by_weight() -> None:
    shares = Counter(assignment(ring(a=1, b=1, c=2, d=4)).values())
    for name, weight in {"a": 1, "b": 1, "c": 2, "d": 4}.items():
        assert shares[name] / len(KEYS) == pytest.approx(weight / 8, abs=0.02)


def test_a_new_destination_takes_keys_from_others_and_moves_no_other() -> None:
    before, after = assignment(ring(a=1, b=1, c=1)), assignment(ring(a=1, b=1, c=1, d=1))
    moved = {key for key in KEYS if before[key] != after[key]}
    assert {after[key] for key in moved} == {"d"}
    assert len(moved) / len(KEYS) == pytest.approx(1 / 4, abs=0.02)


def test_of_a_destination_that_goes_only_its_own_keys_move() -> None:
    before, after = assignment(ring(a=1, b=2, c=1)), assignment(ring(a=1, c=1))
    assert all(before[key] == "b" for key in KEYS if before[key] != after[key])
    shares = Counter(after.values())
    assert shares["a"] / len(KEYS) == pytest.approx(1 / 2, abs=0.02)


def test_a_key_goes_to_the_same_destination_in_every_run() -> None:
    router = ring(a=1, b=1, c=1)
    assert "".join(routed(router, key)[0] for key in KEYS[:12]) == "bacabcbbbcab"


def test_the_oldest_binding_of_a_destination_weighs() -> None:
    router = ring(a=1, b=1)
    first = next(iter(router.bindings()))
    router.bind(binding(first.destination, "50"))
    assert Counter(assignment(router).values())["a"] / len(KEYS) == pytest.approx(0.5, abs=0.03)
    router.unbind(first)
    assert Counter(assignment(router).values())["a"] / len(KEYS) == pytest.approx(50 / 51, abs=0.02)


def test_what_is_remembered_is_bounded() -> None:
    router = ring(a=1)
    for number in range(REMEMBERED + 10):
        routed(router, str(number))
    assert len(router._routes) <= REMEMBERED


# --- x-consistent-hash: what is hashed -----------------------------------------------------------


def hashed(arguments: FieldTable, *messages: FieldTable) -> int:
    """Return among how many destinations messages with such properties and any key are shared."""
    router = ConsistentHashRouter(arguments)
    for number in range(50):
        router.bind(binding(Place(str(number)), "1"))
    found = set()
    for number, properties in enumerate(messages):
        published = message(f"key-{number}", **properties)
        found |= set(names(router.route(published, published.routing_key)))
    return len(found)


def test_the_header_named_is_hashed_instead_of_the_key() -> None:
    by_header: FieldTable = {"hash-header": "h"}
    assert hashed(by_header, *[{"headers": {"h": "same"}}] * 20) == 1
    assert hashed(by_header, *[{"headers": {"h": number}} for number in range(20)]) > 10
    assert hashed(by_header, *[{"headers": {"other": number}} for number in range(20)]) == 1
    assert hashed(by_header, *[{}] * 20) == 1


@pytest.mark.parametrize("name", ["correlation_id", "message_id"])
def test_the_property_named_is_hashed_instead_of_the_key(name: str) -> None:
    by_property: FieldTable = {"hash-property": name}
    assert hashed(by_property, *[{name: "same"}] * 20) == 1
    assert hashed(by_property, *[{name: str(number)} for number in range(20)]) > 10
    assert hashed(by_property, *[{}] * 20) == 1


def test_the_timestamp_can_be_hashed() -> None:
    times = [{"timestamp": datetime.fromtimestamp(number, UTC)} for number in range(20)]
    assert hashed({"hash-property": "timestamp"}, *times) > 10
    assert hashed({"hash-property": "timestamp"}, *times[:1] * 20) == 1
    assert hashed({"hash-property": "timestamp"}, *[{}] * 20) == 1


# --- x-consistent-hash: refusals -----------------------------------------------------------------


@pytest.mark.parametrize(
    "key, fault",
    [
        ("abc", 'must be an integer: <<"abc">>'),
        ("äbc", 'must be an integer: <<"äbc"/utf8>>'),
        ("", "must be an integer: <<>>"),
        ("1_0", 'must be an integer: <<"1_0">>'),
        (" 1", 'must be an integer: <<" 1">>'),
        ("1.5", 'must be an integer: <<"1.5">>'),
        ("\u0663", 'must be an integer: <<"\u0663"/utf8>>'),
        ("0", "must be greater than 0"),
        ("-1", "must be greater than 0"),
    ],
)
def test_a_key_that_is_no_weight_is_refused_in_rabbitmqs_words(key: str, fault: str) -> None:
    for release in RULES:
        assert text_of_refusal(key, release) == f"PRECONDITION_FAILED - The binding key {fault}"


@pytest.mark.parametrize("key", ["1", "+1", "007", "10000"])
def test_a_number_above_0_is_a_weight(key: str) -> None:
    assert ConsistentHashRouter({}).bind(binding(Place("q"), key))


def test_since_4_3_a_weight_is_10000_at_most() -> None:
    text = "PRECONDITION_FAILED - The binding key must not exceed 10000"
    assert text_of_refusal("10001") == text
    assert text_of_refusal("9" * 200) == text
    for release in ("3.10", "4.0"):
        router = ConsistentHashRouter({}, RULES[release])
        assert router.bind(binding(Place("q"), "9" * 200))
        assert routed(router, "k") == ["q"]


@pytest.mark.parametrize(
    "arguments, code, text",
    [
        (
            {"hash-header": "a", "hash-property": "message_id"},
            406,
            "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive",
        ),
        ({"hash-property": "user_id"}, 406, "PRECONDITION_FAILED - Unsupported property: user_id"),
        ({"hash-property": 5}, 541, "INTERNAL_ERROR"),
        ({"hash-header": 5}, 541, "INTERNAL_ERROR"),
    ],
)
def test_arguments_are_refused_in_rabbitmqs_words(
    arguments: FieldTable, code: int, text: str
) -> None:
    with pytest.raises(Refusal) as refused:
        new_router("x-consistent-hash", arguments)
    assert (refused.value.code, refused.value.text) == (code, text)


# --- x-modulus-hash ------------------------------------------------------------------------------


def modulus(*order: str) -> ModulusHashRouter:
    router = ModulusHashRouter()
    for name in order:
        router.bind(binding(Place(name), "any key"))
    return router


def test_a_modulus_hash_shares_keys_out_evenly() -> None:
    shares = Counter(assignment(modulus("a", "b", "c")).values())
    assert all(shares[name] / len(KEYS) == pytest.approx(1 / 3, abs=0.03) for name in "abc")


def test_a_modulus_hash_is_the_same_in_whichever_order_bindings_were_made() -> None:
    assert assignment(modulus("a", "b", "c")) == assignment(modulus("c", "b", "a"))


# --- x-random, x-local-random --------------------------------------------------------------------


def test_a_random_exchange_reaches_every_binding_and_one_at_a_time() -> None:
    router = RandomRouter()
    for name in "abc":
        router.bind(binding(Place(name), name))
    shares = Counter(assignment(router).values())
    assert all(shares[name] / len(KEYS) == pytest.approx(1 / 3, abs=0.05) for name in "abc")


@pytest.mark.parametrize(
    "key, destination, fault",
    [
        ("k", Place("q"), "Non empty binding 'k' key not permitted"),
        ("", Exchange("y", "fanout"), "Destination not found"),
        (
            "",
            Place("q", kind="quorum"),
            "Queue type rabbit_quorum_queue not valid for this exchange type",
        ),
    ],
)
def test_a_local_random_exchange_takes_classic_queues_without_key(
    key: str, destination: Place | Exchange, fault: str
) -> None:
    router = LocalRandomRouter()
    assert router.bind(binding(Place("q")))
    with pytest.raises(Refusal) as refused:
        router.bind(binding(destination, key))
    assert (refused.value.code, refused.value.text) == (406, f"PRECONDITION_FAILED - {fault}")
