"""What is logged: the life of a connection, each cause once, frames on demand, and no secret."""

import asyncio
import logging

import pytest

import hopmq
from conftest import RunningBroker
from hopmq import AuthenticationError, ChannelClosed, Connection, NotFoundError

SECRET = "hush-hush"


async def test_the_life_of_a_connection_is_told(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    async with hopmq.connect(broker.url, name="told"):
        pass
    lines = [line.getMessage() for line in caplog.records]
    assert len(lines) == 2
    assert all("told (127.0.0.1:" in line for line in lines)
    assert f"connected to {broker.product}" in lines[0]
    assert "closed" in lines[1]


async def test_frames_are_told_without_bodies_and_secrets(
    amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hopmq")
    async with hopmq.connect(amqp_url) as connection, connection.channel() as channel:
        queue = (await channel.declare_queue("", exclusive=True)).name
        await channel.publish(b"the body", routing_key=queue)
        assert await channel.get(queue, no_ack=True)
        await connection.update_secret(SECRET)
    told = caplog.text
    for frame in ("> Connection.StartOk", "< Connection.Tune", "> Published", "< Ack", "< Fetched"):
        assert frame in told
    assert "the body" not in told
    assert SECRET not in told


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
async def test_refused_credentials_are_told_nowhere(
    amqp_url: str, caplog: pytest.LogCaptureFixture, mechanism: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AuthenticationError) as caught:
        await hopmq.connect(amqp_url, password=SECRET, auth_mechanisms=[mechanism])
    assert "Connection.StartOk" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in str(caught.getrepr(style="long", showlocals=False))


async def test_a_cause_is_told_once_and_not_per_waiter(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    channel = await connection.channel()
    gets = [channel.get("no such queue") for _ in range(20)]
    outcomes = await asyncio.gather(*gets, return_exceptions=True)
    assert all(isinstance(outcome, ChannelClosed) for outcome in outcomes)
    assert isinstance(outcomes[0], NotFoundError)
    assert len(caplog.records) == 1
    assert "no such queue" in caplog.text


async def test_nothing_is_told_above_warning_when_a_declare_is_refused(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotFoundError):
        await connection.declare_queue("no such queue", passive=True)
    assert [line for line in caplog.records if line.levelno > logging.WARNING] == []
