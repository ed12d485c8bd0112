"""HopMQ's plugin for pytest, as pytest loads it: fixtures that load HopMQ when a test first asks for one.

It stands beside the package since a module inside could not be imported without the package itself, in
every run of pytest, whatever is tested. What the fixtures do is in `hopmq.testing.pytest_plugin`.
"""

from collections.abc import AsyncIterator, Generator, Iterator
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import pytest

if TYPE_CHECKING:
    from hopmq import Connection
    from hopmq.broker import Broker
    from hopmq.testing import BrokerThread, Faults, TurnedClock
    from hopmq.testing.broker_log import BrokerLog

_LoopScope: TypeAlias = Literal["function", "class", "module", "package", "session"]

BROKER_LOG: pytest.StashKey["BrokerLog"] = pytest.StashKey()
"""Where a test that uses a broker keeps what that has logged."""

_MARKER: Final = (
    "amqp_broker(**options): options of hopmq.broker.Broker for the broker of the fixture "
    "amqp_broker, such as emulate='4.0'"
)
_LOOP_SCOPES: Final[tuple[_LoopScope, ...]] = ("function", "class", "module", "package", "session")


# --- what tests ask for --------------------------------------------------------------------------


@pytest.fixture
def amqp_broker(request: pytest.FixtureRequest, _amqp_broker_log: "BrokerLog") -> "Broker":
    """Return an embedded broker of the test's own, running (hopmq.broker.Broker).

    In an asynchronous test it runs in the test's event loop, in any other on a thread of its own.
    """
    from hopmq.testing.pytest_plugin import runner_of

    if runner_of(request) is None:
        thread: BrokerThread = request.getfixturevalue("amqp_broker_thread")
        return thread.broker
    broker: Broker = _on_loop(request, "broker", "")
    return broker


@pytest.fixture
def amqp_broker_thread(
    request: pytest.FixtureRequest, _amqp_broker_log: "BrokerLog"
) -> Iterator["BrokerThread"]:
    """Return an embedded broker on a thread of its own (hopmq.testing.BrokerThread)."""
    from hopmq.testing.pytest_plugin import broker_on_thread

    with broker_on_thread(request) as thread:
        yield thread


@pytest.fixture
def amqp_url(amqp_broker: "Broker") -> str:
    """Return the address of `amqp_broker`, with the credentials of its default user."""
    return amqp_broker.url


@pytest.fixture
def amqp_connection(request: pytest.FixtureRequest) -> "Connection":
    """Return a connection to `amqp_url` (hopmq.Connection), for asynchronous tests."""
    needed = "other tests have the address, amqp_url"
    connection: Connection = _on_loop(request, "connection", needed, "amqp_url")
    return connection


@pytest.fixture
def amqp_faults(request: pytest.FixtureRequest) -> "Faults":
    """Return the faults of `amqp_broker` (hopmq.testing.Faults), for asynchronous tests."""
    needed = "other tests make theirs by amqp_broker_thread.call"
    faults: Faults = _on_loop(request, "faults", needed, "amqp_broker")
    return faults


@pytest.fixture
def amqp_clock() -> "TurnedClock":
    """Return the clock that `amqp_broker` goes by then (hopmq.testing.TurnedClock), to be turned."""
    from hopmq.testing import TurnedClock

    return TurnedClock()


@pytest.fixture
def _amqp_broker_log(request: pytest.FixtureRequest) -> Iterator["BrokerLog"]:
    from hopmq.testing.pytest_plugin import broker_log

    with broker_log() as log:
        request.node.stash[BROKER_LOG] = log
        yield log


# --- what lives in a test's event loop: each plugin that runs such tests knows its own fixtures ----


def _on_loop(
    request: pytest.FixtureRequest, what: str, otherwise: str, *needed: str
) -> Any:  # Any: whatever that fixture returns
    """Return the value of a fixture that shares the loop of a test; fail a test that has none.

    What it needs is set up first: a fixture cannot ask for another one while the loop runs.
    """
    from hopmq.testing.pytest_plugin import runner_of

    runner = runner_of(request)
    if runner is None:
        pytest.fail(
            f"{request.fixturename} is for asynchronous tests that pytest-asyncio runs, or anyio "
            f"on asyncio; {otherwise}",
            pytrace=False,
        )
    for name in needed:
        request.getfixturevalue(name)
    return request.getfixturevalue(f"_amqp_{what}_{runner}")


async def _broker(request: pytest.FixtureRequest) -> AsyncIterator["Broker"]:
    from hopmq.testing.pytest_plugin import new_broker

    async with new_broker(request) as broker:
        yield broker


async def _connection(request: pytest.FixtureRequest) -> AsyncIterator["Connection"]:
    import hopmq

    # For a broker whose clock is turned by minutes, a client would be silent for minutes.
    heartbeat = 0 if "amqp_clock" in request.fixturenames else None
    url = request.getfixturevalue("amqp_url")
    async with hopmq.connect(url, name="amqp_connection", heartbeat=heartbeat) as connection:
        yield connection


async def _faults(request: pytest.FixtureRequest) -> AsyncIterator["Faults"]:
    from hopmq.testing import Faults

    with Faults(request.getfixturevalue("amqp_broker")) as faults:
        yield faults


_amqp_broker_anyio = pytest.fixture(_broker, name="_amqp_broker_anyio")
_amqp_connection_anyio = pytest.fixture(_connection, name="_amqp_connection_anyio")
_amqp_faults_anyio = pytest.fixture(_faults, name="_amqp_faults_anyio")


def _fixtures_of_pytest_asyncio() -> ModuleType:
    """Return the same for pytest-asyncio, on each of the loops that it runs tests on."""
    import pytest_asyncio

    fixtures = ModuleType("pytest_hopmq fixtures of pytest-asyncio")
    for scope in _LOOP_SCOPES:
        for function in (_broker, _connection, _faults):
            name = f"_amqp{function.__name__}_asyncio_{scope}"
            # A copy: pytest-asyncio notes on the function itself which loop it is for.
            copy = FunctionType(function.__code__, globals(), name)
            setattr(fixtures, name, pytest_asyncio.fixture(copy, name=name, loop_scope=scope))
    return fixtures


# --- hooks ---------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and the fixtures of pytest-asyncio where that is used."""
    config.addinivalue_line("markers", _MARKER)
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.register(_fixtures_of_pytest_asyncio(), "hopmq-asyncio")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the broker of a test has logged when that test fails."""
    log = item.stash.get(BROKER_LOG, None)
    if log is not None and call.excinfo is not None:
        item.add_report_section(call.when, "log of amqp_broker", log.text())
    return (yield)
