"""Which of several hosts to try next, and when."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Final, Generic, TypeVar

from hopmq.errors import UsageError
from hopmq.resilience.backoff import SYSTEM_CHANCE, Backoff

H = TypeVar("H", bound=Hashable)


@dataclass(slots=True, eq=False, repr=False)
class _Record:
    """What became of the attempts to reach one host."""

    failures: int = 0
    due: float | None = -inf
    """When to try again; None once it is given up."""


_NEW: Final = _Record()


class Hosts(Generic[H]):
    """The hosts of one connection, each with a back-off of its own.

    A host's failures are counted through connections that do not last: only one that has lived
    for `stable_after` seconds ends an outage. So a broker that accepts and drops connections is
    left alone longer and longer. Times are the caller's, in seconds.
    """

    __slots__ = (
        "_backoff",
        "_chance",
        "_connected_at",
        "_hosts",
        "_outage_began",
        "_records",
        "_shuffle",
        "_stable_after",
    )

    def __init__(
        self,
        hosts: Iterable[H],
        backoff: Backoff,
        *,
        stable_after: float = 10.0,
        shuffle: bool = True,
        chance: Random = SYSTEM_CHANCE,
    ) -> None:
        """Know the hosts, none of them tried yet.

        Args:
            hosts: What to choose from.
            backoff: How long to leave a host alone after a failure, and when to give it up.
            stable_after: Seconds that a connection has to live before it counts as a success.
            shuffle: Whether chance decides among hosts that are equally good; otherwise their
                order does.
            chance: What decides.

        Raises:
            UsageError: There is no host.
        """
        self._hosts: tuple[H, ...] = tuple(dict.fromkeys(hosts))
        self._records: dict[H, _Record] = {}  # of those that have failed
        if not self._hosts:
            raise UsageError("at least one host is due")
        self._backoff = backoff
        self._stable_after = stable_after
        self._shuffle = shuffle
        self._chance = chance
        self._connected_at: float | None = None
        self._outage_began: float | None = None

    def choose(self, now: float) -> tuple[H, float] | None:
        """Return the host to try next and the seconds to wait before; None if all are given up.

        The one due first is tried first; among those due, the one that failed least often.
        """
        candidates = [
            (max(record.due, now), record.failures, self._rank(place), place, host)
            for place, host in enumerate(self._hosts)
            if (record := self._records.get(host, _NEW)).due is not None
        ]
        if not candidates:
            return None
        due, *_, host = min(candidates)
        return host, due - now

    def connected(self, host: H, now: float) -> None:
        """Take note of a connection to `host`; whether it lasts remains to be seen."""
        self._connected_at = now

    def failed(self, host: H, now: float, *, pause: float = 0.0) -> None:
        """Take note that an attempt failed, or that the connection was lost.

        Args:
            host: Where.
            now: When.
            pause: Seconds to leave it alone at least.
        """
        if self._connected_at is not None and now - self._connected_at >= self._stable_after:
            self._end_outage(host, now)
        self._connected_at = None
        if self._outage_began is None:
            self._outage_began = now
        record = self._records.setdefault(host, _Record())
        self._count_failure(record, now, now - self._outage_began, pause)

    def _count_failure(
        self, record: _Record, now: float, elapsed: float, pause: float = 0.0
    ) -> None:
        delay = self._backoff.delay(record.failures, elapsed)
        record.failures += 1
        record.due = None if delay is None else now + max(delay, pause)

    def _end_outage(self, connected_to: H, now: float) -> None:
        """Forget the failures that a lasting connection has put behind us.

        Of hosts that were out of reach meanwhile one failure is kept, or each would be tried
        before the one that worked.
        """
        self._outage_began = None
        for host, record in self._records.items():
            had_failed = host != connected_to and record.failures > 0
            record.failures, record.due = 0, now
            if had_failed:
                self._count_failure(record, now, 0.0)

    def _rank(self, place: int) -> float:
        return self._chance.random() if self._shuffle else place
