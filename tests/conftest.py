"""What every test may ask for: brokers, event loops with codecs, and names nobody else uses."""

import asyncio
import functools
import inspect
import itertools
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import hopmq
from brokers.embedded import EmbeddedBroker
from brokers.running import SessionBrokers, new_broker
from brokers.selection import BrokerChoice, chosen_brokers
from flavours import Flavour, flavours
from hopmq import wire
from hopmq.testing import RabbitMQ
from trials import use_everywhere

use_everywhere()  # before a test is imported: it takes what is the custom then

BROKERS = chosen_brokers()
INSTALLED = [each for each in BROKERS if each.installation is not None]
NO_BROKER = BrokerChoice(label="no-broker")
FLAVOURS = flavours()

PRINCIPAL = {
    *[each for each in BROKERS if each.emulate][-1:],
    *[each for each in BROKERS if each.installation][-1:],
    *[each for each in BROKERS if each.url],
    NO_BROKER,
}
"""The brokers that tests of the client meet in every flavour."""
PLAINEST = next(each for each in reversed(FLAVOURS) if each.loop == "asyncio")
"""The flavour in which they meet the others."""
NEWEST_OF_SEVERAL = {each for each in INSTALLED[-1:] if len(INSTALLED) > 1}
"""The real broker that is met in the other flavours alone, where there are others for the plainest."""

_serial = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningBroker:
    """A broker as most tests see it: its address, its release and, if it is ours, its controls."""

    label: str
    url: str
    rabbitmq: RabbitMQ | None = None
    embedded: EmbeddedBroker | None = None

    @property
    def product(self) -> str:
        """What it calls itself."""
        return "RabbitMQ" if self.embedded is None else "HopMQ"

    @property
    def version(self) -> str | None:
        """Release, or None for one that was given by its address alone."""
        if self.embedded is not None:
            return self.embedded.version
        return self.rabbitmq.version if self.rabbitmq else None


# --- brokers -----------------------------------------------------------------------------------


def _label(choice: BrokerChoice) -> str:
    return choice.label


@pytest.fixture(scope="session")
def session_brokers() -> Iterator[SessionBrokers]:
    """Return the brokers of this session, and stop them at its end."""
    brokers = SessionBrokers()
    try:
        yield brokers
    finally:
        brokers.stop()


@pytest.fixture(scope="session", params=BROKERS or [NO_BROKER], ids=_label)
def broker(request: pytest.FixtureRequest, session_brokers: SessionBrokers) -> RunningBroker:
    """Return each broker in turn, shared by the whole session."""
    return running(request.param, session_brokers)


def running(choice: BrokerChoice, session_brokers: SessionBrokers) -> RunningBroker:
    """Return the broker that was chosen, started if need be."""
    if choice.emulate is not None:
        embedded = session_brokers.embedded(choice.emulate)
        return RunningBroker(label=choice.label, url=embedded.url, embedded=embedded)
    if choice.installation is None:
        return RunningBroker(label=choice.label, url=choice.url or "")
    rabbitmq = session_brokers.get(choice.installation)
    return RunningBroker(label=choice.label, url=rabbitmq.url, rabbitmq=rabbitmq)


@pytest.fixture(scope="session", params=INSTALLED or [NO_BROKER], ids=_label)
def rabbitmq(request: pytest.FixtureRequest, session_brokers: SessionBrokers) -> RabbitMQ:
    """Return each broker that we started, for tests that need TLS or `ctl`; leave it healthy."""
    return session_brokers.get(request.param.installation)


@pytest.fixture(scope="module", params=INSTALLED or [NO_BROKER], ids=_label)
def _rabbitmq_of_module(request: pytest.FixtureRequest) -> Iterator[RabbitMQ]:
    with new_broker(request.param.installation) as started:
        yield started


@pytest.fixture
def own_rabbitmq(_rabbitmq_of_module: RabbitMQ) -> RabbitMQ:
    """Return a broker of the module's own, to kill, pause and restart; it runs at the beginning."""
    _rabbitmq_of_module.start()
    _rabbitmq_of_module.resume()
    return _rabbitmq_of_module


