"""Bindings as values: which are the same to RabbitMQ."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum

import pytest

from hopmq import Timestamp
from hopmq.resilience import Binding
from hopmq.typedefs import FieldTable, FieldValue


def bound_with(arguments: FieldTable) -> Binding:
    """Return a binding that differs from others by its arguments alone."""
    return Binding("exchange", "queue", routing_key="key", arguments=arguments)


class Priority(IntEnum):
    """A number with a name."""

    LOW = 1


@pytest.mark.parametrize(
    "other",
    [
        Binding("other", "queue", "queue", "key"),
        Binding("exchange", "other", "queue", "key"),
        Binding("exchange", "queue", "exchange", "key"),
        Binding("exchange", "queue", "queue", "other"),
        Binding("exchange", "queue", "queue", "key", {"x-match": "all"}),
    ],
)
def test_each_part_tells_bindings_apart(other: Binding) -> None:
    assert Binding("exchange", "queue", "queue", "key") != other


def test_a_binding_is_no_other_thing() -> None:
    assert Binding("exchange", "queue") != ("exchange", "queue", "queue", "", {})


def test_arguments_may_be_in_any_order_and_hold_anything() -> None:
    arguments: FieldTable = {"list": [1, [2.5, None]], "table": {"a": {"b": b"c"}}, "x": "y"}
    reversed_arguments = dict(reversed(arguments.items()))
    assert bound_with(arguments) == bound_with(reversed_arguments)
    assert len({bound_with(arguments), bound_with(reversed_arguments)}) == 1


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "one, other",
    [
        (1, Priority.LOW),
        (NOON, NOON.astimezone(timezone(timedelta(hours=2)))),
        (NOON, Timestamp(NOON.timestamp())),
        ([1, 2], (1, 2)),
    ],
)
def test_values_that_travel_alike_are_the_same(one: FieldValue, other: FieldValue) -> None:
    assert bound_with({"x": one}) == bound_with({"x": other})
    assert hash(bound_with({"x": one})) == hash(bound_with({"x": other}))


@pytest.mark.parametrize(
    "one, other",
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (0, None),
        ("1", b"1"),
        (1, Timestamp(1)),
        (Decimal("1.0"), Decimal("1.00")),
        ([1], {"1": 1}),
        ([[1], 2], [[1, 2]]),
        ({"a": 1}, {"a": True}),
    ],
)
def test_values_that_travel_differently_are_not(one: FieldValue, other: FieldValue) -> None:
    assert bound_with({"x": one}) != bound_with({"x": other})


def test_a_number_that_is_none_is_itself() -> None:
    assert bound_with({"x": float("nan")}) == bound_with({"x": float("nan")})
