"""Workers are killed (-9) between attempts and during one: counts and times hold, nothing is lost."""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.retry.killed.worker import ATTEMPTS, BACKOFFS
from app.retry.work import GRAIN
from hopmq import Pool
from hopmq.app import Parked, Parking
from hopmq.errors import NotFoundError

WORKER = Path(__file__).with_name("worker.py")
BODIES = [*(f"m{number}" for number in range(20)), "hang"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log."""

    body: str
    number: int
    at: float
    redelivered: bool


class Workers:
    """Processes of one application, and what they have written down."""

    def __init__(self, url: str, queue: str, backoff: str, log: Path) -> None:
        self._words = url, queue, backoff, str(log)
        self._log = log
        self._stack = AsyncExitStack()
        log.touch()

    async def start(self) -> asyncio.subprocess.Process:
        """Start another."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(WORKER), *self._words),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._stack.push_async_callback(self.kill, process)
        return process

    @staticmethod
    async def kill(process: asyncio.subprocess.Process) -> None:
        """Kill one, unless it has been."""
        if process.returncode is None:
            process.kill()
        await process.wait()

    def attempts(self) -> list[Attempt]:
        """Return the attempts so far."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [
            Attempt(body, int(number), float(at), redelivered == "1")
            for body, number, at, redelivered in lines
        ]

    @property
    def one_hangs(self) -> bool:
        """Whether one has stood still with a message in hand."""
        return Path(f"{self._log}.hung").exists()

    async def until(self, is_so: Callable[[list[Attempt]], bool]) -> None:
        """Wait until the log says so; the test's own time limit ends it."""
        while not is_so(self.attempts()):
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """End all."""
        await self._stack.aclose()


@pytest.fixture(params=list(BACKOFFS))
def backoff(request: pytest.FixtureRequest) -> str:
    """Return which means of delaying are asked for."""
    return str(request.param)


@pytest.fixture
async def workers(
    pool: Pool, amqp_url: str, name: str, backoff: str, tmp_path: Path
) -> AsyncIterator[Workers]:
    """Return workers on a queue of their own."""
    workers = Workers(amqp_url, name, backoff, tmp_path / "log")
    yield workers
    await workers.close()
    for queue in (name, f"{name}.parked"):
        await pool.delete_queue(queue)


async def test_a_killed_worker_costs_no_count_no_time_and_no_message(
    pool: Pool, name: str, workers: Workers, backoff: str, version: tuple[int, ...]
) -> None:
    is_native = backoff == "native" and version >= (4, 3)
    first = await workers.start()
    await until_declared(pool, f"{name}.parked")
    for body in BODIES:
        await pool.publish(body.encode(), routing_key=name)
    await workers.until(lambda done: len({each.body for each in done}) == len(BODIES))
    await workers.kill(first)
    second, third = await workers.start(), await workers.start()
    await workers.until(lambda _: workers.one_hangs)
    await workers.kill(second)
    await workers.kill(third)
    await workers.start()
    parked = await all_parked(Parking(pool, name))
    assert (await pool.declare_queue(name, passive=True)).message_count == 0
    for each in parked:
        assert each.attempts in ({4, 5, 6} if is_native else {4})
        assert (each.error, each.reason) == ("ValueError", each.body.decode())
        assert each.last_failed is not None
        assert each.first_failed is not None or is_native
    for body in BODIES:
        made = [each for each in workers.attempts() if each.body == body]
        if is_native:
            check_native(made)
        else:
            check_ladder(made, BACKOFFS[backoff].delay)


def check_ladder(made: list[Attempt], delay: Callable[[int], float]) -> None:
    """Hold what is promised: who dies has made no attempt, and may leave a message and its copy."""
    assert {each.number for each in made} == set(range(1, ATTEMPTS + 1))
    for number in range(1, ATTEMPTS):
        before = sorted(each.at for each in made if each.number == number)
        copies = (each for each in made if each.number == number + 1 and not each.redelivered)
        after = sorted(each.at for each in copies)
        least = delay(number - 1)
        assert all(
            late - early >= least - GRAIN for early, late in zip(before, after, strict=False)
        )


def check_native(made: list[Attempt]) -> None:
    """Hold what is promised: who dies has made an attempt at everything that it had in hand."""
    numbers = [each.number for each in made]
    assert numbers == sorted(numbers)
    assert ATTEMPTS <= numbers[-1] <= ATTEMPTS + 2
    for before, after in itertools.pairwise(made):
        if after.number > before.number:
            assert after.at - before.at >= BACKOFFS["native"].delay(0) - GRAIN


async def all_parked(parking: Parking) -> list[Parked]:
    """Return the parked messages once all are."""
    while True:
        parked = await parking.list()
        if {each.body.decode() for each in parked} == set(BODIES):
            return parked
        await asyncio.sleep(0.1)


async def until_declared(pool: Pool, queue: str) -> None:
    """Wait until an application has declared its queues."""
    while True:
        try:
            await pool.declare_queue(queue, passive=True)
        except NotFoundError:
            await asyncio.sleep(0.05)
        else:
            return
