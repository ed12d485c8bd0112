"""Whether a connection does its work, for probes: numbers, and what they are judged to mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from hopmq.errors import UsageError
from hopmq.values import Value


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class HealthLimits(Value):
    """From when on something is a reason not to be ready, or not to be live.

    Attributes:
        unconfirmed: Seconds that the oldest publish may wait for its confirm.
        lag: Seconds by which the event loop may be late.
        blocked: Whether a broker that takes no publishes is a reason not to be ready. A program
            that consumes alone is not held up by it.
        recovering: Seconds without a connection after which the program is not live any more;
            endless by default, since a restart of the program mends no broker.

    Raises:
        UsageError: A limit is below 0, or no number.
    """

    unconfirmed: float = 30.0
    lag: float = 1.0
    blocked: bool = True
    recovering: float = inf

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant."""
        for name in ("unconfirmed", "lag", "recovering"):
            seconds = getattr(self, name)
            if not isinstance(seconds, int | float) or not seconds >= 0:
                raise UsageError(f"{name} is a number of seconds, not {seconds!r}")


DEFAULT_LIMITS: Final = HealthLimits()


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Health(Value):
    """What a connection was like when it was asked.

    Attributes:
        state: The connection's state, such as `open` or `recovering`.
        connected: Whether it can be used; also while it is blocked.
        blocked: Why the broker takes no publishes; None when it does.
        wanted_consumers: How many consumers the program has asked for.
        live_consumers: How many of them the broker has.
        oldest_unconfirmed: Seconds for which the oldest publish has had no outcome; 0 without one.
        loop_lag: Seconds by which the event loop is late; 0 when it is not watched.
        disconnected_for: Seconds since the connection was lost; 0 when there is one.
        limits: What it is judged by.
    """

    state: str
    connected: bool
    blocked: str | None = None
    wanted_consumers: int = 0
    live_consumers: int = 0
    oldest_unconfirmed: float = 0.0
    loop_lag: float = 0.0
    disconnected_for: float = 0.0
    limits: HealthLimits = field(default=DEFAULT_LIMITS, repr=False)

    @property
    def ready(self) -> bool:
        """Whether work can be given to this program, since there is no reason why not."""
        return not self.reasons

    @property
    def live(self) -> bool:
        """Whether there is no use in starting the program anew."""
        return self.state != "closed" and self.disconnected_for <= self.limits.recovering

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ready, one sentence each."""
        return tuple(reason for reason in self._judgements() if reason is not None)

    def _judgements(self) -> tuple[str | None, ...]:
        limits = self.limits
        missing = self.wanted_consumers - self.live_consumers
        return (
            None if self.connected else f"the connection is {self.state}",
            f"the broker takes no publishes: {self.blocked}"
            if self.blocked is not None and limits.blocked
            else None,
            f"{missing} of {self.wanted_consumers} consumers are missing" if missing > 0 else None,
            f"the oldest publish has waited for its confirm for {self.oldest_unconfirmed:.1f} "
            f"seconds, more than {limits.unconfirmed:g}"
            if self.oldest_unconfirmed > limits.unconfirmed
            else None,
            f"the event loop is {self.loop_lag:.1f} seconds late, more than {limits.lag:g}"
            if self.loop_lag > limits.lag
            else None,
        )


def together(state: str, connected: bool, parts: Sequence[Health], limits: HealthLimits) -> Health:
    """Return the health of something that has several connections: of each number, the worst."""
    return Health(
        state=state,
        connected=connected and all(part.connected for part in parts),
        blocked=next((part.blocked for part in parts if part.blocked is not None), None),
        wanted_consumers=sum(part.wanted_consumers for part in parts),
        live_consumers=sum(part.live_consumers for part in parts),
        oldest_unconfirmed=max((part.oldest_unconfirmed for part in parts), default=0.0),
        loop_lag=max((part.loop_lag for part in parts), default=0.0),
        disconnected_for=max((part.disconnected_for for part in parts), default=0.0),
        limits=limits,
    )
