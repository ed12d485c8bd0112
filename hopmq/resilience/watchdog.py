"""Notice event loops that are blocked, and say what blocks them, before heartbeats are missed.

A loop under watch leaves a sign of life twice per threshold. One daemon thread for all loops of the
process wakes when the next sign is overdue, and finds it there in the normal case.
"""

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hopmq.errors import UsageError

logger: logging.Logger = logging.getLogger("hopmq.watchdog")

_LEAST: Final = 1.0
_MOST: Final = 5.0
_FRAMES: Final = 30
"""How many of the innermost frames are logged."""


def default_threshold(heartbeat: float) -> float:
    """Return a quarter of the heartbeat, between 1 and 5 seconds; 5 without heartbeats."""
    return min(max(heartbeat / 4, _LEAST), _MOST) if heartbeat else _MOST


def check_threshold(seconds: object) -> None:
    """Refuse a threshold that cannot be meant."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise UsageError(f"a loop may be blocked for a number of seconds, not {seconds!r}")


class Watch:
    """One connection's interest in its event loop, from `Watchdog.watch` until `stop`."""

    __slots__ = ("_dog", "_watched", "threshold")

    def __init__(self, dog: "Watchdog", watched: "_Watched", threshold: float) -> None:
        """Belong to one loop."""
        self._dog = dog
        self._watched = watched
        self.threshold: float = threshold

    @property
    def lag(self) -> float:
        """Seconds by which the loop's last sign of life was late, or the next one is already."""
        return self._watched.lag_now()

    def explain(self, label: str, heartbeat: float) -> None:
        """Say so if a link that was lost just now was lost because its loop was blocked."""
        lag = self.lag
        if 0 < heartbeat <= lag:
            logger.warning(
                "%s: its event loop had been blocked for %.1f seconds when it ended; a heartbeat "
                "is due every %g seconds, so the broker has probably given us up",
                label,
                lag,
                heartbeat,
            )

    def stop(self) -> None:
        """Stop watching for this connection. Idempotent."""
        self._dog.forget(self, self._watched)


class _Watched:
    """One event loop: its signs of life, and what was said of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        """Expect a first sign at once."""
        self.loop = loop
        self.watches: list[Watch] = []
        self.threshold: float = 0.0
        self._clock = clock
        self._lock = threading.Lock()  # never held while something is logged
        self._due = clock()
        self._lag = 0.0
        self._thread = 0
        self._stall: _Stall | None = None
        self._was_idle = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    # --- in the loop's thread ------------------------------------------------------------------

    def rearm(self) -> None:
        """Follow the smallest threshold that is asked for now."""
        if not self.loop.is_closed():
            self.threshold = min(watch.threshold for watch in self.watches)
            self.beat()

    def beat(self) -> None:
        """Leave a sign of life."""
        if self._over:
            return
        now = self._clock()
        with self._lock:
            self._lag = max(now - self._due, 0.0)
            self._due = now + self.threshold / 2
            self._thread = threading.get_ident()
            self._was_idle = False
            stall, self._stall = self._stall, None
            if stall is not None:
                stall.duration = now - stall.since
            tell = stall is not None and stall.was_told
        if stall is not None and tell:
            self._tell_end(stall.duration)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.threshold / 2, self.beat)

    def end(self) -> None:
        """Leave no more signs."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    # --- in any thread -------------------------------------------------------------------------

    def lag_now(self) -> float:
        """Return how late the last sign was, or by how much the next is overdue."""
        return max(self._lag, self._clock() - self._due)

    def look(self, overslept: float) -> float:
        """Say so if the loop is blocked; return the time at which to look again."""
        now = self._clock()
        with self._lock:
            if not self.loop.is_running():
                # Between two runs it owes nothing, nor when it has only just begun to run again.
                self._was_idle = True
            overdue = now - self._due
            if overdue < self.threshold:
                return self._due + self.threshold
            if self._stall is not None or self._was_idle:
                return now + self.threshold
            stall = self._stall = _Stall(self._due)
            stack = _stack_of(self._thread)
        self._tell(overdue, overslept, stack)
        with self._lock:
            stall.was_told = True
            ended_meanwhile = self._stall is not stall
        if ended_meanwhile:
            self._tell_end(stall.duration)
        return now + self.threshold

    def disown(self) -> None:
        """Be of no consequence in a child of the process, which has none of its threads."""
        self._lock = threading.Lock()
        self._over = True

    # --- inside --------------------------------------------------------------------------------

    def _tell(self, overdue: float, overslept: float, stack: str) -> None:
        note = ""
        if overslept >= self.threshold:
            note = (
                f" The watchdog itself was {overslept:.1f} seconds late: the process was stopped, "
                "or code in C has held the interpreter's lock."
            )
        logger.warning(
            "the event loop of thread %r has not run for %.1f seconds; while it is blocked, no "
            "heartbeat is sent and no message moves.%s It is in:\n%s",
            _thread_name(self._thread),
            overdue,
            note,
            stack,
        )

    def _tell_end(self, duration: float) -> None:
        logger.warning(
            "the event loop of thread %r runs again; it was blocked for %.1f seconds",
            _thread_name(self._thread),
            duration,
        )


