"""Waits between the attempts at one message: exact, so that it is known when each is due."""

from dataclasses import dataclass
from math import inf
from typing import Final

from hopmq.errors import UsageError
from hopmq.resilience.backoff import Backoff, Constant, Exponential as JitteredExponential
from hopmq.values import Value

__all__ = ["Constant", "Exponential", "Linear", "is_exact"]


class Exponential(JitteredExponential):
    """Waits that double from failure to failure, and are exactly that long.

    `Exponential(1, 60)` waits 1, 2, 4 and so on up to 60 seconds. That of `hopmq.resilience` draws
    its waits by chance, which spreads clients that come back all at once; it may be used, too.
    """

    __slots__ = ()

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        """Return the seconds to wait."""
        return self._bound(attempt)


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Linear(Value):
    """Waits that grow by the same step from failure to failure.

    Attributes:
        step: The first wait, in seconds, and by how much each is longer than the one before.
        cap: What no wait exceeds, in seconds.

    Raises:
        UsageError: `step` is not above 0, or `cap` below `step` or endless.
    """

    step: float
    cap: float

    def __post_init__(self) -> None:
        """Refuse what would not wait."""
        if not 0 < self.step <= self.cap < inf:
            raise UsageError(f"0 < step <= cap is due, not {self!r}")

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        """Return the seconds to wait."""
        return min(self.cap, self.step * (attempt + 1))


_EXACT: Final = (Constant, Exponential, Linear)


def is_exact(backoff: Backoff) -> bool:
    """Return whether waits depend on the number of failures alone: they are known beforehand."""
    return type(backoff) in _EXACT
