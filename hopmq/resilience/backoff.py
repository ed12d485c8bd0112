"""How long to wait before the next attempt, and when to stop trying."""

from dataclasses import dataclass, field
from math import inf
from random import Random, SystemRandom
from typing import Final, Protocol

from hopmq.errors import UsageError
from hopmq.values import Value

# The system's, since processes forked from one that imported this would share the state of
# another generator: they would all come back at the same moments.
SYSTEM_CHANCE: Final[Random] = SystemRandom()
"""Where chance comes from unless a caller says otherwise."""


class Backoff(Protocol):
    """Says how long to wait after a failure. It has no memory: what it is told decides."""

    def delay(self, attempt: int, elapsed: float = 0.0) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up.

        Args:
            attempt: How many attempts have failed before, from 0.
            elapsed: Seconds since the first of these failures.
        """


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Exponential(Value):
    """Waits that grow from failure to failure, with full jitter.

    A wait is drawn evenly between 0 and a bound, so that the clients of a broker that comes
    back do not come all at once.

    Attributes:
        first: The first bound, in seconds.
        cap: What no bound exceeds, in seconds.
        factor: What a bound is multiplied by for the next.
        chance: What draws.

    Raises:
        UsageError: `first` is not above 0, `cap` below `first` or endless, or `factor` below 1.
    """

    first: float = 0.25
    cap: float = 15.0
    factor: float = 2.0
    chance: Random = field(default=SYSTEM_CHANCE, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what would not wait, or not grow."""
        if not (0 < self.first <= self.cap < inf and 1 <= self.factor < inf):
            raise UsageError(f"0 < first <= cap and factor >= 1 are due, not {self!r}")

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        """Return the seconds to wait."""
        return self.chance.uniform(0.0, self._bound(attempt))

    def _bound(self, attempt: int) -> float:
        try:
            return min(self.cap, self.first * float(self.factor) ** attempt)
        except OverflowError:
            return self.cap


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Constant(Value):
    """Waits that are all alike.

    Attributes:
        seconds: Their length.

    Raises:
        UsageError: `seconds` is below 0 or endless.
    """

    seconds: float

    def __post_init__(self) -> None:
        """Refuse what is no time to wait."""
        if not 0 <= self.seconds < inf:
            raise UsageError(f"seconds is 0 or more, not {self.seconds!r}")

    def delay(self, attempt: int, elapsed: float = 0.0) -> float:
        """Return the seconds to wait."""
        return self.seconds


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class GiveUpAfter(Value):
    """Another back-off, until so many attempts have failed or so much time has gone by.

    Attributes:
        backoff: What says how long to wait until then.
        attempts: How many attempts are made; None for no bound.
        seconds: How long to go on, counted from the first failure; None for no bound. The last
            attempt is made at the very end of this time, however long `backoff` would wait.

    Raises:
        UsageError: Neither bound is given, or one is below 0.
    """

    backoff: Backoff
    attempts: int | None = field(default=None, kw_only=True)
    seconds: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what would never give up."""
        bounds = [bound for bound in (self.attempts, self.seconds) if bound is not None]
        if not bounds or not all(bound >= 0 for bound in bounds):
            raise UsageError("attempts or seconds is due, 0 or more")

    def delay(self, attempt: int, elapsed: float = 0.0) -> float | None:
        """Return the seconds to wait; None when it is time to give up."""
        if self.attempts is not None and attempt >= self.attempts:
            return None
        left = inf if self.seconds is None else self.seconds - elapsed
        if left <= 0:
            return None
        wait = self.backoff.delay(attempt, elapsed)
        return None if wait is None else min(wait, left)
