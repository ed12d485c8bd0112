"""What the fixtures of HopMQ's plugin for pytest do; pytest itself loads them from `pytest_hopmq`."""

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from hopmq.broker import Broker
from hopmq.testing.broker_log import BrokerLog
from hopmq.testing.thread import BrokerThread

MARKER: Final = "amqp_broker"
CLOCK: Final = "amqp_clock"


@contextmanager
def broker_log() -> Iterator[BrokerLog]:
    """Keep what brokers log during a test."""
    log = BrokerLog(logging.getLogger("hopmq.broker"))
    with log.keeping():
        yield log


@contextmanager
def broker_on_thread(request: pytest.FixtureRequest) -> Iterator[BrokerThread]:
    """Run the broker that a test asks for on a thread of its own."""
    if CLOCK in request.fixturenames:
        pytest.fail(
            f"{CLOCK} is turned in the event loop of its broker, not on a thread", pytrace=False
        )
    thread = BrokerThread(new_broker(request))
    thread.start()
    try:
        yield thread
    finally:
        # A client that blocks does not answer now, and is not waited for.
        thread.stop(abrupt=True)


def runner_of(request: pytest.FixtureRequest) -> str | None:
    """Name the fixtures that share the event loop of a test; None where it has none to share.

    It is the ending of their names: `anyio`, or `asyncio_` and the scope of pytest-asyncio's loop.
    """
    if not inspect.iscoroutinefunction(getattr(request, "function", None)):
        return None
    if "anyio_backend" in request.fixturenames:
        backend: str = request.getfixturevalue("anyio_backend_name")
        return "anyio" if backend == "asyncio" else None
    marker = request.node.get_closest_marker("asyncio")
    if marker is None or not request.config.pluginmanager.hasplugin("asyncio"):
        return None
    asked = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    return f"asyncio_{asked or request.config.getini('asyncio_default_test_loop_scope')}"


def new_broker(request: pytest.FixtureRequest) -> Broker:
    """Make the broker that the markers of a test describe; the closest one has the last word."""
    options: dict[str, Any] = {}  # whatever Broker takes
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        try:
            inspect.signature(Broker).bind(*marker.args, **marker.kwargs)
        except TypeError as error:
            pytest.fail(f"@pytest.mark.{MARKER}: {error}", pytrace=False)
        options |= marker.kwargs
    if CLOCK in request.fixturenames:
        options["clock"] = request.getfixturevalue(CLOCK)
    return Broker(**options)
