"""Declaring queues: names, flags, and the words for each contradiction."""

from typing import Any

import pytest
from pamqp.commands import Queue

from hopmq.typedefs import FieldTable, FieldValue
from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.endings import (
    access_refused,
    not_found,
    precondition_failed,
    refusal,
    resource_locked,
)


def inequivalent(argument: str, name: str, rest: str) -> tuple[str, int, str]:
    """Return the answer to a declaration that differs."""
    return precondition_failed(
        f"inequivalent arg '{argument}' for queue '{name}' in vhost '/': {rest}"
    )


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("auto_delete", [False, True])
async def test_every_flag_is_taken_and_the_queue_can_be_declared_again(
    channel: ChannelDriver, name: str, durable: bool, exclusive: bool, auto_delete: bool
) -> None:
    for _ in range(2):
        declared = await channel.declare(
            name, durable=durable, exclusive=exclusive, auto_delete=auto_delete
        )
        assert declared.queue == name
        assert (declared.message_count, declared.consumer_count) == (0, 0)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", "with space", "ünïcode", "a/b", "%2F", "#", "x" * 200])
async def test_names_may_hold_anything(channel: ChannelDriver, name: str, suffix: str) -> None:
    queue = f"{name[:40]}{suffix}"
    assert (await channel.declare(queue, exclusive=True)).queue == queue
    assert (await channel.declare(queue, passive=True)).queue == queue


@pytest.mark.parametrize("request_name", ["get", "purge", "consume"])
async def test_ends_of_lines_are_not_left_out_of_names_of_queues_to_read(
    channel: ChannelDriver, name: str, request_name: str
) -> None:
    await channel.declare(name, exclusive=True)
    closed = await refusal(getattr(channel, request_name)(f"{name}\n"))
    assert closed.answer == not_found(f"no queue '{name}\n' in vhost '/'")


async def test_a_name_has_up_to_255_bytes(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name.ljust(255, "x"), exclusive=True)


async def test_ends_of_lines_are_left_out_of_names(channel: ChannelDriver, name: str) -> None:
    declared = await channel.declare(f"{name}\r\n-end\n", exclusive=True)
    assert declared.queue == f"{name}-end"
    assert (await channel.declare(f"{name}\n-end", passive=True)).queue == f"{name}-end"
    await channel.bind(f"{name}-e\nnd", "amq.direct", name)
    await channel.unbind(f"{name}-e\nnd", "amq.direct", name)
    await channel.delete(f"{name}-end\r")
    closed = await refusal(channel.declare(f"{name}-end", passive=True))
    assert closed.is_missing


@pytest.mark.parametrize("reserved", ["amq.", "amq.new", "amq.gen-1", "amq.ctag-1"])
async def test_new_names_may_not_begin_with_amq(channel: ChannelDriver, reserved: str) -> None:
    closed = await refusal(channel.declare(reserved))
    assert closed.answer == access_refused(
        f"queue name '{reserved}' contains reserved prefix 'amq.*'"
    )
    assert closed.blamed == (50, 10)


async def test_amq_without_a_dot_is_a_name_as_any_other(channel: ChannelDriver) -> None:
    await channel.declare("amq", exclusive=True)


async def test_the_broker_names_a_queue_that_has_no_name(channel: ChannelDriver) -> None:
    names = [str((await channel.declare(exclusive=True)).queue) for _ in range(5)]
    assert len(set(names)) == 5
    assert all(each.startswith("amq.gen-") and len(each) == 30 for each in names)


async def test_a_name_that_the_broker_made_cannot_be_declared_again(
    channel: ChannelDriver,
) -> None:
    declared = await channel.declare(exclusive=True)
    closed = await refusal(channel.declare(str(declared.queue), exclusive=True))
    assert closed.answer == access_refused(
        f"queue name '{declared.queue}' contains reserved prefix 'amq.*'"
    )


