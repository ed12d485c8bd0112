"""What the broker knows of a connection, and what an operator does to it."""

import asyncio
import json
import logging
from typing import Any

import pytest

import hopmq
from client.waiting import bodies
from hopmq import (
    Connection,
    HandshakeError,
    PublishNotSentError,
    PublishUnknownError,
    Receipt,
)
from hopmq.errors import ConnectionForcedError, PublishNotSentTimeoutError
from hopmq.testing import RabbitMQ

ALARM = "vm_memory_monitor:set_vm_memory_high_watermark(0.00001)."
NO_ALARM = "vm_memory_monitor:set_vm_memory_high_watermark(0.6)."


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on one event loop: `rabbitmqctl` takes its time."""
    return "asyncio"


async def connections(rabbitmq: RabbitMQ, *columns: str) -> list[dict[str, Any]]:
    """List the connections that the broker has."""
    arguments = ("list_connections", "--formatter", "json", *columns)
    listed: list[dict[str, Any]] = json.loads(await asyncio.to_thread(rabbitmq.ctl, *arguments))
    return listed


async def test_the_broker_sees_name_properties_and_limits(rabbitmq: RabbitMQ) -> None:
    async with hopmq.connect(
        rabbitmq.url,
        name="the orders service",
        heartbeat=33,
        frame_max=20_000,
        channel_max=77,
        client_properties={"team": "fulfillment", "product": "Orders", "limits": {"a": 1}},
    ) as connection:
        await connection.channel()
        columns = ("client_properties", "timeout", "frame_max", "channel_max")
        listed = await connections(rabbitmq, *columns, "channels", "auth_mechanism")
    [ours] = [each for each in listed if "the orders service" in str(each["client_properties"])]
    assert (ours["timeout"], ours["frame_max"], ours["channel_max"]) == (33, 20_000, 77)
    assert ours["channels"] == 1
    assert ours["auth_mechanism"] == "PLAIN"
    told = str(ours["client_properties"])
    for expected in ("the orders service", "fulfillment", "Orders", hopmq.__version__, "CPython"):
        assert expected in told
    for capability in ("publisher_confirms", "consumer_cancel_notify", "connection.blocked"):
        assert capability in told
    assert "guest" not in told


async def test_a_frame_max_that_the_broker_does_not_take_is_explained(rabbitmq: RabbitMQ) -> None:
    # RabbitMQ from 4.1 on hangs up on one below 8192, some seconds later.
    major, minor, _ = map(int, rabbitmq.version.split("."))
    if (major, minor) < (4, 1):
        async with hopmq.connect(rabbitmq.url, frame_max=4096) as connection:
            assert connection.frame_max == 4096
    else:
        with pytest.raises(HandshakeError, match="frame_max 4096 is probably too small"):
            await hopmq.connect(rabbitmq.url, frame_max=4096)


async def test_closing_by_an_operator_is_the_reason_told(
    rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    connection = await hopmq.connect(rabbitmq.url, name="closed by an operator", recovery=None)
    channel = await connection.channel()
    queue = (await channel.declare_queue("", exclusive=True)).name
    reading = asyncio.ensure_future(anext(await channel.consume(queue)))
    await asyncio.to_thread(rabbitmq.ctl, "close_all_connections", "maintenance tonight")
    error = await connection.wait_closed()
    assert type(error) is ConnectionForcedError
    assert error.reply_code == 320
    assert error.by_peer
    assert "maintenance tonight" in str(error)
    with pytest.raises(ConnectionForcedError, match="maintenance tonight"):
        await reading
    with pytest.raises(ConnectionForcedError):
        await connection.channel()
    with pytest.raises(PublishNotSentError, match="maintenance tonight"):
        await channel.publish(b"", routing_key=queue)
    told = [line for line in caplog.records if "maintenance tonight" in line.getMessage()]
    assert len(told) == 1
    assert "closed by an operator" in told[0].getMessage()
    assert "guest:guest" not in caplog.text


# --- while an alarm blocks publishing --------------------------------------------------------------------


async def blocked(rabbitmq: RabbitMQ, connection: Connection) -> asyncio.Task[Receipt]:
    """Raise an alarm; return, once the connection is blocked, the publish that met it."""
    await asyncio.to_thread(rabbitmq.evaluate, ALARM)
    await (await hopmq.connect(rabbitmq.url)).close()  # told of it behind those that are there
    channel = await connection.channel()
    first = asyncio.create_task(channel.publish(b"", routing_key="nowhere"))
    while not connection.is_blocked:  # RabbitMQ says so at the first publish that it leaves unread
        await asyncio.sleep(0.005)
    return first


async def test_an_alarm_holds_publishes_back(rabbitmq: RabbitMQ, name: str) -> None:
    async with (
        hopmq.connect(rabbitmq.url, name="publisher") as connection,
        hopmq.connect(rabbitmq.url, name="observer") as observer,
        connection.channel() as channel,
    ):
        await observer.declare_queue(name)
        try:
            met = await blocked(rabbitmq, connection)
            assert connection.state == "blocked"
            assert connection.is_open

            held = [
                asyncio.create_task(channel.publish(b"%d" % number, routing_key=name))
                for number in range(20)
            ]
            with pytest.raises(PublishNotSentTimeoutError, match="blocked") as caught:
                await channel.publish(b"too late", routing_key=name, timeout=0.1)
            assert caught.value.retry_safe
            with pytest.raises(PublishNotSentError, match="blocked"):
                channel.publish_nowait(b"not now", routing_key=name)
            assert not any(publish.done() for publish in held)
            assert channel.unconfirmed == 0
        finally:
            await asyncio.to_thread(rabbitmq.evaluate, NO_ALARM)
        receipts = await asyncio.gather(*held)
        assert connection.state == "open"
        assert [receipt.delivery_tag for receipt in receipts] == list(range(1, 21))
        assert (await met).confirmed
        expected = [b"%d" % number for number in range(20)]
        assert await bodies(await observer.channel(), name) == expected
        await observer.delete_queue(name)


# --- a broker that dies ----------------------------------------------------------------------------------


async def test_a_broker_that_is_killed_leaves_no_one_waiting(own_rabbitmq: RabbitMQ) -> None:
    connection = await hopmq.connect(own_rabbitmq.url, recovery=None)
    channel = await connection.channel(max_unconfirmed=10)
    queue = (await channel.declare_queue("", exclusive=True)).name
    consumer = await channel.consume(queue)
    await asyncio.to_thread(own_rabbitmq.pause)
    publishes = [
        asyncio.create_task(channel.publish(b"%d" % number, routing_key=queue))
        for number in range(30)
    ]
    waiting = [
        asyncio.create_task(connection.declare_queue("", exclusive=True)),
        asyncio.ensure_future(anext(consumer)),
        asyncio.create_task(channel.get(queue)),
    ]
    await asyncio.sleep(0)
    await asyncio.to_thread(own_rabbitmq.kill)
    outcomes = await asyncio.gather(*publishes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        *[PublishUnknownError] * 10,
        *[PublishNotSentError] * 20,
    ]
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [hopmq.ConnectionLostError] * 3
    assert type(await connection.wait_closed()) is hopmq.ConnectionLostError
    with pytest.raises(hopmq.ConnectError):
        await hopmq.connect(own_rabbitmq.url)
