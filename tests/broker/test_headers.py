"""The headers exchange against RabbitMQ's answers and a naive matcher."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from hopmq.broker.exchanges import RULES
from hopmq.broker.exchanges.headers import HeadersRouter
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable, FieldValue

from .routing import Place, binding, message, names, routed

TIME = datetime.fromtimestamp(5, UTC)


def is_routed(release: str, arguments: FieldTable, headers: FieldTable | None) -> bool:
    router = HeadersRouter(RULES[release])
    router.bind(binding(Place("q"), "", **arguments))
    return routed(router, "", headers) == ["q"]


@pytest.mark.parametrize("release", RULES)
@pytest.mark.parametrize(
    "arguments, headers, expected",
    [
        ({}, {}, True),
        ({}, None, True),
        ({}, {"a": 1}, True),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1}, {"a": 2**40}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": True}, {"a": "true"}, False),
        ({"a": "True"}, {"a": True}, False),
        ({"a": "b"}, {"a": b"b"}, True),
        ({"a": b"b"}, {"a": "b"}, True),
        ({"a": None}, {"a": TIME}, True),
        ({"a": None}, {"b": 1}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": 1}, {"a": None}, False),
        ({"a": Decimal("1.0")}, {"a": Decimal("1.0")}, True),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": []}, {"a": {}}, True),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": [TIME]}, {"a": [TIME]}, True),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": "1"}}, {"a": {"b": b"1"}}, False),
        ({"x-match": "all"}, None, True),
        ({"x-match": "any"}, {"a": 1}, False),
        ({"x-match": "any", "a": 1}, None, False),
        ({"x-match": "any", "a": None, "b": 2}, {"b": 2}, True),
        ({"x-match": "any", "a": None, "b": 2}, {"b": 3}, False),
        ({"x-match": "all", "x-a": 1}, {"b": 1}, True),
        ({"x-match": "any", "x-a": 1}, {"x-a": 1}, False),
        ({"x-match": "all-with-x", "x-a": 1}, {"x-a": 1}, True),
        ({"x-match": "all-with-x", "x-a": 1}, {"b": 1}, False),
        ({"x-match": "any-with-x", "x-a": 1}, {"x-a": 1}, True),
        ({"x-match": "any-with-x"}, {"x-match": "any-with-x"}, False),
        ({"x-match": "all-with-x", "x-match2": 1}, {}, False),
    ],
)
def test_arguments_match_as_in_rabbitmq(
    release: str, arguments: FieldTable, headers: FieldTable | None, expected: bool
) -> None:
    assert is_routed(release, arguments, headers) is expected


@pytest.mark.parametrize(
    "argument, header, in_3_10, since_4_0",
    [
        (1, 1.0, True, False),
        (1.0, 1.0, True, True),
        (TIME, TIME, True, False),
        (5, TIME, True, False),
        (5000, TIME, False, True),
        (TIME, 5, True, True),
    ],
)
def test_numbers_and_times_compare_as_the_release_does(
    argument: FieldValue, header: FieldValue, in_3_10: bool, since_4_0: bool
) -> None:
    assert is_routed("3.10", {"a": argument}, {"a": header}) is in_3_10
    assert is_routed("4.0", {"a": argument}, {"a": header}) is since_4_0


@pytest.mark.parametrize(
    "value, fault",
    [
        ("some", 'value <<"some">>; expected all, any, all-with-x, or any-with-x'),
        ('"q\\', r'value <<"\"q\\">>; expected all, any, all-with-x, or any-with-x'),
        ("sömé", 'value <<"sömé"/utf8>>; expected all, any, all-with-x, or any-with-x'),
        ("", "value <<>>; expected all, any, all-with-x, or any-with-x"),
        (5, "type byte (value 5); expected longstr"),
        (2**40, "type long (value 1099511627776); expected longstr"),
        (True, "type bool (value true); expected longstr"),
        (None, "type void (value undefined); expected longstr"),
        (b"all", 'type binary (value <<"all">>); expected longstr'),
        (["all"], 'type array (value [{longstr,<<"all">>}]); expected longstr'),
    ],
)
def test_another_x_match_is_refused_in_rabbitmqs_words(value: FieldValue, fault: str) -> None:
    router = HeadersRouter()
    with pytest.raises(Refusal) as refused:
        router.bind(binding(Place("q"), "", **{"x-match": value}))
    assert refused.value.code == 406
    assert refused.value.text == f"PRECONDITION_FAILED - Invalid x-match field {fault}"
    assert router.is_empty


def test_a_message_without_headers_is_not_decoded() -> None:
    router = HeadersRouter()
    router.bind(binding(Place("q")))
    plain = message(message_id="m")
    assert names(router.route(plain, "")) == ["q"]
    assert plain._properties is None


# --- against a naive matcher ---------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "x-a", "x-match"])
VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, "1", b"1", "", [1], ["1"], {"a": 1}])
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)
KINDS = st.sampled_from(["all", "any", "all-with-x", "any-with-x"])


def same(argument: FieldValue, header: FieldValue) -> bool:
    """Compare values of tables as Erlang's `=:=` compares their contents."""
    if isinstance(argument, str | bytes) and isinstance(header, str | bytes):
        as_bytes = [v.encode() if isinstance(v, str) else v for v in (argument, header)]
        return as_bytes[0] == as_bytes[1]
    return type(argument) is type(header) and repr(argument) == repr(header)


def naively(arguments: FieldTable, headers: FieldTable) -> bool:
    kind = arguments["x-match"]
    counted = {
        name: value
        for name, value in arguments.items()
        if name != "x-match" and (str(kind).endswith("x") or not name.startswith("x-"))
    }
    verdicts = [
        name in headers and (value is None or same(value, headers[name]))
        for name, value in counted.items()
    ]
    return any(verdicts) if str(kind).startswith("any") else all(verdicts)


@given(bound=st.lists(st.tuples(KINDS, TABLES), max_size=4), headers=TABLES)
def test_routes_equal_those_of_a_naive_matcher(
    bound: list[tuple[str, FieldTable]], headers: FieldTable
) -> None:
    router = HeadersRouter()
    expected = []
    for number, (kind, table) in enumerate(bound):
        arguments = {**table, "x-match": kind}
        router.bind(binding(Place(str(number)), "", **arguments))
        if naively(arguments, headers):
            expected.append(str(number))
    assert routed(router, "", headers) == expected
