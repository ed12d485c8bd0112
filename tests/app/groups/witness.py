"""What handlers of all members note down, and whether each key was dealt with as promised."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Event = Literal["begins", "ends", "dies"]


@dataclass(slots=True)
class Key:
    """What is known of one key.

    Attributes:
        busy: The member at work on it.
        done: The highest number that was finished.
        replays: Numbers that were begun again.
    """

    busy: str | None = None
    done: int = 0
    replays: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Witness:
    """Looks at events in the order in which they happened.

    Attributes:
        keys: What is known of each key.
        deaths: Members that were killed.
    """

    keys: dict[str, Key] = field(default_factory=lambda: defaultdict(Key))
    deaths: set[str] = field(default_factory=set)

    def begins(self, member: str, key: str, number: int) -> None:
        """Take note that a handler begins."""
        known = self.keys[key]
        assert member not in self.deaths, f"{member} is dead"
        assert known.busy is None, f"{key} at {known.busy} and {member} at once"
        assert number <= known.done + 1, f"{key}: {known.done + 1} is skipped, {number} begins"
        if number <= known.done:
            known.replays.append(number)
            known.done = number - 1  # from here on it has to go through all again
        known.busy = member

    def ends(self, member: str, key: str, number: int) -> None:
        """Take note that a handler has ended."""
        known = self.keys[key]
        assert known.busy == member, f"{member} ends {key} {number}, which is at {known.busy}"
        known.done = number
        known.busy = None

    def dies(self, member: str) -> None:
        """Take note that a member was killed: what it had in hand is nobody's."""
        self.deaths.add(member)
        for known in self.keys.values():
            if known.busy == member:
                known.busy = None

    def replays(self) -> dict[str, list[int]]:
        """Return what was begun again, by key."""
        return {name: key.replays for name, key in self.keys.items() if key.replays}

    def has_seen(self, sent: dict[str, int]) -> bool:
        """Return whether everything that was sent is finished."""
        return all(self.keys[key].done == number for key, number in sent.items())

    def read(self, lines: Iterable[str]) -> None:
        """Look at what processes have written down: event, member, key, number."""
        for line in lines:
            event, member, *rest = line.split()
            if event == "dies":
                self.dies(member)
            elif event == "begins":
                self.begins(member, rest[0], int(rest[1]))
            else:
                self.ends(member, rest[0], int(rest[1]))
