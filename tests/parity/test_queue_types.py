"""Quorum queues and streams: what they cannot be, and what cannot be asked of them."""

from typing import Any

import pytest

from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.endings import precondition_failed, refusal

KINDS = ("quorum", "stream")


def not_implemented(text: str) -> tuple[str, int, str]:
    """Return the answer to what a queue of that type cannot do."""
    return ("connection", 540, f"NOT_IMPLEMENTED - {text}")


@pytest.mark.parametrize(
    "value, words",
    [
        ("none", "\"unsupported queue type 'none'\""),
        ("Classic", "\"unsupported queue type 'Classic'\""),
        (1, "{unacceptable_type,byte}"),
        (True, "{unacceptable_type,bool}"),
        (None, "{unacceptable_type,void}"),
        ([], "{unacceptable_type,array}"),
    ],
)
async def test_an_unknown_type_is_refused(
    channel: ChannelDriver, name: str, value: Any, words: str
) -> None:
    request = channel.declare(name, durable=True, arguments={"x-queue-type": value})
    assert (await refusal(request)).answer == precondition_failed(
        f"invalid arg 'x-queue-type' for queue '{name}' in vhost '/': {words}"
    )


async def test_an_empty_type_is_the_default_one_since_4_3(
    channel: ChannelDriver, release: str, name: str
) -> None:
    request = channel.declare(name, durable=True, arguments={"x-queue-type": ""})
    if release == "4.3":
        await request
        return
    assert (await refusal(request)).answer == precondition_failed(
        f"invalid arg 'x-queue-type' for queue '{name}' in vhost '/': \"unsupported queue type ''\""
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "flags, invalid",
    [
        ({}, "non-durable"),
        ({"durable": True, "exclusive": True}, "exclusive-owner"),
        ({"exclusive": True}, "exclusive-owner"),
        ({"durable": True, "auto_delete": True}, "auto-delete"),
    ],
    ids=str,
)
async def test_replicated_queues_are_durable_and_for_all(
    channel: ChannelDriver, name: str, kind: str, flags: dict[str, bool], invalid: str
) -> None:
    closed = await refusal(channel.declare(name, arguments={"x-queue-type": kind}, **flags))
    assert closed.answer == precondition_failed(
        f"invalid property '{invalid}' for queue '{name}' in vhost '/'"
    )
    assert closed.blamed == (50, 10)


@pytest.mark.parametrize("kind", KINDS)
async def test_replicated_queues_have_names(channel: ChannelDriver, kind: str) -> None:
    closed = await refusal(channel.declare(durable=True, arguments={"x-queue-type": kind}))
    assert closed.answer == precondition_failed(
        f"Cannot declare a server-named queue for type rabbit_{kind}_queue"
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_queue_keeps_its_type(channel: ChannelDriver, name: str, kind: str) -> None:
    await channel.declare(name, durable=True, arguments={"x-queue-type": "classic"})
    closed = await refusal(channel.declare(name, durable=True, arguments={"x-queue-type": kind}))
    assert closed.answer == precondition_failed(
        f"inequivalent arg 'x-queue-type' for queue '{name}' in vhost '/': "
        f"received '{kind}' but current is 'classic'"
    )


# --- one quorum queue and one stream for all tests below ----------------------------------------


@pytest.fixture
async def quorum(peer: Peer, name: str) -> str:
    """Return the name of an empty quorum queue."""
    await (await peer.channel(100)).declare(
        name, durable=True, arguments={"x-queue-type": "quorum"}
    )
    return name


@pytest.fixture
async def stream(peer: Peer, name: str) -> str:
    """Return the name of an empty stream."""
    await (await peer.channel(100)).declare(
        name, durable=True, arguments={"x-queue-type": "stream"}
    )
    return name


async def test_leaving_the_type_out_is_asking_for_the_default(
    peer: Peer, release: str, quorum: str
) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.declare(quorum, durable=True))
    words = {
        "3.10": "received none but current is the value 'quorum' of type 'longstr'",
        "4.0": "received 'classic' but current is 'quorum'",
        "4.3": "received 'classic' but current is 'quorum'",
    }
    assert closed.answer == precondition_failed(
        f"inequivalent arg 'x-queue-type' for queue '{quorum}' in vhost '/': {words[release]}"
    )


async def test_a_quorum_queue_counts_purges_and_deletes(peer: Peer, quorum: str) -> None:
    channel = await peer.channel()
    await channel.confirm()
    for _ in range(3):
        await channel.put(routing_key=quorum)
    assert await channel.purge(quorum) == 3
    await channel.put(routing_key=quorum)
    assert await channel.delete(quorum) == 1


@pytest.mark.parametrize("condition", ["if_empty", "if_unused"])
async def test_a_quorum_queue_is_deleted_without_conditions_only(
    peer: Peer, quorum: str, condition: str
) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.delete(quorum, **{condition: True}))
    flag = condition.replace("_", "-")
    assert closed.answer == not_implemented(
        f"cannot delete queue '{quorum}' in vhost '/'. "
        f"queue.delete operations with {flag} flag set are not supported by quorum queues"
    )
    assert closed.blamed == (50, 40)


async def test_a_stream_is_not_asked_for_single_messages(peer: Peer, stream: str) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.get(stream))
    assert closed.answer == not_implemented(
        f"basic.get not supported by stream queues queue '{stream}' in vhost '/'"
    )
    assert closed.blamed == (60, 70)


async def test_a_stream_is_not_purged(peer: Peer, stream: str) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.purge(stream))
    assert closed.answer == not_implemented(
        f"queue.purge not supported by stream queues queue '{stream}' in vhost '/'"
    )


async def test_a_streams_consumer_has_a_prefetch(peer: Peer, release: str, stream: str) -> None:
    channel = await peer.channel()
    closed = await refusal(channel.consume(stream))
    what = f"'queue '{stream}' in vhost '/''"
    if release != "3.10":
        what = f"stream queue '{stream}' in vhost '/'"
    assert closed.answer == precondition_failed(f"consumer prefetch count is not set for {what}")
    assert closed.blamed == (60, 20)


async def test_a_streams_consumer_acknowledges(peer: Peer, release: str, stream: str) -> None:
    channel = await peer.channel()
    await channel.qos(1)
    closed = await refusal(channel.consume(stream, no_ack=True))
    kind = "stream queues" if release == "3.10" else "stream"
    assert closed.answer == not_implemented(
        f"automatic acknowledgement not supported by {kind} queue '{stream}' in vhost '/'"
    )


@pytest.mark.parametrize("condition", ["if_empty", "if_unused"])
async def test_a_stream_is_deleted_whatever_the_condition(
    peer: Peer, stream: str, condition: str
) -> None:
    channel = await peer.channel()
    await channel.confirm()
    await channel.qos(1)
    await channel.put(routing_key=stream)
    await channel.consume(stream)
    assert await channel.delete(stream, **{condition: True}) == 0
