"""Closing, draining, cancelling and another loss, at every step of a recovery."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import hopmq
from hopmq import Channel, Connection, Consumer, Recovery
from hopmq.errors import (
    ConnectionClosed,
    PublishNotSentError,
    PublishUnknownError,
)
from hopmq.events import ConsumerLost, ConsumerRestored
from hopmq.resilience import Constant
from hopmq.testing import FaultProxy
from hopmq.testing.faults import Fault

from .ends import start, turns
from .links import PATIENCE, back, becomes, bounce, consumers_of, lose, quick, until
from .promises import Promises
from .work import Events

BACKING_OFF = "backing off"
REFUSED = "refused"
FRAMES = {
    "start": ("Connection.Start", 1),
    "tune": ("Connection.Tune", 1),
    "open-ok": ("Connection.OpenOk", 1),
    "topology channel": ("Channel.OpenOk", 1),
    "exchange": ("Exchange.DeclareOk", 1),
    "queue": ("Queue.DeclareOk", 1),
    "binding": ("Queue.BindOk", 1),
    "channel": ("Channel.OpenOk", 2),
    "prefetch": ("Basic.QosOk", 1),
    "confirms": ("Confirm.SelectOk", 1),
    "consumer": ("Basic.ConsumeOk", 1),
}
"""Steps of a recovery, by the answer that they wait for, and which of them."""


@dataclass(slots=True)
class Interrupted:
    """A connection amid its recovery.

    Attributes:
        connection, channel, consumer: What recovers.
        queue: What was declared.
        step: What holds the recovery up; None while it waits for the next attempt.
        is_written_to: Whether the channel publishes already.
    """

    connection: Connection
    channel: Channel
    consumer: Consumer
    queue: str
    step: Fault | None
    is_written_to: bool

    @property
    def unpublished(self) -> type[hopmq.PublishError]:
        """How a publish ends when nothing more comes."""
        return PublishUnknownError if self.is_written_to else PublishNotSentError

    def release(self) -> None:
        """Let it go on."""
        assert self.step is not None
        self.step.cancel()


@asynccontextmanager
async def recovering(proxy: FaultProxy, name: str, step: str) -> AsyncIterator[Interrupted]:
    """Return a connection whose recovery has come to this step, and no further."""
    waits = Recovery(backoff=Constant(3600 if step == BACKING_OFF else 0.01))
    connection = await quick(proxy.url, recovery=waits)
    try:
        await connection.declare_exchange(name, "fanout")
        await connection.declare_queue(name)
        await connection.bind(name, name)
        channel = await connection.channel()
        consumer = await channel.consume(name)
        fault = None
        if step == REFUSED:
            fault = proxy.refuse_connections()
        elif step in FRAMES:
            frame, nth = FRAMES[step]
            fault = proxy.stall(frame, nth=nth)
        await lose(connection, proxy)
        if step in FRAMES and fault is not None:
            await fault.happened()
        yield Interrupted(connection, channel, consumer, name, fault, step == "consumer")
    finally:
        proxy.clear()
        await connection.close()


@pytest.fixture(params=[BACKING_OFF, REFUSED, *FRAMES])
async def interrupted(
    request: pytest.FixtureRequest, proxy: FaultProxy, other: Channel, name: str
) -> AsyncIterator[Interrupted]:
    """Return a connection at every step of its recovery in turn."""
    step: str = request.param
    async with recovering(proxy, name, step) as amid:
        yield amid
    await other.delete_queue(name)
    await other.delete_exchange(name)


@pytest.fixture(params=[REFUSED, *FRAMES])
async def stalled(
    request: pytest.FixtureRequest, proxy: FaultProxy, other: Channel, name: str
) -> AsyncIterator[Interrupted]:
    """Return a connection at every step of its recovery from which it can go on."""
    step: str = request.param
    async with recovering(proxy, name, step) as amid:
        yield amid
    await other.delete_queue(name)
    await other.delete_exchange(name)


WAITS: dict[str, Callable[[Interrupted], Awaitable[object]]] = {
    "declare_queue": lambda amid: amid.connection.declare_queue(f"{amid.queue}-new"),
    "delete_queue": lambda amid: amid.channel.delete_queue(f"{amid.queue}-none"),
    "bind": lambda amid: amid.channel.bind(amid.queue, amid.queue, "new"),
    "channel": lambda amid: amid.connection.channel(),
    "get": lambda amid: amid.channel.get(amid.queue),
    "set_prefetch": lambda amid: amid.channel.set_prefetch(7),
    "consume": lambda amid: amid.channel.consume(amid.queue),
    "next message": lambda amid: anext(amid.consumer),
    "consumer's end": lambda amid: amid.consumer.wait_closed(),
    "wait_for": lambda amid: amid.connection.wait_for("open"),
}
"""What may wait while a connection recovers."""


async def test_closing_ends_every_wait_with_an_error_of_its_own(interrupted: Interrupted) -> None:
    connection, channel = interrupted.connection, interrupted.channel
    waiting = {what: start(wait(interrupted)) for what, wait in WAITS.items()}
    publishing = [
        start(channel.publish(b"1", routing_key=interrupted.queue)),
        start(channel.publish_many([b"2", b"3"], routing_key=interrupted.queue)),
    ]
    ended = start(connection.wait_closed())
    await turns()
    assert connection.state == "recovering"
    assert not any(task.done() for task in [*waiting.values(), *publishing])
    await connection.close(timeout=5)
    assert connection.state == "closed"
    errors = dict(zip(waiting, await gathered(waiting.values()), strict=True))
    assert {type(error) for error in errors.values()} == {ConnectionClosed}
    assert {getattr(error, "reply_code", None) for error in errors.values()} == {200}
    assert len({id(error) for error in errors.values()}) == len(errors)
    one, many = await gathered(publishing)
    assert type(one) is interrupted.unpublished
    assert isinstance(many, hopmq.PublishManyError)
    assert {type(outcome) for outcome in many.outcomes} == {interrupted.unpublished}
    assert (await ended).reply_code == 200
    assert not interrupted.consumer.is_wanted
    with pytest.raises(PublishNotSentError):
        await channel.publish(b"4", routing_key=interrupted.queue)
    with pytest.raises(ConnectionClosed):
        await connection.declare_queue("none")


async def gathered(tasks: Any) -> list[object]:  # any tasks
    """Return what they have ended with, values and errors."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_draining_ends_within_its_time(interrupted: Interrupted) -> None:
    reading = start(anext(interrupted.consumer))
    publishing = start(interrupted.channel.publish(b"1", routing_key=interrupted.queue))
    await turns()
    await interrupted.connection.drain(timeout=0.1)
    assert interrupted.connection.state == "closed"
    (read, published) = await gathered([reading, publishing])
    assert isinstance(read, StopAsyncIteration)
    assert type(published) is interrupted.unpublished


