"""Blocked event loops are told of, once, with what blocks them and for how long."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import hopmq
from brokers.embedded import EmbeddedBroker
from hopmq.errors import UsageError
from hopmq.resilience.watchdog import Watch, Watchdog, check_threshold, default_threshold

PATIENCE = 20.0
"""Seconds after which something that was to come never will."""


class Told(logging.Handler):
    """What was logged, and an event for each of it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.first = threading.Event()
        self.second = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        (self.second if self.first.is_set() else self.first).set()


@pytest.fixture
def told() -> Iterator[Told]:
    """Return what the watchdog logs."""
    handler = Told()
    logger = logging.getLogger("hopmq.watchdog")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Timer:
    """A call that a test makes when it sees fit."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """An event loop that runs when a test says so."""

    def __init__(self) -> None:
        self.running = True
        self.closed = False
        self.timers: list[tuple[float, Timer]] = []

    def is_running(self) -> bool:
        return self.running

    def is_closed(self) -> bool:
        return self.closed

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(callback)
        self.timers.append((delay, timer))
        return timer

    def run(self) -> None:
        """Make the calls that are due, which is every one."""
        timers, self.timers = self.timers, []
        for _, timer in timers:
            if not timer.is_cancelled:
                timer.callback()

    @property
    def interval(self) -> float:
        (delay,) = [delay for delay, timer in self.timers if not timer.is_cancelled]
        return delay

    @property
    def itself(self) -> asyncio.AbstractEventLoop:
        return cast("asyncio.AbstractEventLoop", self)


class Bench:
    """A watchdog without a thread, its clock and one loop."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.started: list[Callable[[], None]] = []
        self.dog = Watchdog(clock=self.clock, start=self.started.append)
        self.loop = Loop()

    def watch(self, threshold: float = 4.0) -> Any:
        return self.dog.watch(self.loop.itself, threshold)

    def looks_after(self, seconds: float) -> float:
        """Look once after so many seconds."""
        self.clock.now += seconds
        return self.dog.look()


@pytest.fixture
def bench() -> Bench:
    """Return all that a test turns by hand."""
    return Bench()


# --- with a real thread ------------------------------------------------------------------------


def everything_waits_for_this(dog: Watchdog, event: threading.Event) -> Watch:
    """Block the loop from the moment in which it is watched."""
    watch = dog.watch(asyncio.get_running_loop(), 0.02)
    assert event.wait(PATIENCE)
    return watch


async def test_a_blocked_loop_is_told_of_while_it_is_blocked_and_when_it_runs_again(
    told: Told,
) -> None:
    watch = everything_waits_for_this(Watchdog(), told.first)
    assert await asyncio.to_thread(told.second.wait, PATIENCE)
    watch.stop()
    blocked, over = told.texts[:2]  # a busy machine may have held the loop up once more
    assert "has not run for" in blocked
    assert "in everything_waits_for_this" in blocked
    assert "test_watchdog.py" in blocked
    assert "runs again" in over
    assert threading.current_thread().name in blocked


