"""The fixtures for pytest, as projects of others use them: under each plugin that runs such tests."""

import re
from collections.abc import Sequence

import pytest

from hopmq.broker.restart import _CLOSE_TIMEOUT

pytest_plugins = ["pytester"]

STRICT = ("-p", "no:anyio", "-o", "asyncio_mode=strict")
AUTO = ("-p", "no:anyio", "-o", "asyncio_mode=auto")
ANYIO = ("-p", "no:asyncio")
BOTH = ("-o", "asyncio_mode=strict")
NEITHER = ("-p", "no:anyio", "-p", "no:asyncio")

ASYNCHRONOUS = """
import asyncio

import pytest

from hopmq.broker.restart import _CLOSE_TIMEOUT

import hopmq
from hopmq.broker import Broker

{marks}

async def test_all_three_belong_together(amqp_broker, amqp_url, amqp_connection):
    assert isinstance(amqp_broker, Broker)
    assert amqp_broker.url == amqp_url
    assert isinstance(amqp_connection, hopmq.Connection)
    await amqp_connection.declare_queue("q")
    assert list(amqp_broker.state.vhosts["/"].queues) == ["q"]


async def test_the_broker_is_another_one(amqp_connection, amqp_broker):
    assert not amqp_broker.state.vhosts["/"].queues
    assert len(amqp_broker.state.peers) == 1


async def test_it_runs_in_the_loop_of_the_test(amqp_broker):
    assert amqp_broker.state.clock._loop is asyncio.get_running_loop()


@pytest.fixture
async def declared({connection}):
    return await {connection}.declare_queue("declared")


@pytest.mark.parametrize("parameter", [1, 2])
async def test_fixtures_of_the_project_build_on_it(declared, amqp_broker, parameter):
    assert declared.name in amqp_broker.state.vhosts["/"].queues


class TestOfAClass:
    async def test_works(self, amqp_connection):
        await amqp_connection.declare_queue("q")
"""


def run(pytester: pytest.Pytester, options: Sequence[str], *words: str) -> pytest.RunResult:
    """Run the tests of a project in a process of their own, with warnings as errors."""
    scope = () if "no:asyncio" in options else ("-o", "asyncio_default_fixture_loop_scope=function")
    quiet = ("-p", "no:cacheprovider", "-p", "no:benchmark", "-W", "error")
    return pytester.runpytest_subprocess(*options, *scope, *quiet, *words, timeout=60)


@pytest.mark.parametrize(
    "options, marks",
    [
        pytest.param(STRICT, "pytestmark = pytest.mark.asyncio", id="pytest-asyncio, strict"),
        pytest.param(AUTO, "", id="pytest-asyncio, auto"),
        pytest.param(ANYIO, "pytestmark = pytest.mark.anyio", id="anyio"),
        pytest.param((*ANYIO, "-o", "anyio_mode=auto"), "", id="anyio, auto"),
        pytest.param(BOTH, "pytestmark = pytest.mark.asyncio", id="both, pytest-asyncio"),
        pytest.param(BOTH, "pytestmark = pytest.mark.anyio", id="both, anyio"),
    ],
)
def test_asynchronous_tests_get_a_broker_each(
    pytester: pytest.Pytester, options: Sequence[str], marks: str
) -> None:
    text = ASYNCHRONOUS.format(marks=marks, connection="amqp_connection")
    if options in (STRICT, BOTH) and "anyio" not in marks:
        text = text.replace("@pytest.fixture\n", "@pytest_asyncio.fixture\n")
        text = text.replace("import pytest\n", "import pytest\nimport pytest_asyncio\n", 1)
    if "anyio" in marks or "anyio_mode=auto" in options:
        text += '\n\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    pytester.makepyfile(text)
    run(pytester, options).assert_outcomes(passed=6)


