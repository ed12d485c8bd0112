"""What is not mended by trying again is not tried again, and nobody waits for it."""

import asyncio

import pytest

from faults.ends import soon, start
from faults.links import hurried
from hopmq.broker import Broker
from hopmq.errors import (
    ConnectionClosed,
    ConnectionLostError,
    PublishNotSentError,
    RequestTimeoutError,
)
from hopmq.events import AttemptFailed, Closed, Connected, Recovered, Recovering
from hopmq.resilience.backoff import Constant, Exponential, GiveUpAfter
from hopmq.testing.faults import Faults

from .witness import recovering


@pytest.mark.parametrize("code", [501, 502, 503, 504, 505, 540])
async def test_what_we_did_wrong_is_surfaced_and_not_tried_again(
    embedded: Broker, faults: Faults, code: int
) -> None:
    async with recovering(embedded.url) as witness:
        connection = witness.connection
        channel = await connection.channel()
        await channel.declare_queue("q")
        consumer = await channel.consume("q")
        confirms = faults.withhold_confirms()
        publish = channel.publish_nowait(b"", routing_key="q")
        waiting = start(anext(consumer))
        await soon(confirms.happened())
        faults.close_connection(code, "a mistake of ours")
        error = await soon(connection.wait_closed())
        assert (error.reply_code, error.by_peer) == (code, True)
        await soon(publish.wait())
        with pytest.raises(ConnectionClosed, match="a mistake of ours"):
            await soon(waiting)
        with pytest.raises(PublishNotSentError, match="a mistake of ours"):
            await channel.publish(b"", routing_key="q")
        assert not witness.of(Recovering)
        assert not witness.of(Connected)
        assert len(witness.of(Closed)) == 1
        assert connection.state == "closed"


@pytest.mark.parametrize("code", [200, 311, 320, 402, 506, 530, 541])
async def test_what_others_did_is_recovered_from(
    embedded: Broker, faults: Faults, code: int
) -> None:
    async with recovering(embedded.url) as witness:
        channel = await witness.connection.channel()
        await channel.declare_queue("q")
        faults.close_connection(code, "not our mistake")
        ended = await soon(witness.until(Recovering))
        assert "not our mistake" in str(ended.error)
        assert (await soon(channel.publish(b"", routing_key="q"))).confirmed
        await soon(witness.until(Recovered))


async def test_giving_up_ends_everything_that_waits(embedded: Broker) -> None:
    policy = {"backoff": GiveUpAfter(Constant(0.1), attempts=3)}
    async with recovering(embedded.url, policy=policy) as witness:
        connection = witness.connection
        channel = await connection.channel()
        await channel.declare_queue("q")
        consumer = await channel.consume("q")
        reading = start(anext(consumer))
        await embedded.stop(abrupt=True)
        await soon(witness.until(Recovering))
        publish = start(channel.publish(b"", routing_key="q"))
        declare = start(channel.declare_queue("other"))
        opening = start(connection.channel())
        opened = start(connection.wait_for("open"))
        error = await soon(connection.wait_closed())
        assert isinstance(error, ConnectionLostError)
        assert "3 attempts" in str(error)
        assert "refused" in str(error), "why the last one failed"
        assert "closed the link" in str(error), "why the link had ended"
        with pytest.raises(PublishNotSentError, match="3 attempts"):
            await soon(publish)
        for waiting in (reading, declare, opening, opened):
            with pytest.raises(ConnectionClosed, match="3 attempts"):
                await soon(waiting)
        assert len(witness.of(AttemptFailed)) == 3
        assert len(witness.of(Closed)) == 1
        assert connection.state == "closed"


async def test_a_broker_that_never_comes_back_is_given_up_when_the_time_is_over(
    embedded: Broker,
) -> None:
    policy = {"backoff": GiveUpAfter(Exponential(0.01, 0.05), seconds=0.6)}
    async with recovering(embedded.url, policy=policy) as witness:
        await embedded.stop(abrupt=True)
        error = await soon(witness.connection.wait_closed())
        assert isinstance(error, ConnectionLostError)
        assert len(witness.of(AttemptFailed)) > 1


async def test_not_trying_at_all_says_what_ended_the_link(embedded: Broker, faults: Faults) -> None:
    policy = {"backoff": GiveUpAfter(Constant(0), attempts=0)}
    async with recovering(embedded.url, policy=policy) as witness:
        faults.close_connection(320, "for the night")
        error = await soon(witness.connection.wait_closed())
        assert "for the night" in str(error)
        assert not witness.of(AttemptFailed)


async def test_a_request_waits_for_a_recovery_as_long_as_for_an_answer(embedded: Broker) -> None:
    async with recovering(embedded.url) as witness:
        channel = await witness.connection.channel()
        await embedded.stop(abrupt=True)
        await soon(witness.until(Recovering))
        with (
            hurried(witness.connection, 0.1),
            pytest.raises(RequestTimeoutError, match="not sent"),
        ):
            await soon(channel.declare_queue("q"))
        await embedded.start()
        await soon(witness.until(Recovered))
        await channel.declare_queue("q")


async def test_closing_while_nobody_answers_ends_at_once(embedded: Broker) -> None:
    async with recovering(embedded.url, policy={"backoff": Constant(3600.0)}) as witness:
        channel = await witness.connection.channel()
        await embedded.stop(abrupt=True)
        await soon(witness.until(Recovering))
        publish = start(channel.publish(b"", routing_key="q"))
        await asyncio.sleep(0)
        await soon(witness.connection.close())
        with pytest.raises(PublishNotSentError):
            await soon(publish)
        assert witness.connection.state == "closed"
