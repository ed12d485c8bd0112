"""The clock that built-in middleware go by."""

from typing import Any

from hopmq.app.clock import Clock


class Ticking:
    """Has a clock: the one it was given, or that of the application that a message is handled in.

    The application's may be another one in its next run, such as one that a test turns.
    """

    def __init__(self, clock: Clock | None) -> None:
        """Go by `clock`; None for the application's."""
        self._clock = clock

    def clock_of(self, app: Any) -> Clock:  # an App, which stands above this module
        """Return the clock."""
        if self._clock is not None:
            return self._clock
        clock: Clock = app.clock
        return clock
