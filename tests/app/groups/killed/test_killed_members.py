"""Processes of a group are killed (-9), end in good order and come: keys keep their order."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from app.groups.conftest import Declaring
from app.groups.waiting import until
from app.groups.witness import Witness
from hopmq import Exchange, Pool
from hopmq.app.groups import Group

WORKER = Path(__file__).with_name("worker.py")


class Member:
    """A process of the group."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    async def end(self) -> None:
        """Have it end in good order."""
        self._process.terminate()
        assert await self._process.wait() == 0

    async def kill(self, write: Callable[[str], None]) -> None:
        """Kill it where it stands, and have that written down before anybody can take over."""
        self._process.send_signal(signal.SIGSTOP)
        await until(self._stands_still)
        write(f"dies {self.name}\n")
        self._process.kill()
        await self._process.wait()

    def _stands_still(self) -> bool:
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Setting:
    """A group, messages for it, and processes that are its members."""

    def __init__(self, pool: Pool, url: str, exchange: Exchange, log: Path) -> None:
        self.pool = pool
        self.url = url
        self.exchange = exchange
        self.log = log
        self.sent: Counter[str] = Counter()
        self.witness = Witness()
        self._written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._read = log.open()
        self._half = ""
        self._processes = AsyncExitStack()

    def write(self, line: str) -> None:
        """Write down what happens."""
        os.write(self._written, line.encode())

    def look(self) -> int:
        """Have the witness look at what was written since; return how many deliveries were ended."""
        text = self._half + self._read.read()
        whole, _, self._half = text.rpartition("\n")
        lines = whole.splitlines()
        self.witness.read(lines)
        return sum(line.startswith("ends") for line in lines)

    async def more_is_done(self, count: int) -> None:
        """Wait until so many more messages are handled."""
        while count > 0:
            count -= self.look()
            await asyncio.sleep(0.02)

    async def member(self, name: str) -> Member:
        """Start a process and wait until it is in line."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(WORKER), self.url, self.exchange.name, name, str(self.log)),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        member = Member(name, process)
        self._processes.push_async_exit(member.__aexit__)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return member

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Publish numbered messages of many keys during a block."""
        is_over = False

        async def publish() -> None:
            while not is_over:
                key = f"key.{random.randrange(60)}"  # nothing secret about it
                self.sent[key] += 1
                await self.pool.publish(
                    b"%d" % self.sent[key], exchange=self.exchange, routing_key=key
                )
                await asyncio.sleep(0.001)

        publishing = asyncio.create_task(publish())
        try:
            yield
        finally:
            is_over = True
            await publishing

    async def close(self) -> None:
        """End all processes."""
        await self._processes.aclose()
        os.close(self._written)
        self._read.close()


@pytest.fixture
async def setting(
    pool: Pool, amqp_url: str, name: str, declare: Declaring, tmp_path: Path
) -> AsyncIterator[Setting]:
    """Return a group that is declared, without members."""
    exchange = Exchange.topic(name)
    await declare(Group("billing", partitions=8), exchange, "#")
    setting = Setting(pool, amqp_url, exchange, tmp_path / "log")
    yield setting
    await setting.close()


async def test_no_key_is_at_two_members_or_out_of_order_or_lost(setting: Setting) -> None:
    first, second, third = [await setting.member(f"m{number}") for number in range(3)]
    async with setting.publishing():
        await setting.more_is_done(150)
        await first.kill(setting.write)
        await setting.more_is_done(150)
        fourth = await setting.member("m3")
        await setting.more_is_done(150)
        await second.end()
        await setting.more_is_done(150)
        await asyncio.gather(third.kill(setting.write), setting.member("m4"))
        await setting.more_is_done(150)
        await fourth.kill(setting.write)
        await setting.more_is_done(150)

    def all_is_done() -> bool:
        setting.look()
        return setting.witness.has_seen(setting.sent)

    await until(all_is_done)
    assert setting.witness.deaths == {"m0", "m2", "m3"}
