"""Replies find their request, whoever has stopped waiting meanwhile."""

from typing import Any

import pytest
from hypothesis import given, strategies as st
from pamqp.commands import Basic, Queue

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionEnded
from hopmq.core.replies import NOBODY, ReplyQueue, ReplySlot
from hopmq.core.states import ConnectionState
from hopmq.errors import NotFoundError, UnexpectedFrameError, channel_closed
from hopmq.wire import new_method
from trials import trials

from .actors import Waiting, deliver, get_ok, method, names, written
from .pair import START


def declare(channel: ChannelCore, **options: Any) -> Waiting:
    waiter = Waiting()
    channel.request(waiter, new_method(Queue.Declare), Queue.DeclareOk, **options)
    return waiter


def declare_ok(queue: str) -> bytes:
    return method(1, Queue.DeclareOk, queue=queue)


def test_replies_go_to_requests_in_their_order(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiters = [declare(channel) for _ in range(3)]
    client.receive_data(b"".join(map(declare_ok, "abc")), START)
    assert [waiter.result.queue for waiter in waiters] == ["a", "b", "c"]


def test_a_late_reply_is_absorbed_by_the_request_that_was_abandoned(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    abandoned, waiting = declare(channel), declare(channel)
    abandoned.cancel()
    client.receive_data(declare_ok("late"), START)
    assert not waiting.done()
    client.receive_data(declare_ok("mine"), START)
    assert waiting.result.queue == "mine"
    assert abandoned.answers == 0
    assert client.state is ConnectionState.OPEN


def test_abandoned_requests_do_not_pile_up(client: ConnectionCore, channel: ChannelCore) -> None:
    for _ in range(50):
        declare(channel).cancel()
    client.receive_data(declare_ok("late") * 50, START)
    assert len(channel.replies) == 0


def test_a_reply_of_another_kind_is_a_505(client: ConnectionCore, channel: ChannelCore) -> None:
    waiter = declare(channel)
    client.receive_data(method(1, Basic.QosOk), START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)
    assert isinstance(waiter.error, UnexpectedFrameError)


def test_the_right_replies_in_the_wrong_order_are_a_505(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    channel.request(NOBODY, new_method(Basic.Qos), Basic.QosOk)
    declare(channel)
    client.receive_data(declare_ok("q"), START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)


def consume(channel: ChannelCore, tag: str) -> Waiting:
    waiter = Waiting()
    channel.request(waiter, new_method(Basic.Consume, consumer_tag=tag), Basic.ConsumeOk)
    return waiter


def test_what_a_queue_answers_may_be_overtaken_by_what_the_channel_answers(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiters = [consume(channel, "a"), declare(channel), consume(channel, "b"), declare(channel)]
    answers = [
        declare_ok("1"),
        declare_ok("2"),
        method(1, Basic.ConsumeOk, consumer_tag="a"),
        method(1, Basic.ConsumeOk, consumer_tag="b"),
    ]
    client.receive_data(b"".join(answers), START)
    first, one, second, two = (waiter.result for waiter in waiters)
    assert [first.consumer_tag, second.consumer_tag] == ["a", "b"]
    assert [one.queue, two.queue] == ["1", "2"]
    assert client.state is ConnectionState.OPEN


def test_what_a_queue_answers_overtakes_nothing(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    declare(channel)
    consume(channel, "a")
    client.receive_data(method(1, Basic.ConsumeOk, consumer_tag="a"), START)
    (*_, ended) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)


def test_one_reply_too_many_is_a_505(client: ConnectionCore, channel: ChannelCore) -> None:
    declare(channel)
    client.receive_data(declare_ok("q") * 2, START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)


def test_a_reply_on_another_channel_answers_nothing_here(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    client.open_channel(Waiting())
    declare(channel)
    client.receive_data(method(2, Queue.DeclareOk), START)
    (ended,) = client.events()
    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.error, UnexpectedFrameError)


def test_an_abandoned_request_is_undone_with_its_reply(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiter = Waiting()

    def undo(reply: object) -> None:
        assert isinstance(reply, Basic.ConsumeOk)
        cancel = new_method(Basic.Cancel, consumer_tag=reply.consumer_tag)
        channel.request(NOBODY, cancel, Basic.CancelOk)

    channel.request(waiter, new_method(Basic.Consume), Basic.ConsumeOk, on_abandoned=undo)
    waiter.cancel()
    written(client)
    client.receive_data(method(1, Basic.ConsumeOk, consumer_tag="tag"), START)
    assert names(written(client)) == ["Basic.Cancel"]
    client.receive_data(method(1, Basic.CancelOk, consumer_tag="tag"), START)
    assert len(channel.replies) == 0


def test_a_message_for_an_abandoned_get_goes_back(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiter = Waiting()
    channel.request(
        waiter,
        new_method(Basic.Get),
        client.codec.Fetched,
        Basic.GetEmpty,
        before_reply=lambda reply: channel.deliveries.unsettled.add(reply.delivery_tag),
        on_abandoned=lambda reply: channel.reject(reply.delivery_tag),
    )
    waiter.cancel()
    written(client)
    client.receive_data(get_ok(1, 9), START)
    (reject,) = written(client)
    assert (reject.delivery_tag, reject.requeue) == (9, True)
    assert not channel.deliveries.unsettled


def test_nothing_is_undone_for_a_waiter_that_got_its_reply(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    undone: list[object] = []
    declare(channel, on_abandoned=undone.append)
    client.receive_data(declare_ok("q"), START)
    assert undone == []


def test_nothing_is_undone_when_the_channel_is_closed_instead(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    undone: list[object] = []
    declare(channel, on_abandoned=undone.append).cancel()
    channel.end(channel_closed(404, "no"))
    assert undone == []


def test_what_must_happen_with_the_reply_happens_before_what_follows_it(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    order: list[str] = []
    declare(channel, before_reply=lambda _: order.append("before"))
    channel.consumers["tag"] = lambda _: order.append("delivery")
    client.receive_data(declare_ok("q") + deliver(1, "tag", 1), START)
    assert order == ["before", "delivery"]


def test_a_request_that_cannot_be_encoded_leaves_no_slot(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    written(client)
    with pytest.raises(ValueError, match="queue"):
        channel.request(Waiting(), new_method(Queue.Declare, queue="q" * 256), Queue.DeclareOk)
    assert len(channel.replies) == 0
    assert written(client) == []


@trials(100)
@given(st.lists(st.sampled_from(["ask", "cancel", "answer", "close"]), max_size=30))
def test_each_waiter_is_answered_at_most_once_and_in_order(steps: list[str]) -> None:
    queue = ReplyQueue()
    asked: list[Waiting] = []
    answered = 0
    for step in steps:
        if step == "ask":
            asked.append(Waiting())
            queue.expect(ReplySlot(asked[-1], Queue.Declare.index, (Queue.DeclareOk,)))
        elif step == "cancel" and asked:
            asked[-1].cancelled = asked[-1].cancelled or not asked[-1].done()
        elif step == "answer":
            reply = new_method(Queue.DeclareOk, message_count=answered)
            assert queue.receive(reply) == (answered < len(asked))
            answered = min(answered + 1, len(asked))
        elif step == "close":
            queue.fail(NotFoundError("gone"))
            answered = len(asked)
        assert len(queue) == len(asked) - answered
    for position, waiter in enumerate(asked):
        if waiter.result is not None:
            assert waiter.result.message_count == position
