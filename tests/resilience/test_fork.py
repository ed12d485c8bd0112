"""A child of the process cannot use its parent's connections, and cannot harm them either."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import hopmq
from client.proxy import Proxy
from flavours import flavours
from hopmq.errors import ClosedError, ForkedError, UsageError

PROGRAM = Path(__file__).with_name("forking.py")
REFUSED = {
    "publish": "ForkedError",
    "declare": "ForkedError",
    "channel": "ForkedError",
    "get": "ForkedError",
    "consume": "ForkedError",
    "update": "ForkedError",
    "ack": "stale",
    "close channel": "done",
    "state": "closed",
}
LOOPS = sorted({each.loop for each in flavours()})
STYLES = {
    "asyncio": ["same loop", "returns", "multiprocessing", "forgets"],
    "uvloop": ["multiprocessing", "forgets"],  # a loop of libuv does not run in two processes
}
WAYS = [(loop, style) for loop in LOOPS for style in STYLES[loop]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio: it is the program that has each loop in turn."""
    return "asyncio"


class Parent:
    """The program that forks, as the test talks to it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def says(self) -> dict[str, Any]:
        """Return the next thing it says."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, "the program has ended"
        facts: dict[str, Any] = json.loads(line)
        return facts

    def tell(self) -> None:
        """Have it take its next step."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")


@asynccontextmanager
async def started(loop: str, url: str, style: str) -> AsyncIterator[Parent]:
    """Run the program, and end it."""
    folders = [str(Path(hopmq.__file__).parents[1])]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore::DeprecationWarning", str(PROGRAM)),
        *(loop, url, style),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Parent(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children as well
        await process.wait()


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    """Return a relay to the broker that counts."""
    async with Proxy(amqp_url) as relay:
        yield relay


@pytest.mark.parametrize("loop, style", WAYS)
async def test_a_child_is_refused_and_its_parent_goes_on(
    loop: str, style: str, proxy: Proxy
) -> None:
    sent = proxy.requests
    async with started(loop, proxy.url, style) as parent:
        assert await parent.says() == {"step": "ready"}
        start = sent.passed
        parent.tell()
        assert await parent.says() == {"step": "published"}
        size_of_a_publish, start = sent.passed - start, sent.passed
        parent.tell()
        child = (await parent.says())["child"]
        if style == "multiprocessing":
            assert child == REFUSED | {"close": "done"}
        if style == "same loop":
            # asyncio has no running loop in a child, which whatever asks for one is told
            asked = {call for call, result in child.items() if result == "RuntimeError"}
            assert asked <= {"consume", "close channel"}
            assert child == REFUSED | {"iterate": "ForkedError"} | dict.fromkeys(
                asked, "RuntimeError"
            )
        assert await parent.says() == {"step": "forked"}
        parent.tell()
        published = await parent.says()
        assert published == {"step": "published", "received": "the same size each time"}
        assert sent.passed - start == size_of_a_publish  # the child has sent nothing
        parent.tell()
        assert await parent.says() == {"step": "closed", "code": 200}
        assert await parent.process.wait() == 0


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_child_of_a_process_that_recovers_is_refused_as_well(
    loop: str, proxy: Proxy
) -> None:
    async with started(loop, proxy.url, "recovering") as parent:
        for _ in range(2):
            await parent.says()
            parent.tell()
        assert await parent.says() == {"child": REFUSED | {"close": "done"}}
        assert await parent.says() == {"step": "forked"}
        parent.tell()
        published = await parent.says()
        assert published == {"step": "published", "received": "the same size each time"}


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_child_that_outlives_its_parent_does_not_hold_its_connection(
    loop: str, proxy: Proxy
) -> None:
    async with started(loop, proxy.url, "survives") as parent:
        for _ in range(2):
            await parent.says()
            parent.tell()
        assert await parent.says() == {"child": {}}
        parent.process.kill()
        await asyncio.wait(proxy._pumps)  # the broker has seen the end, with the child still there
        assert parent.process.stdin is not None
        parent.process.stdin.close()
        assert parent.process.stdout is not None
        assert await parent.process.stdout.read() == b""  # now the child is gone as well


def test_the_error_is_found_by_who_looks_for_ends_and_by_who_looks_for_mistakes() -> None:
    assert issubclass(ForkedError, ClosedError)
    assert issubclass(ForkedError, UsageError)
    assert isinstance(ForkedError("why").again(), ForkedError)
