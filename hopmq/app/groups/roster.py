"""Who is in a group, as far as one member has heard, and what follows for it. No clock, no wire."""

from collections.abc import Sequence
from typing import Final

from hopmq.app.groups.assignment import assign

_MISSED: Final = 3.5
"""Heartbeats after which a member that was not heard of is gone."""
_LATELY: Final = 1.5
"""Heartbeats within which one that was heard of is there for certain."""


class Roster:
    """The members of a group, with oneself, and when each was heard of last.

    Attributes:
        owners: Who is to have each partition.
    """

    def __init__(self, me: str, partitions: int, heartbeat: float) -> None:
        """Know of oneself alone."""
        self._me = me
        self._partitions = partitions
        self._heartbeat = heartbeat
        self._heard: dict[str, float] = {}
        self.owners: Sequence[str] = assign([me], partitions)

    @property
    def members(self) -> frozenset[str]:
        """Everybody, oneself included."""
        return frozenset((self._me, *self._heard))

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions that oneself is to have."""
        return frozenset(n for n, owner in enumerate(self.owners) if owner == self._me)

    def heard(self, member: str, now: float) -> bool:
        """Take note that a member is there; return whether that is news."""
        if member == self._me:
            return False
        is_new = member not in self._heard
        self._heard[member] = now
        return is_new and self._assign()

    def left(self, member: str) -> bool:
        """Take note that a member has gone; return whether that is news."""
        return self._heard.pop(member, None) is not None and self._assign()

    def expire(self, now: float) -> bool:
        """Strike out whoever was silent for too long; return whether there was anybody."""
        latest = now - _MISSED * self._heartbeat
        silent = [member for member, heard in self._heard.items() if heard < latest]
        for member in silent:
            del self._heard[member]
        return bool(silent) and self._assign()

    def is_there(self, member: str, now: float) -> bool:
        """Return whether a member, another one, was heard of lately."""
        heard = self._heard.get(member)
        return heard is not None and heard >= now - _LATELY * self._heartbeat

    def _assign(self) -> bool:
        self.owners = assign(self.members, self._partitions)
        return True
