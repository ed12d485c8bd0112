"""HopMQ's plugin for pytest, as pytest loads it: fixtures that load HopMQ when a test first asks for one.

It stands beside the package since a module inside could not be imported without the package itself, in
every run of pytest, whatever is tested. What the fixtures do is in `hopmq.testing.pytest_plugin`.
"""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pytest

if TYPE_CHECKING:
    from hopmq import Connection
    from hopmq.broker import Broker
    from hopmq.testing import BrokerThread
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

    runner = runner_of(request)
    if runner is None:
        thread: BrokerThread = request.getfixturevalue("amqp_broker_thread")
        return thread.broker
    broker: Broker = request.getfixturevalue(f"_amqp_broker_{runner}")
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
    from hopmq.testing.pytest_plugin import runner_of

    runner = runner_of(request)
    if runner is None:
        pytest.fail(
            "amqp_connection is for asynchronous tests that pytest-asyncio runs, or anyio on "
            "asyncio; other tests have the address, amqp_url",
            pytrace=False,
        )
    connection: Connection = request.getfixturevalue(f"_amqp_connection_{runner}")
    return connection


@pytest.fixture
def _amqp_broker_log(request: pytest.FixtureRequest) -> Iterator["BrokerLog"]:
    from hopmq.testing.pytest_plugin import broker_log

    with broker_log() as log:
        request.node.stash[BROKER_LOG] = log
        yield log


# --- the same on a test's event loop: each plugin that runs such tests knows its own fixtures ------


@pytest.fixture
async def _amqp_broker_anyio(request: pytest.FixtureRequest) -> AsyncIterator["Broker"]:
    async with _broker(request) as broker:
        yield broker


@pytest.fixture
async def _amqp_connection_anyio(amqp_url: str) -> AsyncIterator["Connection"]:
    async with _connection(amqp_url) as connection:
        yield connection


def _fixtures_of_pytest_asyncio() -> ModuleType:
    """Return fixtures that pytest-asyncio runs, on each of the loops that it runs tests on."""
    import pytest_asyncio

    fixtures = ModuleType("pytest_hopmq fixtures of pytest-asyncio")
    for scope in _LOOP_SCOPES:

        @pytest_asyncio.fixture(name=f"_amqp_broker_asyncio_{scope}", loop_scope=scope)
        async def broker(request: pytest.FixtureRequest) -> AsyncIterator["Broker"]:
            async with _broker(request) as running:
                yield running

        @pytest_asyncio.fixture(name=f"_amqp_connection_asyncio_{scope}", loop_scope=scope)
        async def connection(amqp_url: str) -> AsyncIterator["Connection"]:
            async with _connection(amqp_url) as opened:
                yield opened

        setattr(fixtures, f"broker_{scope}", broker)
        setattr(fixtures, f"connection_{scope}", connection)
    return fixtures


def _broker(request: pytest.FixtureRequest) -> AbstractAsyncContextManager["Broker"]:
    from hopmq.testing.pytest_plugin import broker_on_loop

    return broker_on_loop(request)


def _connection(url: str) -> AbstractAsyncContextManager["Connection"]:
    import hopmq

    return hopmq.connect(url, name="amqp_connection")


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
