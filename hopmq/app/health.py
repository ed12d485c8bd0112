"""Whether an application does its work, for probes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
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

    @property
    def absence(self) -> str | None:
        """Why it gets no messages although it should, as a sentence."""


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class AppHealth(Value):
    """What an application was like when it was asked.

    Attributes:
        state: The application's state.
        connections: How its connections are doing; None while it has none.
        missing: Consumers that get no messages: they are being restored, or have ended and are not
            back yet.
        absences: Of each of these, a sentence that says why.
        paused: Consumers that were paused; no reason not to be ready.
    """

    state: str
    connections: Health | None = None
    missing: tuple[str, ...] = ()
    absences: tuple[str, ...] = ()
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
        if self.connections is not None:
            found += _reasons(self.connections, are_named=bool(self.absences))
        return (*found, *self.absences)


def health_of(
    state: str, connections: Health | None, consumers: Iterable[ConsumerState]
) -> AppHealth:
    """Return the health of an application in `state`."""
    all_of_them = tuple(consumers)
    absences = {each.name: each.absence for each in all_of_them}
    return AppHealth(
        state=state,
        connections=connections,
        missing=tuple(name for name, absence in absences.items() if absence is not None),
        absences=tuple(absence for absence in absences.values() if absence is not None),
        paused=tuple(each.name for each in all_of_them if each.state == "paused"),
    )


def _reasons(connections: Health, *, are_named: bool) -> tuple[str, ...]:
    """Return what connections say, but for how many consumers are missing where these are named."""
    said = connections
    if are_named:
        said = replace(said, wanted_consumers=said.live_consumers)
    if connections.connected:
        return said.reasons
    return (_absence(connections), *replace(said, connected=True).reasons)


def _absence(connections: Health) -> str:
    if connections.state != "recovering":
        return f"the connection to the broker is {connections.state}"
    lost_for = connections.disconnected_for
    since = f" {lost_for:.1f} seconds ago" if lost_for else ""
    return f"the connection to the broker was lost{since} and is not back yet"
