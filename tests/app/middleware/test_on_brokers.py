"""Middleware on each broker, at the time that it is."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import hopmq
from hopmq import Connection, NotFoundError, Queue
from hopmq.app import App, Retry
from hopmq.app.middleware import CircuitBreaker
from hopmq.app.retry import Constant

WORKER = Path(__file__).with_name("dying_worker.py")


@pytest.fixture
async def cleaned(other: Connection, name: str) -> AsyncIterator[str]:
    """Return a queue's name, and delete that queue and its parking queue in the end."""
    yield name
    for queue in (name, f"{name}.parked"):
        await other.delete_queue(queue)


async def test_a_breaker_pauses_and_probes_until_things_are_well(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    app, breaker = App(amqp_url), CircuitBreaker(failures=2, pause=0.3)
    is_broken, handled, failed = True, set(), 0
    all_handled, has_probed = asyncio.Event(), asyncio.Event()

    @app.consumer(
        Queue.quorum(cleaned),
        middleware=[breaker],
        retry=Retry(attempts=20, backoff=Constant(0.125)),
        concurrency=3,
    )
    async def work(number: int) -> None:
        nonlocal failed
        if is_broken:
            failed += 1
            if failed >= 5:
                has_probed.set()
            raise ConnectionError
        handled.add(number)
        if len(handled) == 50:
            all_handled.set()

    async with app:
        for number in range(50):
            await app.publish(number, routing_key=cleaned)
        await has_probed.wait()
        assert breaker.state_of(app.consumers[cleaned]) != "closed"
        assert failed < 10
        is_broken = False
        await all_handled.wait()
    assert (await other.declare_queue(f"{cleaned}.parked", passive=True)).message_count == 0


async def test_a_worker_that_dies_at_work_leaves_its_message_to_the_next_once(
    amqp_url: str, cleaned: str, other: Connection, tmp_path: Path
) -> None:
    async def worker() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(WORKER),
            amqp_url,
            cleaned,
            str(tmp_path),
            env=os.environ | {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])},
        )

    dying = await worker()
    try:
        async with App(amqp_url) as app:
            while not await exists(other, cleaned):
                assert dying.returncode is None
                await asyncio.sleep(0.05)
            for _ in range(3):
                await app.publish(1, routing_key=cleaned, message_id="m")
        assert await dying.wait() == -signal.SIGKILL
    finally:
        if dying.returncode is None:
            dying.kill()
    heir = await worker()
    try:
        done = tmp_path / "done"
        while done.read_text() != "1\n1\n":
            await asyncio.sleep(0.05)
        async with other.channel() as channel:
            while (await channel.declare_queue(cleaned, passive=True)).message_count:
                await asyncio.sleep(0.05)
    finally:
        heir.terminate()
        await heir.wait()
    assert done.read_text() == "1\n1\n"


async def exists(connection: Connection, queue: str) -> bool:
    """Return whether a queue exists."""
    try:
        await connection.declare_queue(queue, passive=True)
    except NotFoundError:
        return False
    return True
