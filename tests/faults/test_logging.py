"""One log line per event of a life, with the name and the peer; frames at DEBUG, without bodies."""

import asyncio
import logging
import re

import pytest
from pamqp.commands import Connection, Queue

import hopmq
from hopmq.wire import new_method
from scripted.server import ScriptedServer

from .ends import Ends, connected, soon, turns


def lines(caplog: pytest.LogCaptureFixture, *loggers: str) -> list[str]:
    """Return what was logged, by level and message."""
    return [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if not loggers or record.name in loggers
    ]


async def test_a_quiet_life_is_two_lines_that_name_connection_and_peer(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    opening = hopmq.connect(server.url, name="billing")
    async with opening as connection, connection.channel() as channel:
        await soon(channel.publish(b"x", routing_key="q"))
    label = f"billing (127.0.0.1:{server.port})"
    assert lines(caplog) == [
        f"INFO {label}: connected to Scripted 1.0",
        f"INFO {label}: closed",
    ]


async def test_a_failed_attempt_is_one_line_without_a_traceback(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    server.gate.drop("Connection.Start")
    with pytest.raises(hopmq.ConnectTimeoutError):
        await soon(hopmq.connect(server.url, connect_timeout=0.05))
    assert len(caplog.records) == 1
    assert "cannot connect" in caplog.text
    assert caplog.records[0].exc_info is None


async def test_blocking_and_unblocking_are_a_line_each(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    ends.peer.send(0, new_method(Connection.Blocked, reason="low on disk"))
    ends.peer.send(0, new_method(Connection.Unblocked))
    await soon(ends.connection.declare_queue("a round trip"))
    label = f"client (127.0.0.1:{ends.server.port})"
    assert lines(caplog) == [
        f"WARNING {label}: blocked by the broker: low on disk",
        f"INFO {label}: unblocked",
    ]


async def test_a_channel_that_the_broker_closes_is_one_line(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    ends.peer.close_channel(ends.channel.number, 404, "NOT_FOUND", Queue.Bind)
    await soon(ends.peer.receives("Channel.CloseOk"))
    (line,) = lines(caplog)
    assert line.startswith(f"WARNING client (127.0.0.1:{ends.server.port}): channel 1 closed: 404")


async def test_a_failing_handler_is_one_error_with_its_traceback(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(message: hopmq.Message) -> None:
        raise LookupError(message.body)

    consumer = await soon(ends.channel.consume("orders", handle, consumer_tag="c1"))
    ends.peer.deliver(ends.channel.number, "c1", 5)
    await soon(ends.peer.receives("Reject"))
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info is not None
    assert "'orders'" in record.getMessage()
    assert "delivery 5" in record.getMessage()
    await soon(consumer.cancel())


async def test_the_wire_trace_shows_every_frame_and_no_body(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hopmq.wire")
    async with connected(server) as ends:
        await soon(ends.channel.publish(b"outgoing body", routing_key="q"))
        consumer = await soon(ends.channel.consume("q", consumer_tag="c1"))
        ends.peer.deliver(ends.channel.number, "c1", 1, b"incoming body")
        (await soon(anext(consumer))).ack()
        await soon(ends.peer.receives("Ack"))
        await soon(consumer.cancel())
        await soon(ends.connection.close())
    trace = [record.getMessage() for record in caplog.records if record.name == "hopmq.wire"]
    label = re.escape(f"client (127.0.0.1:{server.port})")
    assert all(re.match(rf"{label} [<>] \S", line) for line in trace)
    shown = [re.sub(rf"^{label} ([<>]) (\w[\w.]*).*", r"\1 \2", line) for line in trace]
    assert shown == [
        "> ProtocolHeader",
        "< Connection.Start",
        "> Connection.StartOk",
        "< Connection.Tune",
        "> Connection.TuneOk",
        "> Connection.Open",
        "< Connection.OpenOk",
        "> Channel.Open",
        "< Channel.OpenOk",
        "> Basic.Qos",
        "> Confirm.Select",
        "< Basic.QosOk",
        "< Confirm.SelectOk",
        "> Published",
        "< Ack",
        "> Basic.Consume",
        "< Basic.ConsumeOk",
        "< Delivery",
        "> Ack",
        "> Basic.Cancel",
        "< Basic.CancelOk",
        "> Connection.Close",
        "< Connection.CloseOk",
    ]
    text = "\n".join(trace)
    assert "13 bytes" in text
    assert "going body" not in text
    assert "coming body" not in text


async def test_the_trace_of_a_large_message_costs_one_line(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hopmq.wire")
    async with connected(server) as ends:
        caplog.clear()
        await soon(ends.channel.publish(bytes(1_000_000), routing_key="q"))
        shown = [record.getMessage() for record in caplog.records]
    assert len([line for line in shown if "> Published" in line]) == 1
    assert all(len(line) < 500 for line in shown)


async def test_the_trace_says_so_when_the_peer_s_bytes_make_no_sense(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hopmq.wire")
    async with connected(server) as ends:
        ends.peer.write(b"\x07garbage")
        await soon(ends.connection.wait_closed())
        await turns()
    assert any("< unreadable" in record.getMessage() for record in caplog.records)


async def test_without_debug_there_is_no_trace(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq.wire")
    async with connected(server) as ends:
        await ends.check_in_step()
    assert not [record for record in caplog.records if record.name == "hopmq.wire"]


async def test_all_loggers_stand_under_hopmq(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected(server) as ends:
        await ends.check_in_step()
        ends.peer.reset()
        await soon(ends.connection.wait_closed())
    names = {record.name for record in caplog.records} - {"asyncio"}
    assert names
    assert all(name == "hopmq" or name.startswith("hopmq.") for name in names)
    assert asyncio.get_running_loop().is_running()
