"""Which host is next: the one due first, with a back-off for each."""

from collections import Counter
from random import Random

import pytest

from hopmq.errors import UsageError
from hopmq.resilience.backoff import Constant, GiveUpAfter
from hopmq.resilience.hosts import Hosts

NOW = 1_000.0


class Growing:
    """A back-off whose waits show the number of failures."""

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        """Return 1 s more for each failure."""
        return attempt + 1.0


def fail(hosts: Hosts[str], host: str, now: float, *, times: int = 1) -> None:
    """Let attempts fail, all at the same moment."""
    for _ in range(times):
        hosts.failed(host, now)


def test_a_host_that_was_never_tried_is_tried_at_once() -> None:
    assert Hosts(["a"], Growing()).choose(NOW) == ("a", 0.0)


def test_chance_decides_among_equals() -> None:
    hosts = Hosts(["a", "b", "c"], Growing(), chance=Random(1))
    first = Counter(hosts.choose(NOW) for _ in range(3_000))
    assert len(first) == 3
    assert min(first.values()) > 900


def test_order_decides_among_equals_on_request() -> None:
    hosts = Hosts(["b", "a"], Growing(), shuffle=False)
    assert {hosts.choose(NOW) for _ in range(20)} == {("b", 0.0)}
    fail(hosts, "b", NOW)
    assert hosts.choose(NOW) == ("a", 0.0)


def test_each_host_has_its_own_back_off() -> None:
    hosts = Hosts(["a", "b"], Growing())
    fail(hosts, "a", NOW, times=3)
    fail(hosts, "b", NOW, times=1)
    assert hosts.choose(NOW) == ("b", 1.0)
    fail(hosts, "b", NOW + 1, times=3)
    assert hosts.choose(NOW + 1) == ("a", 2.0)


def test_among_those_due_the_one_that_failed_least_often_comes_first() -> None:
    hosts = Hosts(["a", "b"], Growing())
    fail(hosts, "a", NOW, times=2)
    fail(hosts, "b", NOW, times=3)
    assert {hosts.choose(NOW + 60) for _ in range(20)} == {("a", 0.0)}


def test_a_connection_that_does_not_last_does_not_count() -> None:
    hosts = Hosts(["a"], Growing(), stable_after=10)
    now = NOW
    for failures in range(1, 50):
        hosts.connected("a", now)
        hosts.failed("a", now + 9.9)
        assert hosts.choose(now + 9.9) == ("a", pytest.approx(failures))
        now += 9.9 + failures


def test_a_connection_that_lasts_makes_a_host_as_good_as_new() -> None:
    hosts = Hosts(["a"], Growing(), stable_after=10)
    fail(hosts, "a", NOW, times=5)
    hosts.connected("a", NOW)
    hosts.failed("a", NOW + 10)
    assert hosts.choose(NOW + 10) == ("a", 1.0)
    hosts.failed("a", NOW + 11)
    assert hosts.choose(NOW + 11) == ("a", 2.0)


def test_after_an_outage_what_was_out_of_reach_is_not_tried_before_what_worked() -> None:
    hosts = Hosts(["a", "b", "c"], Growing(), stable_after=10)
    fail(hosts, "b", NOW, times=7)
    hosts.connected("a", NOW)
    hosts.failed("a", NOW + 3_600)
    assert hosts.choose(NOW + 3_600) == ("c", 0.0)
    hosts.failed("c", NOW + 3_600)
    due = {hosts.choose(NOW + 3_600) for _ in range(100)}
    assert due == {("a", 1.0), ("b", 1.0), ("c", 1.0)}


def test_a_host_that_gave_up_leaves_the_others() -> None:
    hosts = Hosts(["a", "b"], GiveUpAfter(Constant(1), attempts=2))
    fail(hosts, "a", NOW, times=3)
    assert {hosts.choose(NOW + 60) for _ in range(20)} == {("b", 0.0)}
    fail(hosts, "b", NOW, times=3)
    assert hosts.choose(NOW + 60) is None


def test_a_host_that_gave_up_is_back_in_the_next_outage() -> None:
    hosts = Hosts(["a", "b"], GiveUpAfter(Constant(1), attempts=2), stable_after=10)
    fail(hosts, "a", NOW, times=3)
    hosts.connected("b", NOW)
    hosts.failed("b", NOW + 10)
    fail(hosts, "b", NOW + 10, times=2)
    assert hosts.choose(NOW + 10) == ("a", 1.0)


def test_time_runs_from_the_first_failure_of_the_outage() -> None:
    hosts = Hosts(["a", "b"], GiveUpAfter(Constant(10), seconds=15), stable_after=10)
    hosts.connected("a", NOW)
    start = NOW + 3_600
    hosts.failed("a", start)
    assert hosts.choose(start + 9) == ("b", 0.0)
    hosts.failed("b", start + 9)
    assert hosts.choose(start + 10) == ("a", 0.0)
    hosts.connected("a", start + 10)
    hosts.failed("a", start + 12)
    assert hosts.choose(start + 12) == ("a", 3.0) or hosts.choose(start + 12) == ("b", 3.0)
    hosts.failed("a", start + 15)
    hosts.failed("b", start + 15)
    assert hosts.choose(start + 15) is None


def test_time_does_not_run_on_from_an_earlier_outage() -> None:
    hosts = Hosts(["a"], GiveUpAfter(Constant(10), seconds=15), stable_after=10)
    hosts.failed("a", NOW)
    hosts.connected("a", NOW + 1)
    hosts.failed("a", NOW + 100)
    assert hosts.choose(NOW + 100) == ("a", 10.0)


def test_a_host_named_twice_is_one() -> None:
    hosts = Hosts(["a", "a"], Growing())
    hosts.failed("a", NOW)
    assert hosts.choose(NOW) == ("a", 1.0)


def test_there_is_at_least_one_host() -> None:
    with pytest.raises(UsageError, match="at least one host"):
        Hosts([], Growing())
