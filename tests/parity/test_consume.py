"""Consumers begin and end: tags, exclusiveness, arguments, and what is refused."""

import re
from typing import Any

import pytest
from pamqp.commands import Basic

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.closed import Closed, refusal
from parity.driver import Peer
from parity.queues import both_kinds, declare_kind, fill

IN_USE = "ACCESS_REFUSED - queue '{}' in vhost '/' in exclusive use"


# --- tags --------------------------------------------------------------------------------------


async def test_a_tag_is_generated_and_unlike_others(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    tags = {await channel.consume(name) for _ in range(3)}
    assert len(tags) == 3
    assert all(re.fullmatch(r"amq\.ctag-[A-Za-z0-9_-]{22}", tag) for tag in tags)


@pytest.mark.parametrize("tag", ["a", "amq.ctag-mine", "ü", "x" * 255])
async def test_a_tag_that_is_given_is_kept(channel: ChannelDriver, name: str, tag: str) -> None:
    await channel.declare(name)
    assert await channel.consume(name, tag) == tag


async def test_a_tag_in_use_on_the_channel_costs_the_connection(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name)
    await channel.consume(name, "tag")
    assert await refusal(channel.consume(name, "tag")) == (
        "connection",
        530,
        "NOT_ALLOWED - attempt to reuse consumer tag 'tag'",
    )
    assert peer.closed is not None
    assert peer.closed.blamed == (60, 20)


async def test_a_tag_is_free_again_after_cancel(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    for _ in range(2):
        assert await channel.consume(name, "tag") == "tag"
        await channel.cancel("tag")


async def test_channels_do_not_share_tags(channel: ChannelDriver, name: str) -> None:
    other = await channel.peer.channel()
    await channel.declare(name)
    await channel.consume(name, "tag")
    assert await other.consume(name, "tag") == "tag"


# --- what there is to consume ------------------------------------------------------------------


async def test_a_missing_queue_is_not_found(channel: ChannelDriver) -> None:
    with pytest.raises(Closed) as caught:
        await channel.consume("no-such-queue")
    assert caught.value.answer == (
        "channel",
        404,
        "NOT_FOUND - no queue 'no-such-queue' in vhost '/'",
    )
    assert caught.value.blamed == (60, 20)


@pytest.mark.parametrize("method", ["consume", "get"])
async def test_no_name_means_the_queue_declared_last(
    channel: ChannelDriver, name: str, method: str
) -> None:
    await channel.declare(f"{name}-before")
    await channel.declare(name)
    await fill(channel, name, b"last")
    if method == "get":
        message = await channel.get("")
        assert message is not None
        assert message.body == b"last"
        return
    await channel.consume("", no_ack=True)
    assert (await channel.next(Delivery)).body == b"last"


@pytest.mark.parametrize("method, blamed", [("consume", (60, 20)), ("get", (60, 70))])
async def test_no_name_without_a_declare_is_not_found(
    channel: ChannelDriver, method: str, blamed: tuple[int, int]
) -> None:
    with pytest.raises(Closed) as caught:
        await getattr(channel, method)("")
    assert caught.value.answer == ("channel", 404, "NOT_FOUND - no previously declared queue")
    assert caught.value.blamed == blamed


async def test_nowait_is_not_answered_and_consumes(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await fill(channel, name, b"body")
    channel.send(Basic.Consume, queue=name, consumer_tag="tag", no_ack=True, nowait=True)
    delivery = await channel.next(Delivery)
    assert (delivery.consumer_tag, delivery.body) == ("tag", b"body")


async def test_the_answer_comes_before_the_first_delivery(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name)
    await fill(channel, name, b"body")
    channel.send(Basic.Consume, queue=name, consumer_tag="tag", no_ack=True)
    assert isinstance(await channel.any(), Basic.ConsumeOk)
    assert (await channel.next(Delivery)).body == b"body"


async def test_no_local_is_ignored(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await channel.consume(name, no_local=True, no_ack=True)
    channel.publish(b"own", routing_key=name)
    assert (await channel.next(Delivery)).body == b"own"


# --- exclusive consumers -----------------------------------------------------------------------


@pytest.mark.parametrize("first, second", [(True, False), (False, True), (True, True)])
async def test_an_exclusive_consumer_stands_no_other(
    channel: ChannelDriver, name: str, first: bool, second: bool
) -> None:
    other = await channel.peer.channel()
    await channel.declare(name)
    await channel.consume(name, exclusive=first)
    assert await refusal(other.consume(name, exclusive=second)) == (
        "channel",
        403,
        IN_USE.format(name),
    )


@pytest.mark.parametrize("first, second", [(True, False), (False, True), (True, True)])
async def test_a_quorum_queue_does_not_know_of_exclusive_consumers(
    channel: ChannelDriver, name: str, first: bool, second: bool
) -> None:
    other = await channel.peer.channel()
    await declare_kind(channel, name, "quorum")
    await channel.consume(name, exclusive=first)
    await other.consume(name, exclusive=second)


async def test_the_queue_is_free_after_the_exclusive_consumer(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name)
    for _ in range(2):
        await channel.cancel(await channel.consume(name, exclusive=True))
    await channel.consume(name)


@both_kinds
async def test_an_exclusive_consumer_does_not_keep_others_from_getting(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.qos(1)
    await channel.consume(name, exclusive=True)
    await fill(channel, name, b"1", b"2")
    await channel.next(Delivery)
    message = await channel.get(name)
    assert message is not None
    assert message.body == b"2"


# --- cancel ------------------------------------------------------------------------------------


async def test_cancel_of_an_unknown_tag_succeeds(channel: ChannelDriver) -> None:
    await channel.cancel("no-such-tag")


@both_kinds
async def test_nothing_is_delivered_after_cancel(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.cancel(await channel.consume(name))
    await fill(channel, name, b"body")
    await channel.expect_silence(name)
    assert await channel.drain(name) == [b"body"]


@both_kinds
async def test_cancel_leaves_the_unsettled_to_be_settled(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1", b"2")
    tag = await channel.consume(name)
    first, second = await channel.collect(Delivery, 2)
    await channel.cancel(tag)
    assert await channel.count(name) == 0
    channel.ack(first.delivery_tag)
    channel.reject(second.delivery_tag, requeue=False)
    await channel.qos(0)


# --- arguments ---------------------------------------------------------------------------------

WRONG_PRIORITY = "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{}' in vhost '/': {}"


@both_kinds
@pytest.mark.parametrize(
    "value, type_name", [("high", "longstr"), (1.5, "double"), (None, "void"), (True, "bool")]
)
async def test_a_priority_is_an_integer(
    channel: ChannelDriver, name: str, kind: str, value: Any, type_name: str
) -> None:
    await declare_kind(channel, name, kind)
    assert await refusal(channel.consume(name, arguments={"x-priority": value})) == (
        "channel",
        406,
        WRONG_PRIORITY.format(name, f'"expected integer, got {type_name}"'),
    )


@both_kinds
@pytest.mark.parametrize(
    "arguments",
    [{"x-priority": -5}, {"x-priority": 1 << 40}, {"x-priority": 0}, {"unknown": 1}, {}],
    ids=str,
)
async def test_arguments_that_are_taken(
    channel: ChannelDriver, name: str, kind: str, arguments: FieldTable
) -> None:
    await declare_kind(channel, name, kind)
    await channel.consume(name, arguments=arguments)


@both_kinds
async def test_a_stream_offset_is_for_streams(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, kind)
    assert await refusal(channel.consume(name, arguments={"x-stream-offset": "first"})) == (
        "channel",
        406,
        (
            f"PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '{name}' in vhost '/'"
            f" of queue type rabbit_{kind}_queue"
        ),
    )


@pytest.mark.parametrize(
    "kind, value, text",
    [
        ("classic", "yes", ": {unacceptable_type,longstr}"),
        ("quorum", True, " of queue type rabbit_quorum_queue"),
    ],
)
async def test_cancel_on_failover_is_checked_by_3_10_alone(
    channel: ChannelDriver, name: str, release: str, kind: str, value: Any, text: str
) -> None:
    await declare_kind(channel, name, kind)
    arguments = {"x-cancel-on-ha-failover": value}
    if release != "3.10":
        await channel.consume(name, arguments=arguments)
        return
    assert await refusal(channel.consume(name, arguments=arguments)) == (
        "channel",
        406,
        (
            "PRECONDITION_FAILED - invalid arg 'x-cancel-on-ha-failover'"
            f" for queue '{name}' in vhost '/'{text}"
        ),
    )
