"""The broker cancels consumers whose queue goes away, and tells those who understand."""

import pytest
from pamqp.commands import Basic, Queue

from conftest import RunningBroker
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.driver import CAPABILITIES, Peer
from parity.queues import both_kinds, declare_kind, fill


@both_kinds
async def test_every_consumer_is_told_of_the_delete(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    others = [await channel.peer.channel() for _ in range(2)]
    await declare_kind(channel, name, kind)
    for number, other in enumerate(others):
        await other.consume(name, f"{number}-a")
        await other.consume(name, f"{number}-b", no_ack=True)
    await channel.delete(name)
    for number, other in enumerate(others):
        told = {await other.until_cancelled() for _ in range(2)}
        assert told == {f"{number}-a", f"{number}-b"}


async def test_the_cancel_asks_for_no_answer(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await channel.consume(name, "tag")
    await channel.delete(name)
    cancel = await channel.next(Basic.Cancel)
    assert (cancel.consumer_tag, cancel.nowait) == ("tag", True)


@pytest.mark.parametrize(
    "answers",
    [
        {
            "3.10": (503, "COMMAND_INVALID - unimplemented method", (60, 31)),
            "4.0": (503, "COMMAND_INVALID - unimplemented method", (60, 31)),
            "4.3": (541, "INTERNAL_ERROR", (0, 0)),
        }
    ],
)
async def test_an_answer_to_it_costs_the_connection(
    peer: Peer, name: str, release: str, answers: dict[str, tuple[int, str, tuple[int, int]]]
) -> None:
    channel = await peer.channel()
    await channel.declare(name)
    await channel.consume(name, "tag")
    await channel.delete(name)
    await channel.until_cancelled()
    channel.send(Basic.CancelOk, consumer_tag="tag")
    closed = await peer.until_closed()
    assert (closed.code, closed.text, closed.blamed) == answers[release]


@both_kinds
async def test_the_deleting_channel_is_told_too(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await channel.consume(name, "tag")
    await channel.delete(name)
    assert await channel.until_cancelled() == "tag"


@both_kinds
async def test_the_tag_is_free_once_cancelled(channel: ChannelDriver, name: str, kind: str) -> None:
    await declare_kind(channel, name, kind)
    await channel.consume(name, "tag")
    await channel.delete(name)
    await channel.until_cancelled()
    await declare_kind(channel, name, kind)
    assert await channel.consume(name, "tag") == "tag"


async def test_cancel_by_the_client_is_not_told_again(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await channel.cancel(await channel.consume(name))
    await channel.delete(name)
    await channel.expect_silence()


@both_kinds
async def test_a_peer_without_the_capability_is_not_told(
    broker: RunningBroker, channel: ChannelDriver, name: str, kind: str
) -> None:
    known = CAPABILITIES["capabilities"]
    assert isinstance(known, dict)
    without = {"capabilities": {**known, "consumer_cancel_notify": False}}
    peer = await Peer.open(broker.url, client_properties=without)
    deaf = await peer.channel()
    await declare_kind(channel, name, kind)
    await deaf.consume(name)
    await channel.consume(name, "tag")
    await channel.delete(name)
    assert await channel.until_cancelled() == "tag"
    await deaf.expect_silence()
    await peer.close()


@both_kinds
async def test_what_is_unsettled_at_the_delete_may_still_be_settled(
    channel: ChannelDriver, name: str, kind: str
) -> None:
    await declare_kind(channel, name, kind)
    await fill(channel, name, b"1", b"2", b"3")
    await channel.consume(name)
    first, second, third = await channel.collect(Delivery, 3)
    await channel.delete(name)
    await channel.until_cancelled()
    channel.ack(first.delivery_tag)
    channel.nack(second.delivery_tag)
    channel.reject(third.delivery_tag, requeue=False)
    await channel.expect_silence()


async def test_delete_with_nowait_cancels_too(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name)
    await channel.consume(name, "tag")
    channel.send(Queue.Delete, queue=name, nowait=True)
    assert await channel.until_cancelled() == "tag"
