"""Whether an application does its work, for probes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from hopmq.client.health import Health
from hopmq.values import Value


class ConsumerState(Protocol):
    """A consumer, as its health is judged."""

    @property
    def name(self) -> str:
        """What the application calls it."""

    @property
    def state(self) -> str:
        """Such as `running` or `paused`."""


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class AppHealth(Value):
    """What an application was like when it was asked.

    Attributes:
        state: The application's state.
        connections: How its connections are doing; None while it has none.
        missing: Consumers that have ended and are not back yet.
        paused: Consumers that were paused; no reason not to be ready.
    """

    state: str
    connections: Health | None = None
    missing: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether work can be given to it, since there is no reason why not."""
        return not self.reasons

    @property
    def live(self) -> bool:
        """Whether there is no use in starting the program anew."""
        return self.connections is None or self.connections.live

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ready, one sentence each."""
        found = [] if self.state == "running" else [f"the application is {self.state}"]
        found += [f"consumer {name!r} is not back yet" for name in self.missing]
        if self.connections is not None:
            found += self.connections.reasons
        return tuple(found)


def health_of(
    state: str, connections: Health | None, consumers: Iterable[ConsumerState]
) -> AppHealth:
    """Return the health of an application in `state`."""
    states = [(each.name, each.state) for each in consumers]
    return AppHealth(
        state=state,
        connections=connections,
        missing=tuple(name for name, what in states if what == "restarting"),
        paused=tuple(name for name, what in states if what == "paused"),
    )
