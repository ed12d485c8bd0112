"""Which messages were handled, as one process remembers it."""

from dataclasses import dataclass

from hopmq.app.middleware.deduplication import Claim
from hopmq.errors import UsageError


@dataclass(slots=True, eq=False)
class _Entry:
    token: str | None
    until: float


class MemoryStore:
    """Remembers in this process alone: a restart forgets, and replicas do not know of each other."""

    def __init__(self, max_entries: int = 100_000) -> None:
        """Remember nothing yet.

        Args:
            max_entries: How many messages are remembered; beyond that, those that were done
                longest ago are forgotten.
        """
        if max_entries < 1:
            raise UsageError("max_entries is at least 1")
        self._max_entries = max_entries
        self._begun: dict[str, _Entry] = {}
        self._done: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many messages are remembered."""
        return len(self._begun) + len(self._done)

    async def begin(self, key: str, token: str, *, now: float, until: float) -> Claim:
        """Claim a message."""
        done_until = self._done.get(key)
        if done_until is not None:
            if done_until > now:
                return Claim("done", done_until)
            del self._done[key]
        entry = self._begun.get(key)
        if entry is not None and entry.until > now:
            return Claim("busy", entry.until)
        self._begun[key] = _Entry(token, until)
        return Claim("begun", until)

    async def extend(self, key: str, token: str, *, until: float) -> None:
        """Keep a claim longer."""
        entry = self._begun.get(key)
        if entry is not None and entry.token == token:
            entry.until = until

    async def release(self, key: str, token: str) -> None:
        """Give a claim up."""
        entry = self._begun.get(key)
        if entry is not None and entry.token == token:
            del self._begun[key]

    async def done(self, key: str, *, now: float, until: float) -> None:
        """Remember that the work is done."""
        self._begun.pop(key, None)
        self._done.pop(key, None)
        self._done[key] = until
        while self._done:
            oldest = next(iter(self._done))
            if len(self._done) <= self._max_entries and self._done[oldest] > now:
                break
            del self._done[oldest]
