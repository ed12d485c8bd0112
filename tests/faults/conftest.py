"""Rules for every test of faults: bounded in time, and nothing is left behind."""

import asyncio
import gc
import inspect
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

import hopmq
from conftest import RunningBroker
from flavours import Flavour, flavours
from hopmq import Channel, Connection, Recovery
from hopmq.broker import Broker
from hopmq.resilience import Constant
from hopmq.testing import FaultProxy
from hopmq.testing.certificates import Certificates
from scripted.server import ScriptedServer

from .arrival import Arrival
from .ends import Ends, connected

SECONDS = 60.0
"""No test of faults takes longer, whatever it awaits; a module may have a `SECONDS` of its own."""

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every asynchronous test of this folder."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and _HERE in item.path.parents
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _bounded(item.obj, getattr(item.module, "SECONDS", SECONDS))


def _bounded(test: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    @wraps(test)
    async def bounded(**arguments: object) -> None:
        async with asyncio.timeout(seconds):
            await test(**arguments)

    return bounded


@pytest.fixture(
    scope="session",
    params=[each for each in flavours() if each.codec.name == flavours()[-1].codec.name],
    ids=str,
)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return each event loop with the codec that users have: most faults do not depend on it."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend


@pytest.fixture(scope="session", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Leave what the imports made out of the collections after each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
async def _nothing_left_behind(anyio_backend: object) -> AsyncIterator[None]:
    """Fail a test that leaves a task or a socket, or that asyncio had to complain about."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    sockets = _sockets()
    yield
    await _until(lambda: not _tasks() and _sockets() <= sockets)
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(before)
    assert not complaints
    assert not _tasks()
    assert _sockets() <= sockets


async def _until(condition: Callable[[], bool]) -> None:
    """Let the loop finish what a closing socket still has to do; there is no event for it."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)


def _tasks() -> list[asyncio.Task[Any]]:
    """List the tasks of this loop that are not those of the test runner."""
    return [task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())]


def _sockets() -> set[int]:
    """List this process's TCP sockets; event loops have others of their own."""
    return set(_open_sockets())


def _open_sockets() -> Iterator[int]:
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        try:
            status = os.fstat(number)
            if not stat.S_ISSOCK(status.st_mode):
                continue
            probe = socket.socket(fileno=number)
        except OSError:
            continue  # the one that listed them, or one that a broker's thread has closed just now
        if probe.family in {socket.AF_INET, socket.AF_INET6}:
            yield status.st_ino
        probe.detach()


@pytest.fixture
def arrival(monkeypatch: pytest.MonkeyPatch) -> Arrival:
    """Return what runs a function in the very turn in which the client has read something."""
    return Arrival(monkeypatch)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of an authority of this run's own."""
    return Certificates.create(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(arrival: Arrival) -> AsyncIterator[ScriptedServer]:
    """Return a server that does as it is told."""
    async with ScriptedServer() as listening:
        yield listening


@pytest.fixture
async def ends(server: ScriptedServer) -> AsyncIterator[Ends]:
    """Return both ends of a connection with one open channel."""
    async with connected(server) as both:
        yield both


@pytest.fixture
async def proxy(broker: RunningBroker) -> AsyncIterator[FaultProxy]:
    """Return a proxy before each broker in turn."""
    async with FaultProxy(broker.url) as running:
        yield running


@pytest.fixture
async def connection(proxy: FaultProxy) -> AsyncIterator[Connection]:
    """Return a connection by way of the proxy."""
    recovery = Recovery(entity_backoff=Constant(0.05))
    async with hopmq.connect(proxy.url, name="outliving", recovery=recovery) as opened:
        yield opened


@pytest.fixture
async def other(broker: RunningBroker) -> AsyncIterator[Channel]:
    """Return a channel of a connection that nothing happens to."""
    async with hopmq.connect(broker.url) as untouched, untouched.channel() as channel:
        yield channel


@pytest.fixture
async def own() -> AsyncIterator[Broker]:
    """Return an embedded broker of the test's own."""
    async with Broker() as running:
        yield running


@pytest.fixture
async def way(own: Broker) -> AsyncIterator[FaultProxy]:
    """Return a proxy before it."""
    async with FaultProxy(own.url) as running:
        yield running


@pytest.fixture
async def judge(own: Broker) -> AsyncIterator[Channel]:
    """Return a channel of it that nothing happens to."""
    async with hopmq.connect(own.url, name="judge") as untouched, untouched.channel() as channel:
        yield channel
