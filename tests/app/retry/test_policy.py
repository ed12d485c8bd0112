"""Which failures a `Retry` means, and what it refuses to mean."""

from math import inf, nan
from typing import Any

import pytest

from hopmq import Queue, UsageError
from hopmq.app import Constant, Exponential, Linear, Retry
from hopmq.app.retry.failures import topology_of_failures


@pytest.mark.parametrize("errors", [OSError, (OSError,), (KeyError, OSError)])
def test_one_error_or_several_may_be_named(errors: Any) -> None:
    only = Retry(on=errors)
    assert only.should_retry(ConnectionError(), 1)
    assert not only.should_retry(ValueError(), 1)
    never = Retry(give_up_on=errors)
    assert not never.should_retry(ConnectionError(), 1)
    assert never.should_retry(ValueError(), 1)


@pytest.mark.parametrize("errors", [[OSError], "OSError", (OSError, "other"), OSError(), int, None])
@pytest.mark.parametrize("name", ["on", "give_up_on"])
def test_what_is_no_error_is_refused_at_once(name: str, errors: Any) -> None:
    with pytest.raises(UsageError, match="an exception or a tuple of them"):
        Retry(**{name: errors})


@pytest.mark.parametrize("attempts", [0, -1, inf, 2.5, "3"])
def test_attempts_are_a_number_of_them(attempts: Any) -> None:
    with pytest.raises(UsageError, match="attempts is 1 or more"):
        Retry(attempts=attempts)


@pytest.mark.parametrize(
    "backoff",
    [Exponential(1, 60), Linear(1, 60), Constant(30)],
    ids=lambda each: type(each).__name__,
)
def test_what_any_number_of_attempts_needs_is_known_at_once(backoff: Any) -> None:
    queue = Queue.quorum("orders")
    some = topology_of_failures(queue, Retry(attempts=100, backoff=backoff))
    assert topology_of_failures(queue, Retry(attempts=10**9, backoff=backoff)) == some


class Odd:
    """A back-off that returns what is no wait, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def delay(self, attempt: int, elapsed: float = 0.0) -> float | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: float | None = self.answer
        return answer


@pytest.mark.parametrize("answer", [-1, nan, inf, "5", ZeroDivisionError()], ids=repr)
def test_a_backoff_that_cannot_be_used_is_told_of_and_replaced(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    retry, usual = Retry(backoff=Odd(answer)), Retry()
    assert [retry.delay_before(attempt) for attempt in (2, 3, 4)] == [
        usual.delay_before(attempt) for attempt in (2, 3, 4)
    ]
    assert "cannot be used" in caplog.text


@pytest.mark.parametrize("answer", [None, 0, 7.5])
def test_a_backoff_may_end_the_attempts_or_choose_any_wait(answer: float | None) -> None:
    assert Retry(backoff=Odd(answer)).delay_before(2) == answer


@pytest.mark.parametrize("backoff", [5, [1, 2], None, Exponential], ids=str)
def test_what_is_no_backoff_is_refused_at_once(backoff: Any) -> None:
    with pytest.raises(UsageError, match="backoff is Constant"):
        Retry(backoff=backoff)
