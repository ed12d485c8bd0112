"""What a chaos run counts, and the verdicts that it comes to."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def load(name: str) -> ModuleType:
    """Load a module of the scripts' folder, which is on nobody's path."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


chaos_ledger = load("chaos_ledger")
Outcome = chaos_ledger.Outcome


@pytest.fixture
def ledger() -> Any:
    """Return an empty ledger."""
    return chaos_ledger.Ledger()


def publish(ledger: Any, outcome: Any, *, received: int, size: int = 100) -> bytes:
    """Enter one message that ended with `outcome` and came so often."""
    serial, body = ledger.attempt("p", size)
    if outcome is not Outcome.PENDING:
        ledger.ended("p", serial, outcome)
    for _ in range(received):
        ledger.arrived(body)
    return bytes(body)


GOOD: list[Callable[[Any], object]] = [
    lambda ledger: publish(ledger, Outcome.CONFIRMED, received=1),
    lambda ledger: publish(ledger, Outcome.CONFIRMED, received=3),
    lambda ledger: publish(ledger, Outcome.NOT_SENT, received=0),
    lambda ledger: publish(ledger, Outcome.UNKNOWN, received=0),
    lambda ledger: publish(ledger, Outcome.UNKNOWN, received=1),
    lambda ledger: publish(ledger, Outcome.NACKED, received=1),
    lambda ledger: publish(ledger, Outcome.CANCELLED, received=1),
    lambda ledger: publish(ledger, Outcome.CONFIRMED, received=1, size=1),
]


@pytest.mark.parametrize("happen", GOOD)
def test_what_may_happen_breaks_no_promise(ledger: Any, happen: Callable[[Any], object]) -> None:
    happen(ledger)
    ledger.judge()
    assert not ledger.broken


BAD: list[tuple[Callable[[Any], object], str]] = [
    (
        lambda ledger: publish(ledger, Outcome.CONFIRMED, received=0),
        "1 confirmed messages lost: p 1",
    ),
    (lambda ledger: publish(ledger, Outcome.NOT_SENT, received=1), "not sent, and received: p 1"),
    (lambda ledger: publish(ledger, Outcome.PENDING, received=0), "1 publishes have not ended"),
    (lambda ledger: ledger.arrived(b"nonsense"), "nobody sent"),
    (lambda ledger: ledger.arrived(b"somebody 0 100\n"), "nobody sent"),
    (lambda ledger: ledger.arrived(b"p 99 100\n"), "nobody sent"),
    (
        lambda ledger: ledger.arrived(publish(ledger, Outcome.CONFIRMED, received=1)[:-1]),
        "p 1 arrived with 99 bytes, not 100",
    ),
]


@pytest.mark.parametrize("happen, verdict", BAD)
def test_what_must_not_happen_is_seen(
    ledger: Any, happen: Callable[[Any], object], verdict: str
) -> None:
    publish(ledger, Outcome.CONFIRMED, received=1)
    happen(ledger)
    ledger.judge()
    assert [verdict in broken for broken in ledger.broken] == [True]


def test_a_message_that_another_has_overtaken_is_seen(ledger: Any) -> None:
    bodies = [ledger.attempt("p", 100)[1] for _ in range(4)]
    for number in (0, 2, 2, 1, 1, 3):
        ledger.arrived(bodies[number])
    ledger.check_order("p")
    assert ledger.broken == ["p: 1 messages overtaken: 1"]


def test_what_comes_again_and_what_is_missing_is_no_disorder(ledger: Any) -> None:
    bodies = [ledger.attempt("p", 100)[1] for _ in range(4)]
    for number in (0, 1, 3, 1, 3):
        ledger.arrived(bodies[number])
    ledger.check_order("p")
    assert not ledger.broken


def test_messages_are_counted_by_outcome_and_duplicates_each_time(ledger: Any) -> None:
    publish(ledger, Outcome.CONFIRMED, received=3)
    publish(ledger, Outcome.CONFIRMED, received=1)
    publish(ledger, Outcome.UNKNOWN, received=2)
    publish(ledger, Outcome.UNKNOWN, received=0)
    assert ledger.published == 4
    assert ledger.received == 3
    assert ledger.duplicated == 3
    assert ledger.counts() == {Outcome.CONFIRMED: 2, Outcome.UNKNOWN: 2}


def test_a_stall_is_the_longest_time_without_a_confirm(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(chaos_ledger.time, "monotonic", lambda: now)
    for seconds in (0.0, 1.0, 7.0, 2.0):
        now += seconds
        publish(ledger, Outcome.CONFIRMED, received=1)
        publish(ledger, Outcome.UNKNOWN, received=1)
    assert ledger.longest_stall == 7.0