@pytest.fixture
def amqp_url(broker: RunningBroker) -> str:
    """Return the address of each broker in turn."""
    return broker.url


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return a name for queues and exchanges that no other test uses."""
    return f"{request.node.originalname}-{next(_serial)}"


# --- event loops and codecs --------------------------------------------------------------------


@pytest.fixture(scope="session", params=FLAVOURS, ids=str)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return each combination of event loop and codec in turn."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run asynchronous tests on the flavour's event loop."""
    return flavour.backend


@pytest.fixture(autouse=True)
def _codec_of_flavour(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "flavour" in request.fixturenames:
        monkeypatch.setattr(wire, "active", request.getfixturevalue("flavour").codec)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a `flavour` of a folder's own beside an `anyio_backend` of a folder above.

    pytest keeps the value of a fixture when one that it depends on is another by the same name.
    """
    if not isinstance(item, pytest.Function):
        return
    known = item._fixtureinfo.name2fixturedefs
    if "flavour" in known and "anyio_backend" in known:
        flavour, backend = known["flavour"][-1].baseid, known["anyio_backend"][-1].baseid
        if not backend.startswith(flavour):
            raise pytest.UsageError(f"{item.nodeid}: its flavour needs an anyio_backend beside it")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Fail an asynchronous test that does not run on the event loop that it was given."""
    given = pyfuncitem.funcargs.get("flavour")
    if isinstance(given, Flavour) and inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = _on_loop(pyfuncitem.obj, given.loop)


def _on_loop(test: Callable[..., Awaitable[None]], loop: str) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:  # Any: whatever the test asks for
        assert type(asyncio.get_running_loop()).__module__.partition(".")[0] == loop
        await test(**fixtures)

    return run


# --- the run -----------------------------------------------------------------------------------


def pytest_configure() -> None:
    """Hear of interrupts, for programs under test to do so: who runs in the background does not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Say what this run uses."""
    labels = ", ".join(each.label for each in BROKERS) or "NONE: tests against one are left out"
    return [
        f"hopmq: {hopmq.__file__}",
        f"codec: {wire.reason}",
        f"flavours: {', '.join(map(str, FLAVOURS))}",
        f"brokers: {labels}",
    ]


@pytest.hookimpl(tryfirst=True)  # before -m asks for the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a real broker; leave out what has no broker, and what repeats another test."""
    for item in items:
        if any(choice.installation for choice in _choices(item)):
            item.add_marker(pytest.mark.rabbitmq)
    without = {item for item in items if NO_BROKER in _choices(item) or _is_repetition(item)}
    if without:
        config.hook.pytest_deselected(items=list(without))
        items[:] = [item for item in items if item not in without]


def _is_repetition(item: pytest.Item) -> bool:
    """Tell whether a test of the client says no more than one with another broker or flavour.

    What depends on the loop or the codec shows with the newest release, real and emulated. The
    other real ones are met on one loop, on which the newest is not met again; that an emulated one
    is as the real one, parity proves.
    """
    flavour = next((each for each in _parameters(item) if isinstance(each, Flavour)), None)
    if flavour is None:
        return False
    if flavour == PLAINEST and NEWEST_OF_SEVERAL.intersection(_choices(item)):
        return _has_other_flavours(item)
    choices = set(_choices(item)) - PRINCIPAL
    if not choices:
        return False
    return flavour != PLAINEST or any(choice.emulate for choice in choices)


def _has_other_flavours(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    flavours_of_test = item._fixtureinfo.name2fixturedefs["flavour"][-1].params
    return flavours_of_test is not None and len(flavours_of_test) > 1


def _choices(item: pytest.Item) -> list[BrokerChoice]:
    return [value for value in _parameters(item) if isinstance(value, BrokerChoice)]


def _parameters(item: pytest.Item) -> list[object]:
    callspec = getattr(item, "callspec", None)
    return list(callspec.params.values()) if callspec else []
