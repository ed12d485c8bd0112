"""The topic exchange against RabbitMQ's rules, a naive matcher and hostile patterns."""

from functools import cache
from time import thread_time

import pytest
from hypothesis import given, strategies as st

from hopmq.broker.exchanges import RULES
from hopmq.broker.exchanges.topic import REMEMBERED, TopicRouter
from hopmq.broker.refusal import Refusal

from .routing import Place, binding, routed

WORDS = st.sampled_from(["a", "b", "", "*", "#", "ab"])
KEYS = st.lists(WORDS, max_size=6).map(".".join)

ANY_NUMBER = RULES["4.0"]


def split(key: str) -> tuple[str, ...]:
    return tuple(key.split(".")) if key else ()


@cache
def matches(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Match word by word, trying everything that `#` may stand for."""
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(matches(rest, words[used:]) for used in range(len(words) + 1))
    return bool(words) and first in {"*", words[0]} and matches(rest, words[1:])


@pytest.mark.parametrize(
    "pattern, key, expected",
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a.b.c", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("*", "", False),
        ("*.*", ".", True),
        ("*", ".", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("", "", True),
        ("", ".", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "b", False),
        ("#.c", "c", True),
        ("#.c", "a.b.c", True),
        ("#.c", "c.a", False),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("*.#", "", False),
        ("*.#", "a", True),
        ("#.*", "a.b", True),
        ("#.*", "", False),
        ("a..b", "a..b", True),
        ("a.*.b", "a..b", True),
        ("a.*.b", "a.b", False),
        ("a*", "ab", False),
        ("a#", "a.b", False),
        ("#.#", "", True),
        ("#.a.#", "b.a.b", True),
        ("#.a.#", "b.b", False),
        ("b", "*", False),
    ],
)
def test_words_match_as_in_rabbitmq(pattern: str, key: str, expected: bool) -> None:
    router = TopicRouter()
    router.bind(binding(Place("q"), pattern))
    assert routed(router, key) == ["q"] * expected
    assert matches(split(pattern), split(key)) is expected


@given(patterns=st.lists(KEYS, max_size=8), keys=st.lists(KEYS, min_size=1, max_size=4))
def test_routes_equal_those_of_a_naive_matcher(patterns: list[str], keys: list[str]) -> None:
    router = TopicRouter(ANY_NUMBER)
    for number, pattern in enumerate(patterns):
        router.bind(binding(Place(str(number)), pattern))
    for key in keys:
        expected = [
            str(number)
            for number, pattern in enumerate(patterns)
            if matches(split(pattern), split(key))
        ]
        assert routed(router, key) == expected
        assert routed(router, key) == expected  # now from memory


def test_a_destination_that_several_bindings_match_is_reached_once() -> None:
    router, queue = TopicRouter(), Place("q")
    for pattern in ("a.b", "*.b", "a.#", "#"):
        router.bind(binding(queue, pattern))
    assert routed(router, "a.b") == ["q"]


def test_a_new_binding_counts_for_keys_routed_before() -> None:
    router = TopicRouter()
    assert routed(router, "a") == []
    first, second = binding(Place("1"), "#"), binding(Place("2"), "a")
    router.bind(first)
    router.bind(second)
    assert routed(router, "a") == ["1", "2"]
    router.unbind(first)
    assert routed(router, "a") == ["2"]


def test_nothing_is_left_of_bindings_that_are_gone() -> None:
    router = TopicRouter(ANY_NUMBER)
    bound = [binding(Place("q"), key) for key in ("", "a", "a.b", "a.*", "#.#.a", "*.#", "a.#.#")]
    for each in bound:
        router.bind(each)
    for each in bound:
        router.unbind(each)
    assert router._root.is_bare


def test_what_is_remembered_is_bounded() -> None:
    router = TopicRouter()
    for number in range(10):
        router.bind(binding(Place(str(number)), "#"))
    for number in range(REMEMBERED):
        routed(router, str(number))
    assert sum(1 + len(found) for found in router._routes.values()) <= REMEMBERED + 11


@pytest.mark.parametrize(
    "pattern",
    [".".join(["#"] * 100 + ["z"]), ".".join(["#", "a"] * 60 + ["z"]), ".".join(["#", "*"] * 63)],
)
def test_a_hostile_pattern_costs_no_more_than_words_times_nodes(pattern: str) -> None:
    router = TopicRouter(ANY_NUMBER)
    router.bind(binding(Place("q"), pattern))
    key = ".".join(["a"] * 120)
    started = thread_time()
    routed(router, key)
    assert thread_time() - started < 1.0  # following each way by itself would take years


def test_since_4_3_a_pattern_has_two_hashes_at_most() -> None:
    router = TopicRouter(RULES["4.3"])
    assert router.bind(binding(Place("q"), "#.a.#"))
    with pytest.raises(Refusal) as refused:
        router.bind(binding(Place("q"), "#.a.#.b.#"))
    assert (refused.value.code, refused.value.text) == (
        406,
        (
            "PRECONDITION_FAILED - Topic binding key '#.a.#.b.#' uses 3 '#' wildcards, "
            "at most 2 are allowed"
        ),
    )
    assert len(list(router.bindings())) == 1
