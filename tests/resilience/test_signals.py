"""A signal drains and ends; a second one ends at once."""

import asyncio
import os
import signal
import sys
import threading
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import hopmq
from client.waiting import until_ready
from flavours import Flavour
from hopmq.errors import UsageError
from hopmq.resilience.signals import DrainOnSignal

PROGRAM = Path(__file__).with_name("serving.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals here")


# --- programs ----------------------------------------------------------------------------------


class Program:
    """The program that consumes, as the test talks to it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def says(self, *lines: str) -> None:
        """Wait until it has said these lines, and no others."""
        assert self.process.stdout is not None
        for line in lines:
            assert (await self.process.stdout.readline()).decode().strip() == line

    def let_handler_finish(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")


@asynccontextmanager
async def started(flavour: Flavour, url: str, queue: str, within: float) -> AsyncIterator[Program]:
    """Run the program, and end it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), flavour.loop, url, queue, str(within)),
        env=os.environ | {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def connection(amqp_url: str) -> AsyncIterator[hopmq.Connection]:
    """Return a connection of the test's own."""
    async with hopmq.connect(amqp_url) as connection:
        yield connection


@pytest.fixture
async def queue(connection: hopmq.Connection, name: str) -> AsyncIterator[str]:
    """Return the name of a queue with one message."""
    await connection.declare_queue(name)
    async with connection.channel() as channel:
        await channel.publish(b"1", routing_key=name)
    yield name
    await connection.delete_queue(name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_handlers_finish_and_ends_in_order(
    number: signal.Signals,
    flavour: Flavour,
    amqp_url: str,
    connection: hopmq.Connection,
    queue: str,
) -> None:
    async with started(flavour, amqp_url, queue, 30.0) as program:
        await program.says("ready", "begun")
        program.process.send_signal(number)
        await program.says(number.name)
        program.let_handler_finish()
        await program.says("finished", "closed")
        assert await program.process.wait() == 0
    await until_ready(connection, queue, 0)


async def test_what_does_not_finish_in_time_is_cut_off(
    flavour: Flavour, amqp_url: str, connection: hopmq.Connection, queue: str
) -> None:
    async with started(flavour, amqp_url, queue, 0.2) as program:
        await program.says("ready", "begun")
        program.process.send_signal(signal.SIGTERM)
        await program.says("SIGTERM", "closed", "cut off")
        assert await program.process.wait() == 0
    await until_ready(connection, queue, 1)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(
    first: signal.Signals,
    flavour: Flavour,
    amqp_url: str,
    connection: hopmq.Connection,
    queue: str,
) -> None:
    async with started(flavour, amqp_url, queue, 30.0) as program:
        await program.says("ready", "begun")
        program.process.send_signal(first)
        await program.says(first.name)
        program.process.send_signal(signal.SIGTERM)
        assert await program.process.wait() == -signal.SIGTERM
    await until_ready(connection, queue, 1)


async def test_an_interrupt_after_a_signal_is_a_keyboard_interrupt(
    flavour: Flavour, amqp_url: str, connection: hopmq.Connection, queue: str
) -> None:
    async with started(flavour, amqp_url, queue, 30.0) as program:
        await program.says("ready", "begun")
        program.process.send_signal(signal.SIGTERM)
        await program.says("SIGTERM")
        program.process.send_signal(signal.SIGINT)
        await program.says("cut off")
        assert await program.process.wait() == -signal.SIGINT
    await until_ready(connection, queue, 1)


# --- in this process ---------------------------------------------------------------------------


class Thing:
    """Something to drain, which takes as long as the test likes."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def drain(self, timeout: float = 0.0) -> None:  # noqa: ASYNC109  # as a Connection has it
        self.asked.append(timeout)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


class Broken:
    """Something that cannot be drained."""

    async def drain(self, timeout: float = 0.0) -> None:  # noqa: ASYNC109  # as a Connection has it
        raise OSError("broken")


SIGNALS: dict[str, Any] = {"signals": [signal.SIGUSR1]}


async def test_everything_is_drained_at_once_and_the_body_is_ended_then() -> None:
    things = [Thing(), Thing()]
    async with DrainOnSignal(*things, within=7.0, **SIGNALS) as told:
        signal.raise_signal(signal.SIGUSR1)
        assert await told.wait() is told.received is signal.SIGUSR1
        while not all(thing.asked for thing in things):
            await asyncio.sleep(0)
        for thing in things:
            thing.may_end.set()
        await asyncio.Event().wait()
        raise AssertionError
    assert [thing.asked for thing in things] == [[7.0], [7.0]]


async def test_the_block_waits_for_what_is_drained_when_the_body_ends_first() -> None:
    thing = Thing()
    async with DrainOnSignal(thing, **SIGNALS) as told:
        signal.raise_signal(signal.SIGUSR1)
        await told.wait()
        asyncio.get_running_loop().call_later(0.01, thing.may_end.set)
    assert thing.may_end.is_set()


async def test_a_body_that_ends_by_itself_drains_nothing_and_gives_the_signals_back() -> None:
    thing = Thing()
    before = signal.getsignal(signal.SIGUSR1)
    async with DrainOnSignal(thing, **SIGNALS):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before
    assert not thing.asked


async def test_the_signals_are_given_back_when_one_has_come() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: came.append(number))
    try:
        async with DrainOnSignal(Thing(), **SIGNALS) as told:
            signal.raise_signal(signal.SIGUSR1)
            await told.wait()
            assert not came
            signal.raise_signal(signal.SIGUSR1)
            assert came == [signal.SIGUSR1]
            told._things[0].may_end.set()  # type: ignore[attr-defined]
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_a_drain_that_fails_is_logged_and_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    thing = Thing()
    async with DrainOnSignal(Broken(), thing, **SIGNALS) as told:
        signal.raise_signal(signal.SIGUSR1)
        await told.wait()
        thing.may_end.set()
        await asyncio.Event().wait()
    assert "broken" in caplog.text


async def test_an_error_of_the_body_is_not_hidden_and_ends_the_drain() -> None:
    thing = Thing()

    async def fail() -> None:
        async with DrainOnSignal(thing, **SIGNALS) as told:
            signal.raise_signal(signal.SIGUSR1)
            await told.wait()
            while not thing.asked:
                await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert thing.was_cancelled


async def test_a_cancellation_from_elsewhere_is_not_taken_for_the_blocks_own() -> None:
    entered = asyncio.Event()

    async def body() -> None:
        async with DrainOnSignal(Thing(), **SIGNALS):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(body())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_thread_is_told_that_it_is_told_of_no_signals() -> None:
    errors: list[Exception] = []

    async def use() -> None:
        try:
            async with DrainOnSignal(**SIGNALS):
                pass
        except UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


@pytest.mark.parametrize("wrong", [{"within": 0}, {"within": float("nan")}, {"signals": []}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DrainOnSignal(**wrong)
