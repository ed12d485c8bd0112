"""Open links: the first, and each that follows, by whichever host answers."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from hopmq.client.dialing import Plan, open_link
from hopmq.client.new_link import NewLink
from hopmq.errors import ConnectError
from hopmq.resilience.backoff import SYSTEM_CHANCE, Constant
from hopmq.resilience.credentials import Renewal
from hopmq.resilience.hosts import Hosts
from hopmq.resilience.policy import Recovery, is_refusal

logger: logging.Logger = logging.getLogger("hopmq.connection")

OnFailed = Callable[[str, ConnectError, bool], None]
"""Told an address, why it failed, and whether that was a refusal."""


class Reconnector:
    """The hosts of one connection, and what became of the attempts to reach them.

    Attributes:
        attempts: How many were made since the last link ended.
        last_error: Why the last one failed, if it did.
    """

    __slots__ = (
        "_failures",
        "_host",
        "_hosts",
        "_plans",
        "_recovery",
        "_renewal",
        "attempts",
        "last_error",
    )

    def __init__(
        self, plans: Sequence[Plan], recovery: Recovery | None, renewal: Renewal | None = None
    ) -> None:
        """Know the hosts, and who has their credentials; nothing is connected yet."""
        self._plans = plans
        self._renewal = renewal
        self._recovery = recovery or Recovery(backoff=Constant(0.0), shuffle=False)
        self._hosts = Hosts(
            range(len(plans)),
            self._recovery.backoff,
            stable_after=self._recovery.stable_after,
            shuffle=self._recovery.shuffle,
        )
        self._host: int | None = None
        self._failures: dict[int, tuple[int, str]] = {}
        self.attempts: int = 0
        self.last_error: ConnectError | None = None

    async def first(self) -> NewLink:
        """Try every host once.

        Raises:
            ConnectError: None could be reached; of the last one's class, naming all.
        """
        order = list(range(len(self._plans)))
        if self._recovery.shuffle:
            SYSTEM_CHANCE.shuffle(order)
        failures: list[tuple[str, ConnectError]] = []
        for host in order:
            address = self._plans[host].address
            try:
                return await self._open(host)
            except ConnectError as error:
                logger.info("%s: cannot connect: %s", address, error)
                failures.append((address, error))
        last = failures[-1][1]
        if len(failures) == 1:
            raise last
        tried = "; ".join(f"{address}: {error}" for address, error in failures)
        raise type(last)(f"none of {len(failures)} brokers could be reached: {tried}") from last

    def lost(self) -> None:
        """Take note that the link of the moment has ended."""
        if self._host is not None:
            self._hosts.failed(self._host, _now())
        self._host = None
        self._failures.clear()
        self.attempts = 0
        self.last_error = None

    async def again(self, on_failed: OnFailed) -> NewLink | None:
        """Try hosts, with back-off, until one answers; return None to give up."""
        while True:
            chosen = self._hosts.choose(_now())
            if chosen is None or self._is_refused_for_good():
                return None
            host, delay = chosen
            await asyncio.sleep(delay)
            self.attempts += 1
            try:
                return await self._open(host)
            except ConnectError as error:
                self._failed(host, error, on_failed)

    async def _open(self, host: int) -> NewLink:
        attempt = self._plans[host]
        if self._renewal is not None:
            credentials = await self._renewal.credentials()
            settings = replace(attempt.settings, credentials=credentials)
            attempt = replace(attempt, settings=settings)
        new_link = await open_link(attempt)
        self._hosts.connected(host, _now())
        self._host = host
        return new_link

    def _failed(self, host: int, error: ConnectError, on_failed: OnFailed) -> None:
        refused = is_refusal(error)
        self._hosts.failed(host, _now(), pause=self._recovery.refusal_delay if refused else 0.0)
        self.last_error = error
        address, reason = self._plans[host].address, str(error)
        refusals, reason_before = self._failures.get(host, (0, ""))
        self._failures[host] = refusals + 1 if refused else 0, reason
        if reason_before != reason:
            level = logging.ERROR if refused else logging.INFO
            logger.log(level, "%s: cannot connect again, still trying: %s", address, reason)
        on_failed(address, error, refused)

    def _is_refused_for_good(self) -> bool:
        bound = self._recovery.max_refusals
        if bound is None:
            return False
        # A host that is out of reach may take us yet.
        hosts = range(len(self._plans))
        return all(self._failures.get(host, (0, ""))[0] >= bound for host in hosts)


def _now() -> float:
    return asyncio.get_running_loop().time()
