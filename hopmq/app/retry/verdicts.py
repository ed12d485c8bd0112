"""What a handler raises to say itself what is to become of its message."""

from math import inf

from hopmq.errors import UsageError


class Verdict(Exception):  # noqa: N818  # a decision, and not what went wrong
    """A handler's decision on its message; `raise ... from error` keeps why."""


class Park(Verdict):
    """Do not try again: to the parking queue, where somebody will look at it.

    Attributes:
        reason: Why, for whoever looks.
    """

    def __init__(self, reason: str = "") -> None:
        """Say why."""
        super().__init__(reason)
        self.reason: str = reason


class RetryAfter(Verdict):
    """Try again after so many seconds, unless this was the last attempt.

    Attributes:
        seconds: How long to wait instead of what the back-off says.
        reason: Why, for whoever looks.

    Raises:
        UsageError: `seconds` is below 0 or endless.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        """Say when, and why."""
        if not 0 <= seconds < inf:
            raise UsageError(f"seconds is 0 or more, not {seconds!r}")
        super().__init__(reason or f"asked for another attempt after {seconds:g} s")
        self.seconds: float = seconds
        self.reason: str = reason


class Postpone(Verdict):
    """Deliver it again after so many seconds: nothing was tried, and nothing counts as an attempt.

    Attributes:
        seconds: How long.
        reason: Why, for the log.

    Raises:
        UsageError: `seconds` is below 0 or endless.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        """Say until when, and why."""
        if not 0 <= seconds < inf:
            raise UsageError(f"seconds is 0 or more, not {seconds!r}")
        super().__init__(reason or f"put off for {seconds:g} s")
        self.seconds: float = seconds
        self.reason: str = reason


class Drop(Verdict):
    """Nobody needs the message: it is acknowledged, and gone.

    Attributes:
        reason: Why, for the log.
    """

    def __init__(self, reason: str = "") -> None:
        """Say why."""
        super().__init__(reason)
        self.reason: str = reason
