"""`app.run()` in a process of its own: signals, what is finished, and which loop it runs on."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import hopmq
from hopmq import Connection

PROGRAM = """
import asyncio, contextlib, sys
from hopmq.app import App


@contextlib.asynccontextmanager
async def lifespan(app: App):
    entered_in = asyncio.current_task()
    yield
    if asyncio.current_task() is not entered_in:
        print("left in another task, where a task group cannot be", flush=True)


app = App(sys.argv[1], drain_timeout=float(sys.argv[3]), lifespan=lifespan)


@app.on_startup
def say_loop() -> None:
    print(type(asyncio.get_running_loop()).__module__, flush=True)


@app.on_startup
async def hang() -> None:
    if "hang" in sys.argv:
        await asyncio.sleep(600)


@app.consumer(sys.argv[2])
async def handle(seconds: float) -> None:
    print("begun", flush=True)
    await asyncio.sleep(seconds)
    print("ended", flush=True)


@app.on_shutdown
def say_goodbye() -> None:
    print("goodbye", flush=True)


app.run()
print("returned", flush=True)
"""


@asynccontextmanager
async def running(
    folder: Path, url: str, queue: str, drain_timeout: float, *words: str, text: str = PROGRAM
) -> AsyncIterator[asyncio.subprocess.Process]:
    program = folder / "program.py"
    program.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        url,
        queue,
        str(drain_timeout),
        *words,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])},
    )
    try:
        assert process.stdout is not None
        assert (await process.stdout.readline()).decode().startswith(("uvloop", "asyncio"))
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def handed_over(
    process: asyncio.subprocess.Process, connection: Connection, queue: str, seconds: float
) -> None:
    assert process.stdout is not None
    async with connection.channel() as channel:
        await channel.publish(json.dumps(seconds).encode(), routing_key=queue)
    assert await process.stdout.readline() == b"begun\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_handlers_finish(
    number: signal.Signals, amqp_url: str, cleaned: str, other: Connection, tmp_path: Path
) -> None:
    async with running(tmp_path, amqp_url, cleaned, 30.0) as process:
        await handed_over(process, other, cleaned, 0.3)
        process.send_signal(number)
        output, _ = await process.communicate()
    assert output.split() == [b"ended", b"goodbye", b"returned"]
    assert process.returncode == 0
    assert (await other.declare_queue(cleaned, passive=True)).message_count == 0


async def test_what_takes_longer_than_the_drain_goes_back(
    amqp_url: str, cleaned: str, other: Connection, tmp_path: Path
) -> None:
    async with running(tmp_path, amqp_url, cleaned, 0.2) as process:
        await handed_over(process, other, cleaned, 600)
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert output.split() == [b"goodbye", b"returned"]
    assert process.returncode == 0
    assert (await other.declare_queue(cleaned, passive=True)).message_count == 1


async def test_a_signal_amid_the_start_has_it_undone(
    amqp_url: str, cleaned: str, other: Connection, tmp_path: Path
) -> None:
    async with running(tmp_path, amqp_url, cleaned, 30.0, "hang") as process:
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert output.split() == [b"goodbye", b"returned"]
    assert process.returncode == 0


async def test_a_second_signal_ends_at_once(
    amqp_url: str, cleaned: str, other: Connection, tmp_path: Path
) -> None:
    async with running(tmp_path, amqp_url, cleaned, 600) as process:
        await handed_over(process, other, cleaned, 600)
        process.send_signal(signal.SIGTERM)
        while (await other.declare_queue(cleaned, passive=True)).consumer_count:
            await asyncio.sleep(0)  # until it is draining
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == -signal.SIGTERM
    while not (await other.declare_queue(cleaned, passive=True)).message_count:
        await asyncio.sleep(0)


async def test_a_plain_handler_that_does_not_end_keeps_no_process_alive(
    amqp_url: str, cleaned: str, other: Connection, tmp_path: Path
) -> None:
    text = PROGRAM.replace("await asyncio.sleep(seconds)", "time.sleep(seconds)")
    text = text.replace("async def handle", "def handle").replace(
        "import asyncio", "import asyncio, time"
    )
    async with running(tmp_path, amqp_url, cleaned, 0.2, text=text) as process:
        await handed_over(process, other, cleaned, 600)
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert output.split() == [b"goodbye", b"returned"]
    assert process.returncode == 0
    assert (await other.declare_queue(cleaned, passive=True)).message_count == 1