SCOPES = """
import asyncio

import pytest

from hopmq.broker.restart import _CLOSE_TIMEOUT


async def test_unmarked(amqp_broker, amqp_connection):
    assert amqp_broker.state.clock._loop is asyncio.get_running_loop()


class TestOfAClass:
    @pytest.mark.asyncio(loop_scope="class")
    async def test_class(self, amqp_broker, amqp_connection):
        assert amqp_broker.state.clock._loop is asyncio.get_running_loop()


@pytest.mark.asyncio(loop_scope="module")
async def test_module(amqp_broker, amqp_connection):
    assert amqp_broker.state.clock._loop is asyncio.get_running_loop()


@pytest.mark.asyncio(loop_scope="session")
async def test_session(amqp_broker, amqp_connection):
    assert amqp_broker.state.clock._loop is asyncio.get_running_loop()


@pytest.mark.asyncio(loop_scope="session")
async def test_session_again(amqp_broker, amqp_connection):
    assert not amqp_broker.state.vhosts["/"].queues
"""


@pytest.mark.parametrize("default", ["function", "session"])
def test_it_follows_the_scope_of_the_loop(pytester: pytest.Pytester, default: str) -> None:
    pytester.makepyfile(SCOPES)
    options = (*AUTO, "-o", f"asyncio_default_test_loop_scope={default}")
    run(pytester, options).assert_outcomes(passed=5)


BLOCKING = """
import threading

import pika


def count(amqp_url):
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    declared = channel.queue_declare("q").method
    channel.basic_publish("", "q", b"hello")
    return declared.message_count


def test_a_client_that_blocks(amqp_url):
    assert count(amqp_url) == 0


def test_the_broker_is_another_one(amqp_url, amqp_broker):
    assert amqp_broker.url == amqp_url
    assert count(amqp_url) == 0


def test_on_its_own_thread(amqp_broker_thread, amqp_broker):
    assert amqp_broker_thread.broker is amqp_broker
    assert amqp_broker_thread.call(threading.current_thread) is not threading.current_thread()
"""


@pytest.mark.parametrize("options", [NEITHER, AUTO, ANYIO], ids=["neither", "asyncio", "anyio"])
def test_other_tests_get_a_broker_on_a_thread(
    pytester: pytest.Pytester, options: Sequence[str]
) -> None:
    pytester.makepyfile(BLOCKING)
    # pika leaves its sockets to the garbage collector when the connection is not closed.
    ignoring = ("-W", "ignore::pytest.PytestUnraisableExceptionWarning")
    result = run(pytester, options, *ignoring, "--durations=0", "-vv")
    result.assert_outcomes(passed=3)
    ends = re.findall(r"(?m)^([\d.]+)s teardown ", result.stdout.str())
    assert len(ends) == 3
    assert max(map(float, ends)) < _CLOSE_TIMEOUT, "no client that has gone is waited for"


def test_options_stand_in_a_marker_and_the_closest_one_counts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.amqp_broker(emulate="3.10", memory_limit=1000)


        def test_of_the_module(amqp_broker):
            assert amqp_broker.emulates == "3.10"
            assert amqp_broker.state.memory.limit == 1000


        @pytest.mark.amqp_broker(emulate="4.0")
        def test_of_its_own(amqp_broker):
            assert amqp_broker.emulates == "4.0"
            assert amqp_broker.state.memory.limit == 1000
    """)
    run(pytester, NEITHER, "--strict-markers").assert_outcomes(passed=2)


def test_a_wrong_option_is_told_in_a_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest


        @pytest.mark.amqp_broker(emulat="4.0")
        def test_it(amqp_broker):
            pass
    """)
    result = run(pytester, NEITHER)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.amqp_broker: *unexpected keyword*'emulat'*"])
    result.stdout.no_fnmatch_line("*Traceback*")


LOGGED = """
import asyncio
import logging

import hopmq


async def connect(url):
    async with hopmq.connect(url, name="a client", password="hunter2"):
        pass


def attempt(url):
    try:
        asyncio.run(connect(url))
    except hopmq.AuthenticationError:
        pass


def test_that_fails(amqp_url):
    attempt(amqp_url)
    assert False, "on purpose"


def test_that_passes(amqp_url):
    attempt(amqp_url)


def test_that_fails_without_a_client(amqp_broker):
    assert False, "on purpose"


def test_others_see_what_they_would_see_without(amqp_url, caplog):
    attempt(amqp_url)
    own = [each for each in caplog.records if each.name == "hopmq.broker"]
    assert {each.levelname for each in own} == {"WARNING"}


def test_others_may_ask_for_more(amqp_url, caplog):
    caplog.set_level(logging.INFO)
    attempt(amqp_url)
    own = [each for each in caplog.records if each.name == "hopmq.broker"]
    assert {each.levelname for each in own} == {"WARNING", "INFO"}


def test_the_level_is_as_before():
    assert logging.getLogger("hopmq.broker").level == logging.NOTSET
"""


