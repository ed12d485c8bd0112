"""What a link needs of time: the hour, and a call when it has come."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due at a set time.

    It does not tell the time: uvloop's handle of a call that is due at once knows none.
    """

    def cancel(self) -> None:
        """Do not call; does nothing once called."""


class Timers(Protocol):
    """A clock that calls back; every event loop is one."""

    def time(self) -> float:
        """Return seconds that only ever grow, from an arbitrary start."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` once `time` has reached `when`, never before this returns."""
        ...
