"""Arguments of queues: which values each type of queue takes, and the words for all others."""

import pytest

from hopmq.typedefs import FieldTable, FieldValue
from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.endings import precondition_failed, refusal
from parity.queue_arguments import CASES, INTEGERS, OTHERS, Case


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_an_argument_is_taken_or_refused_in_these_words(
    channel: ChannelDriver, release: str, name: str, case: Case
) -> None:
    arguments = {"x-queue-type": case.kind, case.argument: case.value}
    request = channel.declare(name, durable=True, arguments=arguments)
    if release not in case.refusals:
        await request
        return
    closed = await refusal(request)
    assert closed.answer == precondition_failed(
        f"invalid arg '{case.argument}' for queue '{name}' in vhost '/'{case.refusals[release]}"
    )
    assert closed.blamed == (50, 10)


NO_NAMES = {kind: value for kind, value in {**INTEGERS, **OTHERS}.items() if kind != "longstr"}


@pytest.mark.parametrize("queue_type", ["classic", "quorum", "stream"])
@pytest.mark.parametrize("kind, value", NO_NAMES.items())
async def test_a_dead_letter_exchange_is_a_name(
    channel: ChannelDriver, name: str, queue_type: str, kind: str, value: FieldValue
) -> None:
    arguments = {"x-queue-type": queue_type, "x-dead-letter-exchange": value}
    closed = await refusal(channel.declare(name, durable=True, arguments=arguments))
    assert closed.answer == precondition_failed(
        f"invalid type '{kind}' for arg 'x-dead-letter-exchange' in queue '{name}' in vhost '/'"
    )


async def test_a_streams_segments_have_a_limit(channel: ChannelDriver, name: str) -> None:
    segment = "x-stream-max-segment-size-bytes"
    arguments: FieldTable = {"x-queue-type": "stream", segment: 3_000_000_001}
    closed = await refusal(channel.declare(name, durable=True, arguments=arguments))
    assert closed.answer == precondition_failed(f"Exceeded max value for {segment}")


@pytest.mark.parametrize("value", [15, 256])
async def test_a_streams_filter_has_a_size_since_4_0(
    channel: ChannelDriver, release: str, name: str, value: int
) -> None:
    size = "x-stream-filter-size-bytes"
    arguments: FieldTable = {"x-queue-type": "stream", size: value}
    request = channel.declare(name, durable=True, arguments=arguments)
    if release == "3.10":
        await request
        return
    gap = "  " if release == "4.0" else " "
    assert (await refusal(request)).answer == precondition_failed(f"Invalid value for{gap}{size}")


@pytest.mark.parametrize("value", ["min-masters", "client-local"])
async def test_a_master_locator_is_a_thing_of_the_past_since_4_3(
    peer: Peer, release: str, name: str, value: str
) -> None:
    channel = await peer.channel()
    request = channel.declare(name, arguments={"x-queue-master-locator": value})
    if release != "4.3":
        await request
        return
    closed = await refusal(request)
    assert (closed.scope, closed.code) == ("connection", 541)
    assert closed.text.startswith(
        "INTERNAL_ERROR - Feature `queue_master_locator` is deprecated.\n"
    )


async def test_of_several_wrong_arguments_one_is_named(channel: ChannelDriver, name: str) -> None:
    arguments = {"x-max-length": -1, "x-message-ttl": -1}
    closed = await refusal(channel.declare(name, arguments=arguments))
    assert closed.code == 406
    assert closed.text.endswith("{value_negative,-1}")


async def test_a_dead_letter_routing_key_goes_with_an_exchange(
    channel: ChannelDriver, name: str
) -> None:
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "key"}
    await channel.declare(name, exclusive=True, arguments=arguments)


@pytest.mark.parametrize("before", [None, 1])
async def test_a_queue_that_is_there_is_compared_with_and_values_are_not_checked(
    channel: ChannelDriver, name: str, before: int | None
) -> None:
    await channel.declare(name, arguments={} if before is None else {"x-max-length": before})
    closed = await refusal(channel.declare(name, arguments={"x-max-length": -1}))
    words = {
        None: "received the value '-1' of type 'byte' but current is none",
        1: "received '-1' but current is '1'",
    }
    assert closed.answer == precondition_failed(
        f"inequivalent arg 'x-max-length' for queue '{name}' in vhost '/': {words[before]}"
    )