def test_the_log_of_the_broker_shows_when_its_test_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LOGGED)
    result = run(pytester, NEITHER)
    result.assert_outcomes(passed=4, failed=2)
    text = result.stdout.str()
    assert text.count("Captured log of amqp_broker call") == 2
    result.stdout.fnmatch_lines(
        [
            "*Captured log of amqp_broker call*",
            "*0.0 ms  WARNING *a client (127.0.0.1:*): login refused (PLAIN)",
            "* ms  INFO * ended: *",
            "*Captured log of amqp_broker call*",
            "(nothing: no client has connected)",
        ]
    )
    assert "hunter2" not in text.partition("Captured log of amqp_broker")[2]


def test_fixtures_of_the_project_come_first(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest
        import hopmq


        @pytest.fixture(scope="session")
        def amqp_url():
            with hopmq.testing.BrokerThread(hopmq.broker.Broker(emulate="3.10")) as thread:
                yield thread.url
    """)
    pytester.makepyfile("""
        async def test_it(amqp_connection):
            assert "3.10.8" in amqp_connection.server_properties["information"]
    """)
    run(pytester, AUTO).assert_outcomes(passed=1)


def test_what_needs_a_loop_is_told_in_a_line_where_there_is_none(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        def test_connection(amqp_connection): pass
        def test_faults(amqp_faults): pass
        def test_clock(amqp_clock, amqp_broker): pass
    """)
    result = run(pytester, BOTH)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "amqp_connection is for asynchronous tests*amqp_url",
            "amqp_faults is for asynchronous tests*amqp_broker_thread.call",
            "amqp_clock is turned in the event loop*",
        ]
    )


@pytest.mark.parametrize("options", [AUTO, (*ANYIO, "-o", "anyio_mode=auto")])
def test_faults_and_time_are_those_of_the_broker(
    pytester: pytest.Pytester, options: Sequence[str]
) -> None:
    pytester.makepyfile("""
        import pytest

        import hopmq
        from hopmq import PublishNackedError


        async def test_faults(amqp_faults, amqp_connection):
            await amqp_connection.declare_queue("q")
            amqp_faults.nack()
            async with amqp_connection.channel() as channel:
                with pytest.raises(PublishNackedError):
                    await channel.publish(b"", routing_key="q")
                await channel.publish(b"", routing_key="q")


        async def test_time(amqp_clock, amqp_broker, amqp_connection):
            assert amqp_broker.state.clock is amqp_clock
            await amqp_connection.declare_queue("q", arguments={"x-message-ttl": 3_600_000})
            async with amqp_connection.channel() as channel:
                await channel.publish(b"", routing_key="q")
                await amqp_clock.advance(3599)
                assert amqp_broker.state.vhosts["/"].queues["q"].ready == 1
                await amqp_clock.advance(1)
                assert amqp_broker.state.vhosts["/"].queues["q"].ready == 0


        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """)
    run(pytester, options).assert_outcomes(passed=2)


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(amqp_broker): pass")
    result = run(pytester, NEITHER, "-p", "no:hopmq")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'amqp_broker' not found*"])


def test_a_run_that_does_not_use_it_does_not_load_the_package(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys


        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("hopmq")
            assert "pytest_hopmq" in sys.modules
            assert not {"hopmq", "asyncio", "pamqp"} & sys.modules.keys()
    """)
    run(pytester, NEITHER).assert_outcomes(passed=1)


def test_its_fixtures_and_its_marker_are_listed(pytester: pytest.Pytester) -> None:
    fixtures = run(pytester, BOTH, "--fixtures").stdout.str()
    for name in ("broker", "broker_thread", "url", "connection", "faults", "clock"):
        assert f"\namqp_{name} -- " in fixtures
    assert "_anyio" not in fixtures
    run(pytester, BOTH, "--markers").stdout.fnmatch_lines(["@pytest.mark.amqp_broker(*"])
