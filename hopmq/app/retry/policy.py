"""Which failures are worth another attempt, how many there are, and when."""

import asyncio
import logging
from dataclasses import dataclass, field
from math import inf
from typing import Final

from hopmq.app.error_text import text_of
from hopmq.app.errors import DeliveryLimitError, PayloadError
from hopmq.app.retry.backoff import Exponential
from hopmq.app.retry.verdicts import Drop, Park, Postpone, RetryAfter
from hopmq.errors import UsageError
from hopmq.resilience.backoff import Backoff
from hopmq.values import Value

logger: logging.Logger = logging.getLogger("hopmq.app")

_BY_DEFAULT: Final = Exponential(1, 60)

_NEVER: Final = (PayloadError, DeliveryLimitError, Park, Postpone, Drop)

Errors = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Retry(Value):
    """What is done when a handler fails: so many attempts, with waits between them, then parked.

    Attributes:
        attempts: How many there are in all, with the first one.
        backoff: How long to wait; it is asked with the number of waits there have been. One that
            returns None ends the attempts.
        on: Error, or errors, that are worth another attempt. Others park the message at once.
        give_up_on: Error, or errors, that park it all the same.
        at_once: How many further attempts are made at once, in memory, before waiting begins.

    Raises:
        UsageError: `attempts` is below 1, `at_once` below 0 or not below `attempts`, `backoff` is
            none, or errors are no exceptions.
    """

    attempts: int = 5
    backoff: Backoff = _BY_DEFAULT
    on: Errors = (Exception,)
    give_up_on: Errors = field(default=())
    at_once: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no attempt."""
        attempts: object = self.attempts
        if not isinstance(attempts, int) or attempts < 1:
            raise UsageError(f"attempts is 1 or more, not {attempts!r}")
        if not 0 <= self.at_once < self.attempts:
            raise UsageError(f"at_once is 0 or more and below attempts, not {self.at_once!r}")
        if isinstance(self.backoff, type) or not callable(getattr(self.backoff, "delay", None)):
            raise UsageError(
                "backoff is Constant(seconds), Exponential(first, longest) or another object with "
                f"a method delay, not {self.backoff!r}"
            )
        for errors in (self.on, self.give_up_on):
            _check_errors(errors)

    def should_retry(self, error: BaseException, attempt: int) -> bool:
        """Return whether attempt `attempt`, counted from 1, that failed of `error` has a next."""
        if attempt >= self.attempts or isinstance(error, _NEVER):
            return False
        if isinstance(error, RetryAfter):
            return True
        if isinstance(error, self.give_up_on):
            return False
        # What the handler waited for was cancelled, and not the handler: a failure like others.
        return isinstance(error, (self.on, asyncio.CancelledError))

    def delay_before(self, attempt: int, elapsed: float = 0.0) -> float | None:
        """Return the seconds between attempt `attempt` and the one before; None for no more.

        Args:
            attempt: The attempt to come, from 2.
            elapsed: Seconds since the first failure.
        """
        waits = attempt - 2 - self.at_once
        return 0.0 if waits < 0 else self._wait(waits, elapsed)

    def _wait(self, waits: int, elapsed: float) -> float | None:
        try:
            seconds = self.backoff.delay(waits, elapsed)
            if seconds is None or 0.0 <= seconds < inf:
                return seconds
            fault = f"{seconds!r} seconds are no wait"
        except Exception as error:  # the user's class: whatever it fails of, the message is to wait
            fault = f"{type(error).__name__}: {text_of(error)}"
        logger.error("%r cannot be used (%s): %r serves instead", self.backoff, fault, _BY_DEFAULT)
        return _BY_DEFAULT.delay(waits, elapsed)


def _check_errors(errors: object) -> None:
    """Refuse what is neither an exception nor a tuple of them: at a failure it would be too late."""
    for each in errors if isinstance(errors, tuple) else (errors,):
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise UsageError(f"an exception or a tuple of them is due, not {errors!r}")
