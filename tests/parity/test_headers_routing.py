"""Headers exchanges: what the four ways of matching compare, and how values compare."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Properties
from parity.channel import ChannelDriver
from parity.routes import is_routed

TIME = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
NO_HEADERS = None


async def matches(
    channel: ChannelDriver, queue: str, arguments: FieldTable, headers: FieldTable | None
) -> bool:
    """Bind a queue, publish a message, and tell whether it arrived."""
    await channel.confirm()
    await channel.declare(queue, exclusive=True)
    await channel.bind(queue, "amq.headers", "", arguments)
    properties = None if headers is None else Properties(headers=headers)
    return await is_routed(channel, "amq.headers", properties=properties)


@pytest.mark.parametrize(
    "arguments, headers, expected",
    [
        # Without x-match, all have to be there; more may be.
        ({}, NO_HEADERS, True),
        ({}, {}, True),
        ({}, {"a": 1}, True),
        ({"a": 1}, NO_HEADERS, False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}, True),
        ({"A": 1}, {"a": 1}, False),
        ({"": 1}, {"": 1}, True),
        # all
        ({"x-match": "all"}, NO_HEADERS, True),
        ({"x-match": "all"}, {"a": 1}, True),
        ({"x-match": "all", "a": 1, "b": 2}, {"a": 1}, False),
        ({"x-match": "all", "a": 1, "b": 2}, {"a": 1, "b": 2}, True),
        # all: names that begin with x- do not count
        ({"x-match": "all", "x-a": 1}, {}, True),
        ({"x-match": "all", "x-a": 1}, {"x-a": 2}, True),
        ({"x-match": "all", "x-a": 1, "b": 1}, {"b": 1}, True),
        ({"x-match": "all", "x-a": 1, "b": 1}, {"x-a": 1}, False),
        ({"x-a": 1}, {}, True),
        ({"X-a": 1}, {}, False),
        # any
        ({"x-match": "any"}, NO_HEADERS, False),
        ({"x-match": "any"}, {}, False),
        ({"x-match": "any"}, {"a": 1}, False),
        ({"x-match": "any", "a": 1, "b": 2}, {}, False),
        ({"x-match": "any", "a": 1, "b": 2}, {"a": 1}, True),
        ({"x-match": "any", "a": 1, "b": 2}, {"a": 2, "b": 2}, True),
        ({"x-match": "any", "a": 1, "b": 2}, {"a": 2}, False),
        # any: names that begin with x- do not count
        ({"x-match": "any", "x-a": 1}, {"x-a": 1}, False),
        ({"x-match": "any", "x-a": 1, "b": 1}, {"x-a": 1}, False),
        ({"x-match": "any", "x-a": 1, "b": 1}, {"b": 1}, True),
        # all-with-x, any-with-x: they do; x-match itself never does
        ({"x-match": "all-with-x"}, {}, True),
        ({"x-match": "all-with-x", "x-a": 1}, {"x-a": 1}, True),
        ({"x-match": "all-with-x", "x-a": 1}, {}, False),
        ({"x-match": "all-with-x", "x-a": 1, "b": 1}, {"b": 1}, False),
        ({"x-match": "all-with-x", "x-a": 1, "b": 1}, {"b": 1, "x-a": 1}, True),
        ({"x-match": "any-with-x"}, {"x-a": 1}, False),
        ({"x-match": "any-with-x", "x-a": 1}, {"x-a": 1}, True),
        ({"x-match": "any-with-x", "x-a": 1}, {"x-a": 2}, False),
        ({"x-match": "any-with-x", "x-a": 1, "b": 1}, {"x-a": 1}, True),
        ({"x-match": "any-with-x", "x-a": 1, "b": 1}, {"b": 1}, True),
        # A binding without a value wants the header to be there.
        ({"a": None}, {"a": 1}, True),
        ({"a": None}, {"a": "x"}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": {}}, True),
        ({"a": None}, {}, False),
        ({"x-match": "any", "a": None}, {"a": "x"}, True),
        ({"x-match": "any", "a": None, "b": None}, {"c": "x"}, False),
    ],
    ids=str,
)
async def test_a_binding_matches_these_headers(
    channel: ChannelDriver,
    name: str,
    arguments: FieldTable,
    headers: FieldTable | None,
    expected: bool,
) -> None:
    assert await matches(channel, name, arguments, headers) is expected


@pytest.mark.parametrize(
    "wanted, value, expected",
    [
        (1, 1, True),
        (1, 2, False),
        (1, 1000, False),
        (1000, 1000, True),
        (-1, -1, True),
        (1, -1, False),
        (1 << 40, 1 << 40, True),
        (1, "1", False),
        (1, True, False),
        (0, False, False),
        (1, None, False),
        (1, Decimal(1), False),
        ("x", "x", True),
        ("x", "X", False),
        ("x", "xx", False),
        ("", "", True),
        ("ü", "ü", True),
        ("x", b"x", True),
        (b"\xff", b"\xff", True),
        (b"\xff", b"\xfe", False),
        (True, True, True),
        (True, False, False),
        (1.5, 1.5, True),
        (1.5, 1.25, False),
        (Decimal("1.5"), Decimal("1.5"), True),
        (Decimal("1.5"), Decimal("1.50"), False),
        (Decimal("1.5"), 1.5, False),
        ([], [], True),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1, 2], [1], False),
        ({"b": 1}, {"b": 1}, True),
        ({"b": 1}, {"b": 2}, False),
        ({"b": 1}, {}, False),
        ({"b": 1, "c": 2}, {"c": 2, "b": 1}, False),
    ],
    ids=str,
)
async def test_values_compare_by_type_and_value(
    channel: ChannelDriver, name: str, wanted: object, value: object, expected: bool
) -> None:
    table = {"a": wanted}, {"a": value}
    assert await matches(channel, name, *table) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wanted, value, by_oldest",
    [(1, 1.0, True), (TIME, TIME, True)],
    ids=["whole number and float", "time"],
)
async def test_newer_releases_compare_more_strictly(
    channel: ChannelDriver,
    release: str,
    name: str,
    wanted: float | datetime,
    value: float | datetime,
    by_oldest: bool,
) -> None:
    expected = by_oldest if release == "3.10" else False
    assert await matches(channel, name, {"a": wanted}, {"a": value}) is expected


WIDTHS = {
    "b": b"b\x01",
    "B": b"B\x01",
    "s": b"s\x00\x01",
    "u": b"u\x00\x01",
    "I": b"I\x00\x00\x00\x01",
    "i": b"i\x00\x00\x00\x01",
    "l": b"l\x00\x00\x00\x00\x00\x00\x00\x01",
}


@pytest.mark.parametrize("bound", WIDTHS)
async def test_integers_compare_whatever_their_width(
    channel: ChannelDriver, name: str, bound: str
) -> None:
    await channel.declare(name, exclusive=True)
    arguments = b"\x01a" + WIDTHS[bound]
    target = bytes([len(name)]) + name.encode() + b"\x0bamq.headers\x00\x00"
    channel.raw(50, 20, b"\0\0" + target + len(arguments).to_bytes(4, "big") + arguments)
    await channel.answer()
    await channel.confirm()
    for kind in WIDTHS.values():
        headers = b"\x01a" + kind
        raw = b"\x20\x00" + len(headers).to_bytes(4, "big") + headers
        assert await is_routed(channel, "amq.headers", properties=raw)


async def test_the_routing_key_does_not_matter(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.headers", "key", {"a": name})
    properties = Properties(headers={"a": name})
    for key in ("", "key", "other"):
        channel.publish(exchange="amq.headers", routing_key=key, properties=properties)
    assert len(await channel.drain(name)) == 3


async def test_two_bindings_that_match_deliver_once(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.headers", "", {"a": name})
    await channel.bind(name, "amq.headers", "", {"b": name})
    headers = {"a": name, "b": name}
    channel.publish(exchange="amq.headers", properties=Properties(headers=headers))
    assert len(await channel.drain(name)) == 1


async def test_amq_match_is_an_exchange_of_its_own(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.match", "", {"a": name})
    properties = Properties(headers={"a": name})
    assert await is_routed(channel, "amq.match", properties=properties)
    assert not await is_routed(channel, "amq.headers", properties=properties)
