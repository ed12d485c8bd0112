"""Declaring exchanges: types, names, flags, and the words for each contradiction."""

from typing import Any

import pytest
from pamqp.commands import Exchange

from conftest import RunningBroker
from hopmq.typedefs import FieldTable
from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.endings import (
    ON_DEFAULT_EXCHANGE,
    access_refused,
    not_found,
    precondition_failed,
    refusal,
)

TYPES = ("direct", "fanout", "topic", "headers", "x-consistent-hash")


def inequivalent(argument: str, name: str, rest: str) -> tuple[str, int, str]:
    """Return the answer to a declaration that differs."""
    return precondition_failed(
        f"inequivalent arg '{argument}' for exchange '{name}' in vhost '/': {rest}"
    )


@pytest.mark.parametrize("exchange_type", TYPES)
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("auto_delete", [False, True])
@pytest.mark.parametrize("internal", [False, True])
async def test_every_type_takes_every_flag_and_can_be_declared_again(
    channel: ChannelDriver,
    name: str,
    exchange_type: str,
    durable: bool,
    auto_delete: bool,
    internal: bool,
) -> None:
    for _ in range(2):
        await channel.exchange(
            name, exchange_type, durable=durable, auto_delete=auto_delete, internal=internal
        )


@pytest.mark.parametrize(
    "exchange_type, words",
    [
        ("no-such-type", "unknown exchange type 'no-such-type'"),
        ("DiReCt", "unknown exchange type 'DiReCt'"),
        ("", "invalid exchange type ''"),
    ],
)
async def test_an_unknown_type_is_refused(
    peer: Peer, release: str, name: str, exchange_type: str, words: str
) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.exchange(name, exchange_type))
    expected = {
        "3.10": ("connection", 503, f"COMMAND_INVALID - {words}"),
        "4.0": precondition_failed(words),
        "4.3": precondition_failed(words),
    }
    assert closed.answer == expected[release]
    assert closed.blamed == (40, 10)


async def test_types_of_plugins_are_there_with_them(
    peer: Peer, broker: RunningBroker, release: str, name: str
) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.exchange(name, "x-delayed-message"))
    words = "unknown exchange type 'x-delayed-message'"
    if broker.embedded is not None:  # it has the type, which wants to know what it delays
        words = "Invalid argument, 'x-delayed-type' must be an existing exchange type"
    if broker.embedded is None and release == "3.10":
        assert closed.answer == ("connection", 503, f"COMMAND_INVALID - {words}")
    else:
        assert closed.answer == precondition_failed(words)


@pytest.mark.parametrize("suffix", ["", "with space", "ünïcode", "a/b", "%2F", "x" * 200])
async def test_names_may_hold_anything(channel: ChannelDriver, name: str, suffix: str) -> None:
    exchange = f"{name[:40]}{suffix}"
    await channel.exchange(exchange)
    await channel.exchange(exchange, passive=True)


async def test_ends_of_lines_are_left_out_of_names(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(f"{name}\r\n-end\n")
    await channel.exchange(f"{name}-end", passive=True)
    await channel.exchange(f"\n{name}-end", passive=True)
    await channel.declare(name, exclusive=True)
    await channel.bind(name, f"{name}-e\nnd")
    await channel.delete_exchange(f"{name}\n-end")
    closed = await refusal(channel.exchange(f"{name}-end", passive=True))
    assert closed.is_missing


async def test_a_name_has_up_to_255_bytes(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name.ljust(255, "x"))


@pytest.mark.parametrize("reserved", ["amq.", "amq.new", "amq.gen-1", "amq.rabbitmq.new"])
async def test_new_names_may_not_begin_with_amq(channel: ChannelDriver, reserved: str) -> None:
    closed = await refusal(channel.exchange(reserved))
    assert closed.answer == access_refused(
        f"exchange name '{reserved}' contains reserved prefix 'amq.*'"
    )


async def test_a_log_exchange_is_there_since_4_3(channel: ChannelDriver, release: str) -> None:
    request = channel.exchange("amq.rabbitmq.log", passive=True)
    if release == "4.3":
        await request
    else:
        assert (await refusal(request)).is_missing


async def test_amq_without_a_dot_is_a_name_as_any_other(channel: ChannelDriver) -> None:
    await channel.exchange("amq")
    await channel.exchange("amqp.direct")


@pytest.mark.parametrize("passive", [False, True])
async def test_the_default_exchange_cannot_be_declared(
    channel: ChannelDriver, passive: bool
) -> None:
    closed = await refusal(channel.exchange("", passive=passive))
    assert closed.answer == ON_DEFAULT_EXCHANGE
    assert closed.blamed == (40, 10)


# --- the predeclared ones ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "exchange, exchange_type, internal",
    [
        ("amq.direct", "direct", False),
        ("amq.fanout", "fanout", False),
        ("amq.topic", "topic", False),
        ("amq.headers", "headers", False),
        ("amq.match", "headers", False),
        ("amq.rabbitmq.trace", "topic", True),
    ],
)
async def test_predeclared_exchanges_are_durable_and_may_be_declared_as_they_are(
    channel: ChannelDriver, exchange: str, exchange_type: str, internal: bool
) -> None:
    await channel.exchange(exchange, exchange_type, durable=True, internal=internal)
    closed = await refusal(channel.exchange(exchange, exchange_type, internal=internal))
    assert closed.answer == inequivalent(
        "durable", exchange, "received 'false' but current is 'true'"
    )