async def test_a_close_that_is_cancelled_can_be_repeated(interrupted: Interrupted) -> None:
    closing = start(interrupted.connection.close())
    await asyncio.sleep(0)
    closing.cancel()
    await gathered([closing, start(interrupted.connection.close())])
    assert interrupted.connection.state == "closed"


async def test_a_channel_closed_meanwhile_stays_closed(
    stalled: Interrupted, other: Channel
) -> None:
    reading = start(anext(stalled.consumer))
    publishing = start(stalled.channel.publish(b"1", routing_key=stalled.queue))
    await turns()
    closing = start(stalled.channel.close())
    read, published = await gathered([reading, publishing])
    assert isinstance(read, hopmq.ChannelClosed)
    assert type(published) is stalled.unpublished
    stalled.release()
    await back(stalled.connection)
    await gathered([closing])
    assert stalled.channel not in stalled.connection.channels()
    assert not stalled.channel.is_open
    await becomes(0, lambda: consumers_of(other, stalled.queue))
    assert stalled.connection.counters.channels_lost == 0


async def test_a_consumer_cancelled_meanwhile_stays_cancelled(
    stalled: Interrupted, other: Channel
) -> None:
    reading = start(anext(stalled.consumer))
    await turns()
    cancelling = start(stalled.consumer.cancel())
    await turns()
    stalled.release()
    await back(stalled.connection)
    read, _ = await gathered([reading, cancelling])
    assert isinstance(read, StopAsyncIteration)
    await becomes(0, lambda: consumers_of(other, stalled.queue))
    assert stalled.channel.consumers() == []
    await other.publish(b"1", routing_key=stalled.queue)
    message = await stalled.channel.get(stalled.queue)
    assert message is not None
    message.ack()


