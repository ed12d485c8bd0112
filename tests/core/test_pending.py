"""A publish until its outcome is known: once, for whoever waits, in both twins."""

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hopmq.core import pending
from hopmq.errors import HopMQError
from trials import trials

from .actors import Waiting
from .conftest import COMPILED

KINDS: list[Any] = [pytest.param(pending.PURE, id="pure")]
if COMPILED is not None:
    from hopmq._speedups.codec import Pending, Receipt

    KINDS.append(pytest.param((Pending, Receipt), id="cython"))

Twin = tuple[type[pending.Pending], type[pending.Receipt]]


@pytest.fixture(params=KINDS)
def twin(request: pytest.FixtureRequest) -> Twin:
    """Return the class of a publish, and that of a receipt."""
    chosen: Twin = request.param
    return chosen


def test_it_knows_its_times_and_its_size(twin: Twin) -> None:
    publish = twin[0](7, 10.0, 2.5)
    assert (publish.size, publish.begun, publish.deadline) == (7, 10.0, 12.5)
    assert (publish.delivery_tag, publish.resent) == (0, False)
    assert not publish.done()
    assert publish.outcome is None


def test_a_confirm_makes_a_receipt_and_wakes_everybody_once(twin: Twin) -> None:
    publish = twin[0](1, 0.0, 1.0)
    publish.delivery_tag = 5
    waiting, gone = [Waiting(), Waiting()], Waiting()
    gone.cancel()
    for waiter in (*waiting, gone):
        publish.wake(waiter)
    assert publish.confirmed()
    assert not publish.confirmed()
    assert [waiter.answers for waiter in (*waiting, gone)] == [1, 1, 0]
    assert publish.done()
    for receipt in (publish.outcome, publish.result()):
        assert isinstance(receipt, pending.Receipt)
        assert (receipt.delivery_tag, receipt.resent, receipt.confirmed) == (5, False, True)


def test_what_ended_with_an_error_raises_it(twin: Twin) -> None:
    publish, error = twin[0](1, 0.0, 1.0), HopMQError("no")
    publish._error = error
    assert not publish.confirmed()
    assert publish.outcome is error
    with pytest.raises(HopMQError) as raised:
        publish.result()
    assert raised.value is error


@pytest.mark.parametrize(
    "options, shown",
    [((0,), "Receipt(delivery_tag=0)"), ((3, True), "Receipt(delivery_tag=3, resent=True)")],
)
def test_a_receipt_shows_what_it_says(twin: Twin, options: tuple[Any, ...], shown: str) -> None:
    receipt = twin[1](*options)
    assert repr(receipt) == repr(copy.copy(receipt)) == shown
    assert receipt.confirmed == bool(options[0])
    assert twin[1].retry_safe is receipt.retry_safe is False


@pytest.mark.skipif(COMPILED is None, reason="the compiled codec is not built")
@trials(200)
@given(st.lists(st.sampled_from(["wake", "confirmed", "error", "resent", "end"]), max_size=12))
def test_both_twins_go_the_same_way(steps: list[str]) -> None:
    seen = []
    for kind in (pending.PURE[0], Pending):
        publish, waiters = kind(3, 1.0, 2.0), []
        states: list[object] = []
        for number, step in enumerate(steps):
            if step == "wake":
                waiters.append(Waiting())
                publish.wake(waiters[-1])
            elif step == "confirmed":
                publish.confirmed()
            elif step == "error":
                publish._error = HopMQError(str(number))
            elif step == "resent":
                publish.resent, publish.delivery_tag = True, number
            elif not publish.done():
                publish._end()
            states.append((publish.done(), repr(publish.outcome), [w.answers for w in waiters]))
        seen.append(states)
    assert seen[0] == seen[1]