async def test_a_name_that_the_broker_made_can_be_declared_passively(
    channel: ChannelDriver,
) -> None:
    declared = await channel.declare(exclusive=True)
    again = await channel.declare(str(declared.queue), passive=True)
    assert again.queue == declared.queue


# --- passive -----------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", ["no-such-queue", "amq.no-such-queue", ""])
async def test_a_passive_declare_of_what_is_missing_is_refused(
    channel: ChannelDriver, queue: str
) -> None:
    await channel.declare(exclusive=True)  # which the empty name does not stand for here
    closed = await refusal(channel.declare(queue, passive=True))
    assert closed.answer == not_found(f"no queue '{queue}' in vhost '/'")
    assert closed.blamed == (50, 10)


async def test_a_passive_declare_looks_at_nothing_but_the_name(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, durable=True)
    await channel.declare(
        name,
        passive=True,
        exclusive=True,
        auto_delete=True,
        arguments={"x-max-length": -1, "x-queue-type": "none"},
    )


async def test_a_declare_counts_ready_messages_and_consumers(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, exclusive=True)
    await channel.confirm()
    for _ in range(3):
        await channel.put(routing_key=name)
    await channel.get(name, no_ack=False)
    for passive in (False, True):
        declared = await channel.declare(name, exclusive=not passive, passive=passive)
        assert (declared.message_count, declared.consumer_count) == (2, 0)
    await channel.qos(1)
    for _ in range(2):
        await channel.consume(name)
    declared = await channel.declare(name, passive=True)
    assert declared.consumer_count == 2


# --- declaring again, differently --------------------------------------------------------------


@pytest.mark.parametrize(
    "first, second, argument, rest",
    [
        ({}, {"durable": True}, "durable", "received 'true' but current is 'false'"),
        ({"durable": True}, {}, "durable", "received 'false' but current is 'true'"),
        ({}, {"auto_delete": True}, "auto_delete", "received 'true' but current is 'false'"),
        ({"auto_delete": True}, {}, "auto_delete", "received 'false' but current is 'true'"),
        (
            {},
            {"durable": True, "auto_delete": True, "arguments": {"x-max-length": 1}},
            "durable",
            "received 'true' but current is 'false'",
        ),
        (
            {"exclusive": True},
            {"exclusive": True, "auto_delete": True},
            "auto_delete",
            "received 'true' but current is 'false'",
        ),
        (
            {"arguments": {"x-max-length": 1, "x-expires": 100_000}},
            {"arguments": {"x-max-length": 2, "x-expires": 200_000}},
            "x-expires",
            "received '200000' but current is '100000'",
        ),
    ],
)
async def test_a_declaration_that_differs_is_refused(
    channel: ChannelDriver,
    name: str,
    first: dict[str, Any],
    second: dict[str, Any],
    argument: str,
    rest: str,
) -> None:
    await channel.declare(name, **first)
    closed = await refusal(channel.declare(name, **second))
    assert closed.answer == inequivalent(argument, name, rest)
    assert closed.blamed == (50, 10)


