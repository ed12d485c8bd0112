"""Exchanges: their types, arguments and delays."""

import pytest

from hopmq.broker.exchanges import RULES, Exchange, check_alternate, check_type, new_router
from hopmq.broker.exchanges.delayed import waited
from hopmq.broker.exchanges.exchange import types_of
from hopmq.broker.exchanges.topic import TopicRouter
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable, FieldValue
from hopmq.wire.properties import Properties

from .routing import Place, bind, message, routed

STANDARD = {"direct", "fanout", "headers", "topic"}
PLUGINS = {"x-consistent-hash", "x-delayed-message", "x-modulus-hash", "x-random"}


@pytest.mark.parametrize("release", RULES)
def test_every_type_of_the_release_can_be_declared(release: str) -> None:
    kinds = STANDARD | PLUGINS | ({"x-local-random"} if release != "3.10" else set())
    assert set(types_of(RULES[release])) == kinds
    for kind in kinds:
        arguments = {"x-delayed-type": "topic"} if kind == "x-delayed-message" else {}
        exchange = Exchange("x", kind, arguments=arguments, rules=RULES[release])
        assert exchange.router.is_empty
        assert exchange.delays is (kind == "x-delayed-message")


@pytest.mark.parametrize(
    "release, name, code, text",
    [
        ("3.10", "nöpe", 503, "COMMAND_INVALID - unknown exchange type 'nöpe'"),
        ("3.10", "x-local-random", 503, "COMMAND_INVALID - unknown exchange type 'x-local-random'"),
        ("4.0", "nope", 406, "PRECONDITION_FAILED - unknown exchange type 'nope'"),
        ("4.3", "", 406, "PRECONDITION_FAILED - invalid exchange type ''"),
    ],
)
def test_an_unknown_type_is_refused_as_the_release_does(
    release: str, name: str, code: int, text: str
) -> None:
    for refuse in (check_type, lambda name, rules: new_router(name, {}, rules)):
        with pytest.raises(Refusal) as refused:
            refuse(name, RULES[release])
        assert (refused.value.code, refused.value.text) == (code, text)


# --- alternate exchanges -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, policy, expected",
    [
        ({}, {}, None),
        ({"alternate-exchange": "y"}, {}, "y"),
        ({}, {"alternate-exchange": "z"}, "z"),
        ({"alternate-exchange": "y"}, {"alternate-exchange": "z"}, "y"),
    ],
)
def test_an_argument_comes_before_a_policy(
    arguments: FieldTable, policy: FieldTable, expected: str | None
) -> None:
    exchange = Exchange("x", "fanout", arguments=arguments)
    exchange.policy = policy
    assert exchange.alternate_exchange == expected


@pytest.mark.parametrize("value, kind", [(5, "byte"), (None, "void"), ([], "array")])
def test_an_alternate_exchange_is_a_name(value: FieldValue, kind: str) -> None:
    check_alternate({}, "x", "/")
    check_alternate({"alternate-exchange": "y"}, "x", "/")
    with pytest.raises(Refusal) as refused:
        check_alternate({"alternate-exchange": value}, "x", "/")
    assert (refused.value.code, refused.value.text) == (
        406,
        (
            f"PRECONDITION_FAILED - invalid type '{kind}' for arg 'alternate-exchange' "
            "in exchange 'x' in vhost '/'"
        ),
    )


# --- x-delayed-message ---------------------------------------------------------------------------


def delayed(kind: FieldValue) -> Exchange:
    return Exchange("x", "x-delayed-message", arguments={"x-delayed-type": kind})


def test_a_delayed_exchange_routes_as_the_type_it_names() -> None:
    exchange = delayed("topic")
    assert isinstance(exchange.router, TopicRouter)
    bind(exchange, Place("q"), "a.#")
    assert routed(exchange.router, "a.b", {"x-delay": 5}) == ["q"]


@pytest.mark.parametrize(
    "kind, fault",
    [
        (None, "Invalid argument, 'x-delayed-type' must be an existing exchange type"),
        (5, "Invalid argument, 'x-delayed-type' must be an existing exchange type"),
        (
            "x-delayed-message",
            "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
        ),
        ("nope", "unknown exchange type 'nope'"),
    ],
)
def test_a_delayed_exchange_names_another_type(kind: FieldValue, fault: str) -> None:
    with pytest.raises(Refusal) as refused:
        delayed(kind)
    assert (refused.value.code, refused.value.text) == (406, f"PRECONDITION_FAILED - {fault}")


@pytest.mark.parametrize(
    "value, seconds",
    [
        (1500, 1.5),
        (1, 0.001),
        ("1500", 1.5),
        ("+2000", 2.0),
        (1500.9, 1.5),
        (0, 0.0),
        (-1500, 0.0),
        ("-5", 0.0),
        (4_294_967_295, 4_294_967.295),
        (4_294_967_296, 0.0),
        (float("inf"), 0.0),
        (float("nan"), 0.0),
        ("9" * 4000, 0.0),
        ("soon", 0.0),
        ("", 0.0),
        (True, 0.0),
        (None, 0.0),
        ([5], 0.0),
    ],
)
def test_the_delay_is_a_header_in_milliseconds(value: FieldValue, seconds: float) -> None:
    published = message("k", {"x-delay": value})
    assert delayed("direct").delay_of(published) == pytest.approx(seconds)
    assert Exchange("x", "direct").delay_of(published) == 0.0


@pytest.mark.parametrize("value", [1500, "1500", 1500.9])
def test_after_the_wait_the_delay_is_negative(value: FieldValue) -> None:
    published = message("k", {"a": "b", "x-delay": value}, message_id="m")
    published.raw_properties = waited(published)
    published.properties = None  # type: ignore[assignment]  # decode them again
    assert published.properties == Properties(headers={"a": "b", "x-delay": -1500}, message_id="m")
    assert delayed("direct").delay_of(published) == 0.0


def test_a_message_without_headers_has_no_delay() -> None:
    assert delayed("direct").delay_of(message("k")) == 0.0
