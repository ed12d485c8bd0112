"""A connection that ends tells everybody who waits, each in their own words, and nobody twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from pamqp.commands import Queue

import hopmq
from hopmq.errors import (
    ConnectionForcedError,
    ConnectionLostError,
    NotFoundError,
    PreconditionFailedError,
    PublishNotSentError,
    PublishUnknownError,
)
from scripted import frames
from scripted.peer import Peer
from scripted.server import ScriptedServer

from .ends import Ends, connected, soon, start, turns
from .operations import REQUESTS, Operation


def stop_amid_a_frame(peer: Peer) -> None:
    """Hang up in the middle of a frame."""
    peer.write(frames.announced(frames.METHOD, 1, 99))
    peer.hang_up()


ENDINGS: dict[str, tuple[type[hopmq.ConnectionClosed], Callable[[Ends], None]]] = {
    "reset": (ConnectionLostError, lambda ends: ends.peer.reset()),
    "hang-up": (ConnectionLostError, lambda ends: ends.peer.hang_up()),
    "320": (
        ConnectionForcedError,
        lambda ends: ends.peer.close_connection(320, "CONNECTION_FORCED - shutdown"),
    ),
    "541": (
        hopmq.errors.InternalBrokerError,
        lambda ends: ends.peer.close_connection(541, "INTERNAL_ERROR"),
    ),
    "unknown-code": (
        hopmq.ConnectionClosed,
        lambda ends: ends.peer.close_connection(599, "of the future"),
    ),
    "mid-frame": (ConnectionLostError, lambda ends: stop_amid_a_frame(ends.peer)),
}


@pytest.fixture(params=ENDINGS)
def ending(request: pytest.FixtureRequest) -> str:
    """Return each way in which a connection ends."""
    name: str = request.param
    return name


async def test_everybody_who_waits_has_an_error_of_their_own_and_nobody_is_cancelled(
    server: ScriptedServer, ending: str
) -> None:
    kind, end = ENDINGS[ending]
    async with connected(server) as ends:
        channel = ends.channel
        narrow = await soon(ends.connection.channel(max_unconfirmed=1))
        consumer = await soon(channel.consume("q"))
        ends.gate.drop("Basic.Ack")
        ends.gate.drop("Queue.DeclareOk")
        ends.gate.drop("Basic.GetEmpty")
        in_flight = [start(channel.publish(b"sent", routing_key="q")) for _ in range(3)]
        in_flight.append(start(narrow.publish(b"sent", routing_key="q")))
        await turns()
        held = [start(narrow.publish(b"held", routing_key="q")) for _ in range(3)]
        waiting = [
            *[start(ends.connection.declare_queue("q")) for _ in range(3)],
            *[start(channel.get("q")) for _ in range(2)],
            *[start(consumer.__anext__()) for _ in range(2)],
            start(consumer.wait_closed()),
        ]
        for _ in in_flight:
            await soon(ends.peer.receives("Published"))
        for _ in range(3):
            await soon(ends.peer.receives("Queue.Declare"))
        end(ends)
        reason = await soon(ends.connection.wait_closed())
        assert type(reason) is kind
        unknown = await soon(asyncio.gather(*in_flight, return_exceptions=True))
        not_sent = await soon(asyncio.gather(*held, return_exceptions=True))
        told = await soon(asyncio.gather(*waiting, return_exceptions=True))
        assert {type(error) for error in unknown} == {PublishUnknownError}
        assert {type(error) for error in not_sent} == {PublishNotSentError}
        assert {type(error) for error in told} == {kind}
        errors = [*unknown, *not_sent, *told, reason]
        assert len({id(error) for error in errors}) == len(errors)
        for error in [*unknown, *not_sent]:
            assert isinstance(error, BaseException)
            assert type(error.__cause__) is kind
        assert ends.peer.seen.count("Published") == len(in_flight)


async def test_the_cause_is_logged_once(
    server: ScriptedServer, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, end = ENDINGS[ending]
    async with connected(server) as ends:
        ends.gate.drop("Basic.Ack")
        publishes = [start(ends.channel.publish(b"sent", routing_key="q")) for _ in range(20)]
        await soon(ends.peer.receives("Published"))
        with caplog.at_level(logging.INFO, "hopmq"):
            end(ends)
            reason = await soon(ends.connection.wait_closed())
            await soon(asyncio.gather(*publishes, return_exceptions=True))
            await turns()
        about = [record for record in caplog.records if str(reason) in record.getMessage()]
        assert len(about) == 1
        assert "client (127.0.0.1:" in about[0].getMessage()
        assert about[0].exc_info is None


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_a_request_whose_connection_is_lost_is_a_connection_error(
    ends: Ends, operation: Operation
) -> None:
    held = ends.gate.hold(operation.answer)
    task = start(operation.call(ends))
    await soon(held.reached())
    ends.peer.reset()
    with pytest.raises(ConnectionLostError):
        await soon(task)
    with pytest.raises(ConnectionLostError) as again:
        await soon(operation.call(ends))
    assert again.value is not await soon(ends.connection.wait_closed())


@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_a_request_lost_in_the_turn_of_its_answer_keeps_its_answer_or_says_so(
    ends: Ends, operation: Operation
) -> None:
    held = ends.gate.hold(operation.answer)
    task = start(operation.call(ends))
    await soon(held.reached())
    held.release()
    ends.peer.hang_up()
    outcome = (await soon(asyncio.gather(task, return_exceptions=True)))[0]
    assert not isinstance(outcome, BaseException) or type(outcome) is ConnectionLostError
    await soon(ends.connection.wait_closed())


async def test_handlers_finish_and_their_acks_are_stale(ends: Ends) -> None:
    working = asyncio.Event()
    go_on = asyncio.Event()
    settled: list[object] = []

    async def handle(message: hopmq.Message) -> None:
        working.set()
        await go_on.wait()
        settled.extend([message.ack(), message.nack(), message.reject()])

    consumer = await soon(ends.channel.consume("q", handle))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 2)
    await soon(working.wait())
    ends.peer.reset()
    assert type(await soon(ends.connection.wait_closed())) is ConnectionLostError
    assert settled == []
    go_on.set()
    await soon(consumer.cancel())
    assert settled == [hopmq.Settlement.STALE] * 3
    assert not any(settled)


async def test_a_process_block_whose_connection_is_lost_ends_quietly(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q"))
    ends.peer.deliver(ends.channel.number, consumer.consumer_tag, 1)
    async with (await soon(anext(consumer))).process():
        ends.peer.reset()
        await soon(ends.connection.wait_closed())


async def test_what_was_read_before_the_loss_can_still_be_handled(ends: Ends) -> None:
    consumer = await soon(ends.channel.consume("q", consumer_tag="known"))
    ends.peer.deliver(ends.channel.number, "known", 1)
    message = await soon(anext(consumer))
    ends.peer.reset()
    await soon(ends.connection.wait_closed())
    assert message.body == b"hello"
    assert message.ack() is hopmq.Settlement.STALE
    with pytest.raises(ConnectionLostError):
        await soon(anext(consumer))
    with pytest.raises(ConnectionLostError):
        await soon(anext(consumer))


async def test_closing_what_is_lost_does_nothing(ends: Ends, ending: str) -> None:
    consumer = await soon(ends.channel.consume("q"))
    ENDINGS[ending][1](ends)
    await soon(ends.connection.wait_closed())
    await soon(consumer.cancel())
    await soon(ends.channel.close())
    await soon(ends.channel.drain())
    await soon(ends.connection.drain())
    await soon(ends.connection.close())
    assert ends.connection.state == "closed"


@pytest.mark.parametrize(
    "answer, call",
    [
        ("Channel.CloseOk", lambda ends: ends.channel.close()),
        ("Channel.CloseOk", lambda ends: ends.channel.drain()),
        ("Connection.CloseOk", lambda ends: ends.connection.close()),
        ("Connection.CloseOk", lambda ends: ends.connection.drain()),
        ("Channel.CloseOk", lambda ends: ends.connection.drain()),
    ],
    ids=["channel-close", "channel-drain", "close", "drain", "drain-channel"],
)
async def test_a_connection_lost_while_closing_ends_the_closing(
    ends: Ends, answer: str, call: Callable[[Ends], Awaitable[None]]
) -> None:
    held = ends.gate.hold(answer)
    closing = start(call(ends))
    await soon(held.reached())
    ends.peer.reset()
    await soon(closing)
    await soon(ends.connection.wait_closed())


async def test_a_consumer_whose_connection_is_lost_while_it_is_cancelled_has_ended(
    ends: Ends,
) -> None:
    consumer = await soon(ends.channel.consume("q"))
    held = ends.gate.hold("Basic.CancelOk")
    stopping = start(consumer.cancel())
    await soon(held.reached())
    ends.peer.reset()
    await soon(stopping)
    assert not consumer.is_active


async def test_a_block_whose_connection_is_lost_raises_what_failed_inside(
    server: ScriptedServer,
) -> None:
    async def use() -> None:
        async with (
            hopmq.connect(server.url, recovery=None) as connection,
            connection.channel() as channel,
        ):
            peer = await soon(server.peer())
            async with channel.consume("q") as consumer:
                peer.reset()
                async for _ in consumer:
                    pass

    with pytest.raises(ConnectionLostError):
        await use()


async def test_a_timer_of_a_lost_connection_is_gone(ends: Ends) -> None:
    link = ends.connection._session.link
    timer = link._timer
    assert timer is not None
    ends.peer.reset()
    await soon(ends.connection.wait_closed())
    await soon(link.lost)
    assert timer.cancelled()
    assert link._timer is timer
    assert ends.connection._core.next_deadline() is None


# --- channels that the broker closes ---------------------------------------------------------------


async def test_a_channel_closed_by_the_broker_costs_nobody_else_anything(ends: Ends) -> None:
    other = await soon(ends.connection.channel())
    consumer = await soon(ends.channel.consume("q"))
    reader = start(consumer.__anext__())
    ends.gate.drop("Basic.Ack")
    publish = start(ends.channel.publish(b"sent", routing_key="missing"))
    await soon(ends.peer.receives("Published"))
    ends.peer.close_channel(ends.channel.number, 404, "NOT_FOUND - no exchange", Queue.Bind)
    with pytest.raises(NotFoundError):
        await soon(reader)
    with pytest.raises(PublishUnknownError) as unknown:
        await soon(publish)
    assert type(unknown.value.__cause__) is NotFoundError
    await soon(ends.peer.receives("Channel.CloseOk"))
    ends.gate.open("Basic.Ack")
    assert (await soon(other.publish(b"fine", routing_key="q"))).confirmed
    assert not ends.channel.is_open
    with pytest.raises(NotFoundError):
        await soon(ends.channel.get("q"))


async def test_only_the_refused_request_of_a_pipeline_fails(ends: Ends) -> None:
    held = ends.gate.hold("Queue.DeclareOk")
    tasks = [start(ends.connection.declare_queue(f"q{number}")) for number in range(4)]
    await soon(held.reached(4))
    topology = ends.connection._topology._channel
    assert topology is not None
    held.let_one_go()
    await soon(tasks[0])
    ends.gate.open("Queue.DeclareOk")  # what it held is lost with its channel
    ends.peer.close_channel(topology.channel_id, 406, "PRECONDITION_FAILED", Queue.Declare)
    with pytest.raises(PreconditionFailedError):
        await soon(tasks[1])
    assert [(await soon(task)).name for task in tasks[2:]] == ["q2", "q3"]
    await ends.check_in_step()