@dataclass(slots=True, eq=False, repr=False)
class _Stall:
    """One time of being blocked; whoever comes last, loop or watchdog, tells that it is over."""

    since: float
    was_told: bool = False
    duration: float = 0.0


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # public, by its documentation
    return "".join(traceback.format_stack(frame, limit=_FRAMES)) if frame else ""


def _thread_name(ident: int) -> str:
    names = (thread.name for thread in threading.enumerate() if thread.ident == ident)
    return next(names, "?")


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="hopmq-watchdog", daemon=True).start()


class Watchdog:
    """Watches any number of event loops with one thread, which lives while there are any."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = _start_thread,
    ) -> None:
        """Watch nothing yet; `start` runs a function in a thread, and tests by hand."""
        self._clock = clock
        self._start = start
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._loops: dict[asyncio.AbstractEventLoop, _Watched] = {}
        self._runs = False
        self._next_look = clock()

    def watch(self, loop: asyncio.AbstractEventLoop, threshold: float) -> Watch:
        """Watch `loop`, which is the running one, until the `Watch` is stopped.

        Args:
            loop: The running event loop.
            threshold: Seconds for which it may be blocked, more than 0; of several, the smallest
                holds.
        """
        with self._lock:
            watched = self._loops.get(loop)
            if watched is None:
                watched = self._loops[loop] = _Watched(loop, self._clock)
            watch = Watch(self, watched, threshold)
            watched.watches.append(watch)
            begins = not self._runs
            if begins:
                self._runs = True
                self._next_look = self._clock()
        watched.rearm()
        if begins:
            self._start(self._run)
        else:
            self._wake.set()
        return watch

    def forget(self, watch: Watch, watched: _Watched) -> None:
        """End one watch, and with the last one of a loop that loop's."""
        with self._lock:
            if watch not in watched.watches:
                return
            watched.watches.remove(watch)
            if not watched.watches:
                self._loops.pop(watched.loop, None)
        if watched.watches:
            watched.rearm()
        else:
            watched.end()
            self._wake.set()

    def look(self) -> float:
        """Look after each loop once; return the seconds until the next look is due."""
        now = self._clock()
        overslept = now - self._next_look
        with self._lock:
            for loop in [loop for loop in self._loops if loop.is_closed()]:
                del self._loops[loop]
            loops = list(self._loops.values())
        self._next_look = min((each.look(overslept) for each in loops), default=now)
        return max(self._next_look - now, 0.0)

    def after_fork(self) -> None:
        """Watch nothing in a child of the process: its loops and its thread are the parent's."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        loops, self._loops = self._loops, {}
        self._runs = False
        for watched in loops.values():
            watched.disown()

    # --- inside --------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_done():
            self._wake.clear()
            self._wake.wait(self.look())

    def _is_done(self) -> bool:
        with self._lock:
            if not self._loops:
                self._runs = False
            return not self._runs


watchdog: Final = Watchdog()
"""The one of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watchdog.after_fork)
