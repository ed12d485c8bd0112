"""Credentials that expire: asked for at each connect, and renewed on the open connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Final, Protocol

from hopmq.core import sasl
from hopmq.errors import ClosedError, CredentialsError, UsageError
from hopmq.resilience.backoff import SYSTEM_CHANCE, Backoff, Exponential
from hopmq.values import Value

logger: logging.Logger = logging.getLogger("hopmq.credentials")

_SHARE_OF_LIFE: Final = 2 / 3
"""When new credentials are asked for; the last third is for attempts that fail."""
_JITTER: Final = 0.1
"""By how much of that earlier, at most: clients that began together shall not ask together."""
_LEAST_ATTEMPTS: Final = 10
"""Attempts for which the last third shall suffice, however long the back-off would wait."""
_STOP_WITHIN: Final = 5.0
"""Seconds that a provider may resist being cancelled."""


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Credentials(Value):
    """Who connects, as a provider says it; the password never shows in a repr.

    Attributes:
        username: The user. Brokers that take a token read the user from it and ignore this one.
        password: The password or token.
        expires_in: Seconds from now for which they are good; None for ever.
    """

    username: str = ""
    password: str = field(repr=False)
    expires_in: float | None = None


class CredentialsProvider(Protocol):
    """An async function that returns good credentials, new ones if need be."""

    async def __call__(self) -> Credentials:
        """Return credentials to use from now on; whatever it raises is reported and retried."""
        ...


def check_provider(provider: object, username: str | None, password: str | None) -> None:
    """Refuse what cannot be asked, and credentials from two sides."""
    if not callable(provider):
        raise UsageError("credentials is an async function that returns Credentials")
    if username is not None or password is not None:
        raise UsageError("give either credentials, or username and password")


class Renewal:
    """Asks a provider on behalf of one connection, and keeps the broker's copy fresh."""

    def __init__(
        self,
        provider: CredentialsProvider,
        label: str,
        *,
        backoff: Backoff | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Random = SYSTEM_CHANCE,
    ) -> None:
        """Ask nothing yet.

        Args:
            provider: What to ask.
            label: The connection's name, for logs.
            backoff: How long to wait after a failure; 1 second at first, 60 at most by default.
            timeout: Seconds that the provider may take.
            sleep: What waits; for tests.
            chance: What spreads the moments of renewal.
        """
        self._provider = provider
        self._label = label
        self._backoff: Backoff = backoff or Exponential(1.0, 60.0)
        self._timeout = timeout
        self._sleep = sleep
        self._chance = chance
        self._expires_in: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason = ""

    async def credentials(self) -> sasl.Credentials:
        """Ask for the credentials of the next connect.

        Raises:
            CredentialsError: The provider failed, or took longer than its time.
        """
        given = await self._ask()
        self._expires_in = given.expires_in
        return sasl.Credentials(given.username, given.password)

    def begin(self, update: Callable[[str], Awaitable[None]]) -> None:
        """Renew from now on, counted from the last `credentials`: the connection is open.

        Args:
            update: Gives the broker a fresh password.
        """
        self.pause()
        if self._expires_in is not None:
            self._task = asyncio.get_running_loop().create_task(
                self._renew(self._expires_in, update), name=f"hopmq renewal, {self._label}"
            )

    def pause(self) -> None:
        """Stop until the next `begin`: the connection has ended, or is about to."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Stop for good, and leave no task behind. Idempotent."""
        self.pause()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_WITHIN)

    # --- inside --------------------------------------------------------------------------------

    async def _renew(self, expires_in: float, update: Callable[[str], Awaitable[None]]) -> None:
        with suppress(ClosedError):  # the next connect asks anew
            life: float | None = expires_in
            while life is not None:
                early = self._chance.uniform(0.0, _JITTER)
                await self._sleep(life * _SHARE_OF_LIFE * (1 - early))
                life = await self._renew_once(life, update)

    async def _renew_once(
        self, life: float, update: Callable[[str], Awaitable[None]]
    ) -> float | None:
        """Try until the broker has fresh credentials; return their life."""
        longest = life * (1 - _SHARE_OF_LIFE) / _LEAST_ATTEMPTS
        attempt = 0
        while True:
            try:
                given = await self._ask()
                await update(given.password)
            except ClosedError:
                raise
            except Exception as error:
                self._tell(error)
                delay = self._backoff.delay(attempt)
                if delay is None:
                    logger.warning("%s: gave up renewing credentials", self._label)
                    return None
                await self._sleep(min(delay, longest))
                attempt += 1
            else:
                self._reason = ""
                logger.info("%s: credentials renewed", self._label)
                return given.expires_in

    async def _ask(self) -> Credentials:
        try:
            async with asyncio.timeout(self._timeout):
                given = await self._provider()
            return _checked(given)
        except TimeoutError as error:
            raise CredentialsError(
                f"the credentials provider did not answer within {self._timeout:g} seconds"
            ) from error
        except Exception as error:
            raise CredentialsError(f"the credentials provider failed: {_said(error)}") from error

    def _tell(self, error: Exception) -> None:
        """Log a reason once, not once per attempt."""
        reason = _said(error)
        if reason != self._reason:
            self._reason = reason
            logger.warning("%s: cannot renew credentials: %s", self._label, reason)


def _said(error: Exception) -> str:
    text = str(error)
    if isinstance(error, CredentialsError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _checked(given: Credentials) -> Credentials:
    """Return what a provider gave, if it can be used; it is not quoted where it cannot."""
    for text in ("username", "password"):
        if not isinstance(getattr(given, text, None), str):
            raise UsageError(f"a provider returns Credentials, and their {text} is a str")
    _check_life(given.expires_in)
    return given


def _check_life(seconds: object) -> None:
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < inf):
        raise UsageError(f"expires_in is a positive number of seconds or None, not {seconds!r}")