@pytest.mark.parametrize(
    "first, second",
    [
        ({}, {"exclusive": True}),
        ({"exclusive": True}, {}),
        ({}, {"exclusive": True, "durable": True}),
    ],
)
async def test_exclusive_or_not_is_said_to_be_locked(
    channel: ChannelDriver, name: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    await channel.declare(name, **first)
    closed = await refusal(channel.declare(name, **second))
    assert closed.answer == resource_locked(name)


async def test_an_exclusive_queue_is_never_durable(channel: ChannelDriver, name: str) -> None:
    for durable in (True, False, True):
        await channel.declare(name, exclusive=True, durable=durable)


COMPARED: list[tuple[str, FieldValue, FieldValue, str]] = [
    ("x-message-ttl", 1000, 2000, "short"),
    ("x-expires", 100_000, 200_000, "signedint"),
    ("x-max-length", 1, 70_000, "byte"),
    ("x-max-length-bytes", 1, 2, "byte"),
    ("x-max-priority", 1, 2, "byte"),
    ("x-overflow", "drop-head", "reject-publish", "longstr"),
    ("x-dead-letter-exchange", "a", "b", "longstr"),
    ("x-dead-letter-routing-key", "a", "b", "longstr"),
    ("x-single-active-consumer", True, False, "bool"),
    ("x-queue-mode", "lazy", "default", "longstr"),
]
BASE: dict[str, FieldTable] = {"x-dead-letter-routing-key": {"x-dead-letter-exchange": "x"}}


def shown(value: object) -> str:
    """Spell a value as the broker does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("argument, one, other, kind", COMPARED)
async def test_arguments_that_matter_have_to_be_equal(
    channel: ChannelDriver,
    name: str,
    argument: str,
    one: FieldValue,
    other: FieldValue,
    kind: str,
) -> None:
    base = BASE.get(argument, {})
    await channel.declare(name, arguments={**base, argument: one})
    await channel.declare(name, arguments={argument: one, **base})
    closed = await refusal(channel.declare(name, arguments={**base, argument: other}))
    assert closed.answer == inequivalent(
        argument, name, f"received '{shown(other)}' but current is '{shown(one)}'"
    )
    again = await channel.peer.channel()
    closed = await refusal(again.declare(name, arguments=base))
    assert closed.answer == inequivalent(
        argument,
        name,
        f"received none but current is the value '{shown(one)}' of type '{kind}'",
    )


@pytest.mark.parametrize("argument, one, other, kind", COMPARED)
async def test_arguments_that_matter_are_not_added(
    channel: ChannelDriver,
    name: str,
    argument: str,
    one: FieldValue,
    other: FieldValue,
    kind: str,
) -> None:
    base = BASE.get(argument, {})
    await channel.declare(name, arguments=base)
    closed = await refusal(channel.declare(name, arguments={**base, argument: one}))
    assert closed.answer == inequivalent(
        argument,
        name,
        f"received the value '{shown(one)}' of type '{kind}' but current is none",
    )


@pytest.mark.parametrize(
    "first, second",
    [
        ({"anything": 1}, {"anything": 2}),
        ({}, {"x-anything": [1, {"a": None}]}),
        ({"x-anything": 1}, {}),
        ({}, {"x-queue-type": "classic"}),
        ({"x-queue-type": "classic"}, {}),
    ],
)
async def test_other_arguments_may_differ(
    channel: ChannelDriver, name: str, first: FieldTable, second: FieldTable
) -> None:
    await channel.declare(name, arguments=first)
    await channel.declare(name, arguments=second)


async def test_integers_of_other_widths_are_equal(channel: ChannelDriver, name: str) -> None:
    head = b"\0\0" + bytes([len(name)]) + name.encode() + b"\x08"  # exclusive
    for value in (b"I\0\0\x03\xe8", b"s\x03\xe8", b"l\0\0\0\0\0\0\x03\xe8"):
        table = b"\x0cx-max-length" + value
        channel.raw(50, 10, head + len(table).to_bytes(4, "big") + table)
        await channel.expect(Queue.DeclareOk)


# --- nowait ------------------------------------------------------------------------------------


async def test_a_declare_without_waiting_has_no_answer(channel: ChannelDriver, name: str) -> None:
    channel.send(Queue.Declare, queue=name, exclusive=True, nowait=True)
    await channel.expect_silence()
    await channel.declare(name, passive=True)


async def test_a_declare_without_waiting_is_refused_all_the_same(peer: Peer) -> None:
    channel = await peer.channel()
    channel.send(Queue.Declare, queue="amq.new", nowait=True)
    assert (await channel.until_closed()).answer == access_refused(
        "queue name 'amq.new' contains reserved prefix 'amq.*'"
    )


async def test_a_passive_declare_without_waiting_is_refused_all_the_same(
    channel: ChannelDriver,
) -> None:
    channel.send(Queue.Declare, queue="no-such-queue", passive=True, nowait=True)
    assert (await channel.until_closed()).answer == not_found(
        "no queue 'no-such-queue' in vhost '/'"
    )
