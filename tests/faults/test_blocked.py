"""While the broker takes no publishes they wait here, whole; a deadline that ends there is safe."""

import asyncio

import pytest
from pamqp.commands import Channel, Connection

import hopmq
from hopmq.errors import PublishManyError, PublishNotSentError, PublishNotSentTimeoutError
from hopmq.wire import new_method

from .ends import Ends, soon, start, turns

SHORT = 0.03


@pytest.fixture
async def blocked(ends: Ends) -> Ends:
    """Return a connection that the broker has blocked."""
    ends.peer.send(0, new_method(Connection.Blocked, reason="low on memory"))
    while not ends.connection.is_blocked:
        await asyncio.sleep(0)
    return ends


def unblock(ends: Ends) -> None:
    """Let publishes through."""
    ends.peer.send(0, new_method(Connection.Unblocked))


async def bodies(ends: Ends, count: int) -> list[bytes]:
    """Return the next publishes that the server saw."""
    return [(await soon(ends.peer.receives("Published"))).body for _ in range(count)]


async def test_publishes_wait_and_go_out_in_order_when_unblocked(blocked: Ends) -> None:
    tasks = [start(blocked.channel.publish(b"%d" % n, routing_key="q")) for n in range(5)]
    await soon(blocked.connection.declare_queue("requests are not held"))
    assert blocked.connection.state == "blocked"
    assert "Published" not in blocked.peer.seen
    unblock(blocked)
    await soon(asyncio.gather(*tasks))
    assert await bodies(blocked, 5) == [b"0", b"1", b"2", b"3", b"4"]
    assert blocked.connection.state == "open"
    await blocked.check_in_step()


async def test_a_deadline_that_ends_while_blocked_is_not_sent_and_never_arrives(
    blocked: Ends,
) -> None:
    with pytest.raises(PublishNotSentTimeoutError, match="low on memory") as raised:
        await soon(blocked.channel.publish(b"too late", routing_key="q", timeout=SHORT))
    assert raised.value.retry_safe
    assert isinstance(raised.value, TimeoutError)
    unblock(blocked)
    await blocked.check_in_step()
    assert await bodies(blocked, 1) == [b"in step"]
    assert blocked.peer.seen.count("Published") == 1


async def test_what_times_out_between_others_leaves_their_order_alone(blocked: Ends) -> None:
    channel = blocked.channel
    tasks = [
        start(channel.publish(b"%d" % n, routing_key="q", timeout=SHORT if n % 2 else 30))
        for n in range(6)
    ]
    outcomes = await soon(asyncio.gather(*tasks[1::2], return_exceptions=True))
    assert {type(outcome) for outcome in outcomes} == {PublishNotSentTimeoutError}
    assert len({id(outcome) for outcome in outcomes}) == 3
    unblock(blocked)
    await soon(asyncio.gather(*tasks[::2]))
    assert await bodies(blocked, 3) == [b"0", b"2", b"4"]


async def test_publish_nowait_says_why_there_is_no_room(blocked: Ends) -> None:
    with pytest.raises(PublishNotSentError, match="low on memory"):
        blocked.channel.publish_nowait(b"now", routing_key="q")


async def test_publish_many_goes_on_when_unblocked(blocked: Ends) -> None:
    messages = [b"%d" % n for n in range(50)]
    task = start(blocked.channel.publish_many(messages, routing_key="q"))
    await turns()
    assert not task.done()
    unblock(blocked)
    assert len(await soon(task)) == 50
    assert await bodies(blocked, 50) == messages


async def test_publish_many_that_runs_out_of_time_sent_nothing(blocked: Ends) -> None:
    with pytest.raises(PublishManyError) as raised:
        await soon(blocked.channel.publish_many([b"a", b"b"], routing_key="q", timeout=SHORT))
    assert {type(outcome) for outcome in raised.value.outcomes} == {PublishNotSentTimeoutError}
    assert raised.value.retry_safe
    unblock(blocked)
    await blocked.check_in_step()
    assert blocked.peer.seen.count("Published") == 1


async def test_without_confirms_publishes_wait_as_well(blocked: Ends) -> None:
    plain = await soon(blocked.connection.channel(confirms=False))
    task = start(plain.publish(b"held", routing_key="q"))
    await soon(blocked.connection.declare_queue("a round trip"))
    assert "Published" not in blocked.peer.seen
    unblock(blocked)
    assert not (await soon(task)).confirmed
    assert await bodies(blocked, 1) == [b"held"]
    await soon(plain.close())


async def test_a_connection_lost_while_blocked_tells_held_publishes_that_they_were_not_sent(
    blocked: Ends,
) -> None:
    tasks = [start(blocked.channel.publish(b"held", routing_key="q")) for _ in range(3)]
    await turns()
    blocked.peer.reset()
    outcomes = await soon(asyncio.gather(*tasks, return_exceptions=True))
    assert {type(outcome) for outcome in outcomes} == {PublishNotSentError}
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert isinstance(outcomes[0].__cause__, hopmq.ConnectionLostError)  # type: ignore[union-attr]
    assert not blocked.connection.is_blocked


async def test_a_blocked_connection_closes_at_once(blocked: Ends) -> None:
    task = start(blocked.channel.publish(b"held", routing_key="q"))
    await turns()
    await soon(blocked.connection.close())
    with pytest.raises(PublishNotSentError):
        await soon(task)


async def test_blocking_twice_and_unblocking_twice_does_no_harm(blocked: Ends) -> None:
    blocked.peer.send(0, new_method(Connection.Blocked, reason="low on disk"))
    task = start(blocked.channel.publish(b"held", routing_key="q"))
    await soon(blocked.connection.declare_queue("a round trip"))
    unblock(blocked)
    unblock(blocked)
    assert (await soon(task)).confirmed
    await blocked.check_in_step()


async def test_acks_and_requests_pass_while_blocked(blocked: Ends) -> None:
    consumer = await soon(blocked.channel.consume("q"))
    blocked.peer.deliver(blocked.channel.number, consumer.consumer_tag, 1)
    (await soon(anext(consumer))).ack()
    assert (await soon(blocked.peer.receives("Ack"))).delivery_tag == 1
    await soon(consumer.cancel())
    assert blocked.connection.is_blocked


async def test_a_stopped_channel_holds_its_publishes_until_it_flows_again(ends: Ends) -> None:
    other = await soon(ends.connection.channel())
    ends.peer.send(ends.channel.number, new_method(Channel.Flow, active=False))
    assert (await soon(ends.peer.receives("Channel.FlowOk"))).active is False
    held = start(ends.channel.publish(b"held", routing_key="q"))
    assert (await soon(other.publish(b"passes", routing_key="q"))).confirmed
    assert not held.done()
    with pytest.raises(PublishNotSentError, match=r"channel\.flow"):
        ends.channel.publish_nowait(b"now", routing_key="q")
    ends.peer.send(ends.channel.number, new_method(Channel.Flow, active=True))
    assert (await soon(held)).confirmed
    assert await bodies(ends, 2) == [b"passes", b"held"]
    await soon(other.close())