async def test_a_link_that_ends_meanwhile_has_a_successor(
    stalled: Interrupted, proxy: FaultProxy, other: Channel
) -> None:
    promises = Promises()
    publishing = [start(promises.publish(stalled.channel, stalled.queue)) for _ in range(3)]
    waiting = start(stalled.connection.wait_for("open"))
    await turns()
    proxy.disconnect(reset=True)
    stalled.release()
    assert await waiting == "open"
    await gathered(publishing)
    kind = "PublishUnknownError" if stalled.is_written_to else "Receipt"
    assert promises.outcomes() == {kind: 3}
    assert stalled.consumer.is_active
    await promises.publish(stalled.channel, stalled.queue)
    arrived: list[bytes] = []
    while b"p 3" not in arrived:
        message = await anext(stalled.consumer)
        message.ack()
        arrived.append(message.body)
    promises.check(arrived)
    await becomes(1, lambda: consumers_of(other, stalled.queue))


CANCELLED = {what: wait for what, wait in WAITS.items() if what != "delete_queue"}


async def test_waits_that_are_cancelled_have_done_nothing(
    stalled: Interrupted, other: Channel
) -> None:
    waiting = [start(wait(stalled)) for wait in CANCELLED.values()]
    waiting.append(start(stalled.channel.publish(b"1", routing_key=stalled.queue)))
    waiting.append(start(stalled.channel.wait_for_confirms()))
    await turns()
    for task in waiting:
        task.cancel()
    outcomes = await gathered(waiting)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    stalled.release()
    await back(stalled.connection)
    with pytest.raises(hopmq.NotFoundError):
        await other.declare_queue(f"{stalled.queue}-new", passive=True)
    assert stalled.connection.channels() == [stalled.channel]
    assert stalled.channel.consumers() == [stalled.consumer]
    await becomes(1, lambda: consumers_of(other, stalled.queue))
    await other.publish(b"2", routing_key=stalled.queue)
    bodies = [(await anext(stalled.consumer)).body for _ in range(1 + stalled.is_written_to)]
    assert bodies == ([b"1", b"2"] if stalled.is_written_to else [b"2"])


# --- a consumer that the broker refuses at first -------------------------------------------------


@asynccontextmanager
async def refused(connection: Connection, proxy: FaultProxy, rival: Channel, queue: str) -> Any:
    """Let a rival have the queue for itself while the connection is away."""
    channel = await connection.channel()
    consumer = await channel.consume(queue, exclusive=True)
    events = Events(connection)
    with proxy.refuse_connections():
        await lose(connection, proxy)
        await becomes(0, lambda: consumers_of(rival, queue))
        exclusive = await rival.consume(queue, exclusive=True)
    await back(connection)
    await events.first(ConsumerLost)
    yield channel, consumer, exclusive, events
    await exclusive.cancel()


@pytest.fixture
async def queue(other: Channel, name: str) -> AsyncIterator[str]:
    """Return the name of a queue."""
    await other.declare_queue(name)
    yield name
    await other.delete_queue(name)


async def test_a_consumer_that_is_refused_is_tried_until_it_is_there(
    proxy: FaultProxy, other: Channel, queue: str
) -> None:
    async with (
        quick(proxy.url) as connection,
        refused(connection, proxy, other, queue) as (channel, consumer, rival, events),
    ):
        await rival.cancel()
        await events.first(ConsumerRestored)
        assert consumer.is_active
        assert connection.counters.channels_lost == 1  # the first refusal's
        await other.publish(b"1", routing_key=queue)
        assert (await anext(consumer)).ack()
        assert connection.channels() == [channel]


@pytest.mark.parametrize("frame", ["Channel.OpenOk", "Basic.QosOk"])
@pytest.mark.parametrize("how", ["cancel", "close channel", "close", "lose"])
async def test_a_try_may_be_interrupted(
    proxy: FaultProxy, other: Channel, queue: str, frame: str, how: str
) -> None:
    async with (
        quick(proxy.url) as connection,
        refused(connection, proxy, other, queue) as (channel, consumer, rival, events),
    ):
        await until(lambda: channel.is_open)
        trying = proxy.stall(frame)
        await trying.happened()
        await rival.cancel()
        ended = start(consumer.wait_closed())
        if how == "cancel":
            await consumer.cancel()
        elif how == "close channel":
            await channel.close()
        elif how == "close":
            await connection.close()
        else:
            proxy.disconnect(reset=True)
        trying.cancel()
        if how == "lose":
            await events.first(ConsumerRestored)
            await becomes(1, lambda: consumers_of(other, queue))
            await consumer.cancel()
        (end,) = await gathered([ended])
        assert isinstance(end, ConnectionClosed | hopmq.ChannelClosed | None)
        await becomes(0, lambda: consumers_of(other, queue))
        if how in {"cancel", "lose"}:
            await bounce(connection, proxy)
            await becomes(0, lambda: consumers_of(other, queue))