async def test_values_of_other_kinds_differ_though_they_look_the_same(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, arguments={"x-max-length": 1})
    closed = await refusal(channel.declare(name, arguments={"x-max-length": "1"}))
    assert closed.answer == precondition_failed(
        f"inequivalent arg 'x-max-length' for queue '{name}' in vhost '/': "
        "received '1' but current is '1'"
    )


COMPARED: dict[str, FieldValue] = {
    "x-expires": 100_000,
    "x-message-ttl": 100_000,
    "x-dead-letter-exchange": "exchange",
    "x-max-length": 5,
    "x-max-length-bytes": 5,
    "x-max-priority": 5,
    "x-overflow": "drop-head",
    "x-queue-mode": "lazy",
    "x-single-active-consumer": True,
}
"""Arguments, in the order in which they are compared."""


async def test_of_several_differences_the_first_one_is_named(peer: Peer, name: str) -> None:
    left = dict(reversed(COMPARED.items()))
    named = []
    while left:
        channel = await peer.channel()
        await channel.declare(name, exclusive=True)
        closed = await refusal(channel.declare(name, exclusive=True, arguments=left))
        named.append(closed.text.split("'")[1])
        del left[named[-1]]
    assert named == list(COMPARED)


OF_KINDS: dict[str, dict[str, FieldValue]] = {
    "classic": {
        "x-max-length": 5,
        "x-queue-version": 2,
        "x-queue-master-locator": "client-local",
        "x-queue-leader-locator": "client-local",
    },
    "quorum": {
        "x-dead-letter-exchange": "exchange",
        "x-dead-letter-strategy": "at-most-once",
        "x-expires": 100_000,
        "x-max-length": 5,
        "x-max-length-bytes": 5,
        "x-max-in-memory-length": 5,
        "x-max-in-memory-bytes": 5,
        "x-overflow": "drop-head",
        "x-single-active-consumer": True,
        "x-quorum-initial-group-size": 1,
        "x-delivery-limit": 5,
        "x-message-ttl": 100_000,
        "x-queue-leader-locator": "client-local",
        "x-consumer-disconnected-timeout": 60_000,
        "x-consumer-timeout": 60_000,
        "x-delayed-retry-type": "failed",
        "x-delayed-retry-min": 100,
        "x-delayed-retry-max": 200,
    },
    "stream": {
        "x-max-length-bytes": 5,
        "x-max-age": "7D",
        "x-stream-max-segment-size-bytes": 5000,
        "x-stream-filter-size-bytes": 17,
        "x-initial-cluster-size": 1,
        "x-queue-leader-locator": "client-local",
    },
}
"""Arguments of each kind, in the order in which they are compared."""

ADDED = {
    "x-queue-leader-locator": {"classic": {"4.0", "4.3"}},
    "x-stream-filter-size-bytes": {"stream": {"4.3"}},
    **{each: {"quorum": {"4.3"}} for each in list(OF_KINDS["quorum"])[-5:]},
}
"""Releases that compare what earlier ones did not."""


@pytest.mark.parametrize("kind", list(OF_KINDS))
async def test_each_kind_compares_what_it_knows(
    peer: Peer, name: str, release: str, kind: str
) -> None:
    left = dict(reversed(OF_KINDS[kind].items()))
    await (await peer.channel()).declare(name, durable=True, arguments={"x-queue-type": kind})
    compared = [
        each for each in OF_KINDS[kind] if release in ADDED.get(each, {}).get(kind, {release})
    ]
    for argument in compared:
        channel = await peer.channel()
        again = channel.declare(name, durable=True, arguments={"x-queue-type": kind, **left})
        assert (await refusal(again)).text.split("'")[1] == argument
        del left[argument]
    arguments = {"x-queue-type": kind, **left}
    await (await peer.channel()).declare(name, durable=True, arguments=arguments)