async def test_the_thread_begins_with_the_first_watch_and_ends_with_the_last() -> None:
    threads: list[threading.Thread] = []

    def start(run: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    dog = Watchdog(start=start)
    for _ in range(2):
        watches = [dog.watch(asyncio.get_running_loop(), 60.0) for _ in range(3)]
        (thread,) = threads
        watches.pop().stop()
        watches.pop().stop()
        assert thread.is_alive()
        watches.pop().stop()
        await asyncio.to_thread(thread.join, PATIENCE)
        assert not thread.is_alive()
        threads.clear()


SCRIPT = """
import asyncio, logging, sys, threading
from hopmq.resilience.watchdog import logger, watchdog

async def main(threshold):
    watchdog.watch(asyncio.get_running_loop(), threshold)
    return next(each for each in threading.enumerate() if each.name == "hopmq-watchdog")

logger.addHandler(logging.NullHandler())
logger.propagate = False
thread = asyncio.run(main(float(sys.argv[1])))
logger.propagate = True
if sys.argv[2] == "join":
    thread.join()
print("done")
"""


@pytest.mark.parametrize(
    "threshold, end",
    [
        pytest.param("0.01", "join", id="the thread ends with the loop"),
        pytest.param("3600", "exit", id="the process ends before the thread"),
    ],
)
def test_neither_a_closed_loop_nor_the_thread_keeps_a_process_or_is_told_of(
    threshold: str, end: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, threshold, end],  # -P: the package that is installed
        env=os.environ | {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_child_of_the_process_watches_nothing_of_its_parents(told: Told) -> None:
    dog = Watchdog()
    loop = asyncio.get_running_loop()
    watch = dog.watch(loop, 60.0)
    child = os.fork()
    if not child:
        ended = 1
        try:
            dog.after_fork()
            watch._watched.beat()  # as a loop would that runs on in the child
            ended = 0 if not dog._loops and not watch._watched._lock.locked() else 2
        finally:
            os._exit(ended)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert list(dog._loops) == [loop]
    watch.stop()
    assert not told.texts


# --- with a clock that is turned ---------------------------------------------------------------


def test_a_loop_that_runs_is_not_told_of(bench: Bench, told: Told) -> None:
    bench.watch()
    for _ in range(10):
        bench.looks_after(bench.loop.interval)
        bench.loop.run()
    assert not told.texts


def test_a_stall_is_told_of_once_and_its_end_once(bench: Bench, told: Told) -> None:
    bench.watch(4.0)
    assert bench.looks_after(2.0) == 4.0  # the sign is due now, and overdue in 4 seconds
    assert bench.looks_after(3.9) == pytest.approx(0.1)
    assert not told.texts
    for _ in range(3):
        bench.looks_after(4.0)
    assert len(told.texts) == 1
    assert "has not run for 7.9 seconds" in told.texts[0]
    bench.loop.run()
    assert len(told.texts) == 2
    assert "runs again; it was blocked for 15.9 seconds" in told.texts[1]
    bench.looks_after(1.0)
    bench.loop.run()
    assert len(told.texts) == 2


def test_each_stall_is_told_of(bench: Bench, told: Told) -> None:
    bench.watch(4.0)
    for _ in range(2):
        bench.looks_after(6.0)
        bench.loop.run()
    assert ["has not run" in text for text in told.texts] == [True, False, True, False]


def test_an_end_that_comes_while_the_stall_is_told_of_is_told_of_after_it(
    bench: Bench, told: Told
) -> None:
    bench.watch(4.0)

    def loop_runs(record: logging.LogRecord) -> bool:
        if "has not run" in record.getMessage():
            bench.clock.now += 1.0
            bench.loop.run()
        return True

    told.addFilter(loop_runs)
    bench.looks_after(6.0)
    assert ["has not run" in text for text in told.texts] == [True, False]
    assert "blocked for 5.0 seconds" in told.texts[1]


def test_a_loop_between_two_runs_is_not_blocked(bench: Bench, told: Told) -> None:
    bench.watch(4.0)
    bench.loop.running = False
    assert bench.looks_after(60.0) == 4.0
    bench.loop.running = True
    bench.looks_after(4.0)  # it has begun to run again, and not come to its sign yet
    bench.loop.run()
    assert not told.texts
    bench.looks_after(6.0)
    assert len(told.texts) == 1


def test_a_closed_loop_is_forgotten(bench: Bench, told: Told) -> None:
    watch = bench.watch(4.0)
    bench.loop.closed = True
    bench.looks_after(60.0)
    assert not told.texts
    assert bench.dog._is_done()
    watch.stop()


def test_the_smallest_threshold_holds(bench: Bench, told: Told) -> None:
    slow, quick = bench.watch(4.0), bench.watch(1.0)
    assert bench.loop.interval == 0.5
    bench.looks_after(1.5)
    assert len(told.texts) == 1
    bench.loop.run()
    quick.stop()
    quick.stop()
    assert bench.loop.interval == 2.0
    bench.looks_after(5.9)
    assert len(told.texts) == 2
    slow.stop()
    assert bench.dog._is_done()
    assert all(timer.is_cancelled for _, timer in bench.loop.timers)


def test_every_loop_is_watched_by_itself(bench: Bench, told: Told) -> None:
    other = Loop()
    bench.watch(4.0)
    bench.dog.watch(other.itself, 4.0)
    for _ in range(3):
        bench.looks_after(2.0)
        other.run()
    assert len(told.texts) == 1
    assert len(bench.started) == 1


def test_a_watchdog_that_was_held_up_itself_says_so(bench: Bench, told: Told) -> None:
    bench.watch(4.0)
    bench.looks_after(2.0)
    bench.looks_after(60.0)
    assert "The watchdog itself was 56.0 seconds late" in told.texts[0]


def test_lag_is_what_the_last_sign_was_late_or_the_next_is_overdue(bench: Bench) -> None:
    watch = bench.watch(4.0)
    assert watch.lag == 0.0
    bench.clock.now += 2.25
    assert watch.lag == 0.25
    bench.loop.run()
    bench.clock.now += 1.0
    assert watch.lag == 0.25
    bench.clock.now += 3.0
    assert watch.lag == 2.0
    bench.loop.run()
    bench.clock.now += 1.5  # timers of uvloop may come early
    bench.loop.run()
    assert watch.lag == 0.0


# --- thresholds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heartbeat, threshold", [(0, 5.0), (1, 1.0), (4, 1.0), (10, 2.5), (20, 5.0), (60, 5.0)]
)
def test_the_default_is_a_quarter_of_the_heartbeat_between_one_and_five_seconds(
    heartbeat: int, threshold: float
) -> None:
    assert default_threshold(heartbeat) == threshold


@pytest.mark.parametrize("wrong", [-1, float("nan"), "1", None, True])
def test_a_threshold_that_cannot_be_meant_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="number of seconds"):
        check_threshold(wrong)


@pytest.mark.parametrize("right", [0, 0.5, 30])
def test_thresholds_are_seconds_and_none_is_zero(right: float) -> None:
    check_threshold(right)


# --- a link that was lost for it ---------------------------------------------------------------


async def test_a_link_that_is_lost_because_its_loop_was_blocked_is_told_of_with_the_reason(
    told: Told,
) -> None:
    embedded = EmbeddedBroker("4.3")
    try:
        connection = await hopmq.connect(embedded.url, heartbeat=1, name="orders")
        while embedded.call(lambda broker: broker.state.peers):
            time.sleep(0.05)  # noqa: ASYNC251  # blocks the loop until the broker has given us up
        await connection.wait_for("recovering")
        await connection.wait_for("open")
        await connection.close()
    finally:
        await asyncio.to_thread(embedded.stop)
    reasons = [text for text in told.texts if "has probably" in text]
    assert len(reasons) == 1
    assert reasons[0].startswith("orders ")


@pytest.mark.parametrize("heartbeat, is_told", [(0, False), (3, True), (5, False)])
def test_a_loop_that_was_late_by_less_than_a_heartbeat_is_not_blamed(
    bench: Bench, told: Told, heartbeat: int, is_told: bool
) -> None:
    watch = bench.watch(8.0)
    bench.clock.now += 4.0 + 4.0
    watch.explain("orders", heartbeat)
    assert bool(told.texts) is is_told
