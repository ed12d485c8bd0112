"""A broker on a thread: its life, and calls from other threads."""

import asyncio
import threading

import pika
import pytest

import hopmq
from hopmq.broker import Broker
from hopmq.errors import UsageError
from hopmq.testing import BrokerThread, Faults


def test_a_client_that_blocks_uses_it() -> None:
    with BrokerThread() as thread:
        connection = pika.BlockingConnection(pika.URLParameters(thread.url))
        channel = connection.channel()
        channel.queue_declare("q")
        channel.basic_publish("", "q", b"hello")
        _, _, body = channel.basic_get("q", auto_ack=True)
        connection.close()
    assert body == b"hello"


def test_functions_and_coroutine_functions_are_called_on_its_thread() -> None:
    async def where() -> threading.Thread:
        await asyncio.sleep(0)
        return threading.current_thread()

    with BrokerThread() as thread:
        assert thread.call(where) is thread.call(threading.current_thread)
        assert thread.call(where) is not threading.current_thread()
        assert thread.call(max, [1, 2], key=lambda each: -each) == 1
        with pytest.raises(ZeroDivisionError):
            thread.call(lambda: 1 / 0)


async def test_faults_are_asked_for_by_a_call() -> None:
    with BrokerThread() as thread:
        connection = await hopmq.connect(thread.url, recovery=None)
        await asyncio.to_thread(thread.call, Faults(thread.broker).disconnect, reset=True)
        reason = await connection.wait_closed()
    assert isinstance(reason, hopmq.ConnectionLostError)


def test_calls_need_a_broker_that_runs_and_another_thread() -> None:
    thread = BrokerThread()
    with pytest.raises(UsageError, match="not running"):
        thread.call(lambda: None)
    with thread, pytest.raises(UsageError, match="own thread"):
        thread.call(thread.call, lambda: None)


def test_it_stops_once_and_starts_again() -> None:
    before = set(threading.enumerate())
    thread = BrokerThread(Broker())
    thread.stop()
    for _ in range(2):
        thread.start()
        thread.start()
        assert len(set(threading.enumerate()) - before) == 1
        assert thread.broker.is_running
        thread.stop()
        thread.stop()
        assert not set(threading.enumerate()) - before
        assert not thread.broker.is_running


def test_one_that_cannot_start_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with BrokerThread() as first:
        second = BrokerThread(Broker(port=first.broker.port))
        with pytest.raises(OSError, match="cannot listen"):
            second.start()
    assert not set(threading.enumerate()) - before