# --- passive -----------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["no-such-exchange", "amq.no-such-exchange"])
async def test_a_passive_declare_of_what_is_missing_is_refused(
    channel: ChannelDriver, exchange: str
) -> None:
    closed = await refusal(channel.exchange(exchange, passive=True))
    assert closed.answer == not_found(f"no exchange '{exchange}' in vhost '/'")
    assert closed.blamed == (40, 10)


async def test_a_passive_declare_looks_at_nothing_but_the_name(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, durable=True)
    await channel.exchange(
        name,
        "no-such-type",
        passive=True,
        auto_delete=True,
        internal=True,
        arguments={"alternate-exchange": 1},
    )


# --- declaring again, differently --------------------------------------------------------------

DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "type": (
        {},
        {"exchange_type": "fanout"},
        "type",
        "received 'fanout' but current is 'direct'",
    ),
    "durable": (
        {},
        {"durable": True},
        "durable",
        "received 'true' but current is 'false'",
    ),
    "not durable": (
        {"durable": True},
        {},
        "durable",
        "received 'false' but current is 'true'",
    ),
    "auto-delete": (
        {},
        {"auto_delete": True},
        "auto_delete",
        "received 'true' but current is 'false'",
    ),
    "internal": (
        {},
        {"internal": True},
        "internal",
        "received 'true' but current is 'false'",
    ),
    "everything: the type is named": (
        {},
        {"exchange_type": "topic", "durable": True, "auto_delete": True, "internal": True},
        "type",
        "received 'topic' but current is 'direct'",
    ),
    "all flags: durable is named": (
        {},
        {"durable": True, "auto_delete": True, "internal": True},
        "durable",
        "received 'true' but current is 'false'",
    ),
    "auto-delete before internal": (
        {},
        {"auto_delete": True, "internal": True},
        "auto_delete",
        "received 'true' but current is 'false'",
    ),
    "an alternate exchange": (
        {},
        {"arguments": {"alternate-exchange": "x"}},
        "alternate-exchange",
        "received the value 'x' of type 'longstr' but current is none",
    ),
    "no alternate exchange": (
        {"arguments": {"alternate-exchange": "x"}},
        {},
        "alternate-exchange",
        "received none but current is the value 'x' of type 'longstr'",
    ),
    "another alternate exchange": (
        {"arguments": {"alternate-exchange": "x"}},
        {"arguments": {"alternate-exchange": "y"}},
        "alternate-exchange",
        "received 'y' but current is 'x'",
    ),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
async def test_a_declaration_that_differs_is_refused(
    channel: ChannelDriver, name: str, difference: str
) -> None:
    first, second, argument, rest = DIFFERENCES[difference]
    await channel.exchange(name, **first)
    closed = await refusal(channel.exchange(name, **second))
    assert closed.answer == inequivalent(argument, name, rest)
    assert closed.blamed == (40, 10)


@pytest.mark.parametrize(
    "first, second",
    [
        ({"alternate-exchange": "x"}, {"alternate-exchange": "x"}),
        ({"anything": "x"}, {"anything": "y"}),
        ({}, {"anything": "y"}),
        ({"x-anything": 1}, {}),
    ],
)
async def test_other_arguments_may_differ(
    channel: ChannelDriver, name: str, first: FieldTable, second: FieldTable
) -> None:
    await channel.exchange(name, arguments=first)
    await channel.exchange(name, arguments=second)


# --- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alternate", ["", "no-such-exchange", "amq.default"])
async def test_an_alternate_exchange_need_not_exist(
    channel: ChannelDriver, name: str, alternate: str
) -> None:
    await channel.exchange(name, arguments={"alternate-exchange": alternate})


@pytest.mark.parametrize(
    "value, kind",
    [(1, "byte"), (True, "bool"), (None, "void"), ([], "array"), ({}, "table"), (1.5, "double")],
)
async def test_an_alternate_exchange_is_a_name(
    channel: ChannelDriver, name: str, value: object, kind: str
) -> None:
    request = channel.exchange(name, arguments={"alternate-exchange": value})  # type: ignore[dict-item]
    assert (await refusal(request)).answer == precondition_failed(
        f"invalid type '{kind}' for arg 'alternate-exchange' in exchange '{name}' in vhost '/'"
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"hash-property": "no-such-property"}, "Unsupported property: no-such-property"),
        (
            {"hash-property": "message_id", "hash-header": "h"},
            "hash-header and hash-property are mutually exclusive",
        ),
    ],
    ids=["unknown property", "both"],
)
async def test_a_consistent_hash_exchange_hashes_one_thing_that_exists(
    channel: ChannelDriver, name: str, arguments: FieldTable, words: str
) -> None:
    closed = await refusal(channel.exchange(name, "x-consistent-hash", arguments=arguments))
    assert closed.answer == precondition_failed(words)


# --- nowait ------------------------------------------------------------------------------------


async def test_a_declare_without_waiting_has_no_answer(channel: ChannelDriver, name: str) -> None:
    channel.send(Exchange.Declare, exchange=name, exchange_type="direct", nowait=True)
    await channel.expect_silence()
    await channel.exchange(name, passive=True)


async def test_a_declare_without_waiting_is_refused_all_the_same(channel: ChannelDriver) -> None:
    channel.send(Exchange.Declare, exchange="amq.new", exchange_type="direct", nowait=True)
    closed = await channel.until_closed()
    assert closed.answer == access_refused(
        "exchange name 'amq.new' contains reserved prefix 'amq.*'"
    )
