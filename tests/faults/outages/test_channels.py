"""A channel that the broker closes for a mistake ends alone, and is opened again only on request."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

import hopmq
from faults.ends import soon
from hopmq import Channel, Message, PublishHandle
from hopmq.broker import Broker
from hopmq.errors import (
    ChannelClosed,
    NotFoundError,
    PreconditionFailedError,
    PublishNotSentError,
    PublishUnknownError,
)
from hopmq.events import ChannelLost, Recovering
from hopmq.testing.faults import Faults

from .witness import Witness, recovering

UNKNOWN_TAG = 4711


@dataclass
class Load:
    """One channel that publishes and consumes, as fast as it can."""

    channel: Channel
    queue: str
    handled: int = 0
    handles: list[PublishHandle] = field(default_factory=list)

    async def begin(self) -> None:
        """Have a queue and read it."""
        await self.channel.declare_queue(self.queue)
        await self.channel.consume(self.queue, self._handle)

    def publish(self, count: int) -> None:
        """Send a number of messages, and do not wait for confirms."""
        for number in range(count):
            self.handles.append(self.channel.publish_nowait(b"%d" % number, routing_key=self.queue))

    async def goes_on(self) -> None:
        """See that messages still come and go."""
        handled = self.handled
        assert (await soon(self.channel.publish(b"more", routing_key=self.queue))).confirmed
        while self.handled == handled:
            await asyncio.sleep(0.005)

    def _handle(self, message: Message) -> None:
        message.ack()
        self.handled += 1


@dataclass
class Loads:
    """A connection with two channels at work."""

    witness: Witness
    first: Load
    second: Load


@pytest.fixture
async def loads(embedded: Broker) -> AsyncIterator[Loads]:
    """Return a connection whose channels are busy."""
    async with recovering(embedded.url) as witness:
        yield await busy(witness)


async def busy(witness: Witness) -> Loads:
    """Put two channels to work."""
    both = [Load(await witness.connection.channel(), name) for name in ("first", "second")]
    for load in both:
        await load.begin()
        load.publish(50)
    return Loads(witness, *both)


def publish_to_nowhere(channel: Channel) -> PublishHandle:
    """Make a mistake for which the broker closes the channel (404)."""
    return channel.publish_nowait(b"", exchange="no-such-exchange")


def ack_unknown(channel: Channel) -> None:
    """Make a mistake for which the broker closes the channel (406)."""
    channel._core._write_ack(UNKNOWN_TAG, multiple=False)
    channel._session.link.flush()


async def test_a_publish_to_a_missing_exchange_costs_its_channel_alone(loads: Loads) -> None:
    handle = publish_to_nowhere(loads.first.channel)
    loads.first.publish(50)
    lost = await soon(loads.witness.until(ChannelLost))
    assert isinstance(lost.error, NotFoundError)
    assert not lost.reopened
    with pytest.raises(PublishUnknownError, match="no-such-exchange"):
        await soon(handle)
    for each in loads.first.handles:
        await soon(each.wait())
        assert isinstance(each.outcome, hopmq.Receipt | PublishUnknownError)
    with pytest.raises(PublishNotSentError, match="no-such-exchange"):
        await loads.first.channel.publish(b"", routing_key="first")
    assert not loads.first.channel.is_open
    await soon(loads.second.goes_on())
    assert not loads.witness.of(Recovering)
    assert loads.witness.connection.counters.channels_lost == 1


async def test_an_ack_of_an_unknown_delivery_costs_its_channel_alone(loads: Loads) -> None:
    consumer = loads.first.channel.consumers()[0]
    ack_unknown(loads.first.channel)
    with pytest.raises(PreconditionFailedError, match=str(UNKNOWN_TAG)):
        await soon(consumer.wait_closed())
    assert not loads.first.channel.is_open
    await soon(loads.second.goes_on())
    assert len(loads.witness.of(ChannelLost)) == 1


async def test_a_channel_is_opened_again_where_that_is_asked_for(embedded: Broker) -> None:
    async with recovering(embedded.url, policy={"reopen_channels": True}) as witness:
        loads = await busy(witness)
        handle = publish_to_nowhere(loads.first.channel)
        lost = await soon(witness.until(ChannelLost))
        assert lost.reopened
        with pytest.raises(PublishUnknownError):
            await soon(handle)
        await soon(loads.first.goes_on())
        await soon(loads.second.goes_on())


async def test_which_channels_are_opened_again_is_asked_for_each_error(embedded: Broker) -> None:
    def if_not_found(error: ChannelClosed) -> bool:
        return isinstance(error, NotFoundError)

    async with recovering(embedded.url, policy={"reopen_channels": if_not_found}) as witness:
        loads = await busy(witness)
        publish_to_nowhere(loads.first.channel)
        ack_unknown(loads.second.channel)
        await soon(witness.until(ChannelLost, 2))
        assert {lost.error.__class__: lost.reopened for lost in witness.of(ChannelLost)} == {
            NotFoundError: True,
            PreconditionFailedError: False,
        }
        await soon(loads.first.goes_on())
        assert not loads.second.channel.is_open


@dataclass(frozen=True)
class Counted:
    """A back-off that keeps what it is asked."""

    asked: list[int]

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        self.asked.append(attempt)
        return 0.01


async def test_a_mistake_that_repeats_itself_is_not_repeated_without_a_pause(
    embedded: Broker,
) -> None:
    waits = Counted([])
    policy = {"reopen_channels": True, "entity_backoff": waits}
    async with recovering(embedded.url, policy=policy, on_disconnect="resend") as witness:
        channel = await witness.connection.channel()
        # Sent again and again: it is not confirmed, and costs the channel each time.
        publish = publish_to_nowhere(channel)
        await soon(witness.until(ChannelLost, 5))
        assert max(waits.asked) >= 2, "the pauses grow"
        assert not publish.done()
    assert isinstance(publish.outcome, PublishUnknownError)


@pytest.mark.parametrize("code", [403, 404, 405, 406])
async def test_no_code_brings_a_channel_back_by_itself(
    loads: Loads, faults: Faults, code: int
) -> None:
    faults.on(channel=loads.first.channel.number).close_channel(code)
    lost = await soon(loads.witness.until(ChannelLost))
    assert isinstance(lost.error, ChannelClosed)
    assert lost.error.reply_code == code
    assert not loads.first.channel.is_open
    await soon(loads.second.goes_on())


async def test_a_channel_that_has_ended_stays_closed_through_a_recovery(
    loads: Loads, embedded: Broker
) -> None:
    publish_to_nowhere(loads.first.channel)
    await soon(loads.witness.until(ChannelLost))
    await embedded.restart(abrupt=True)
    await soon(loads.second.goes_on())
    assert not loads.first.channel.is_open
    with pytest.raises(PublishNotSentError, match="no-such-exchange"):
        await loads.first.channel.publish(b"", routing_key="first")
