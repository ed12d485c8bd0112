"""Between which bounds a pool may grow and shrink."""

from dataclasses import dataclass

from hopmq.client.connect_options import check_timeout
from hopmq.errors import UsageError


@dataclass(slots=True, frozen=True, kw_only=True)
class PoolLimits:
    """Bounds of one side of a pool; each side, publishing and consuming, has its own connections.

    Attributes:
        min_connections: What idling does not go below.
        max_connections: What no load goes above.
        channels_per_connection: Channels of a connection, at most.
        shared_per_connection: Channels of a connection that publishers share, at most.
        max_idle: Seconds after which what nobody uses is closed.

    Raises:
        UsageError: Bounds that cannot be meant.
    """

    min_connections: int = 1
    max_connections: int = 4
    channels_per_connection: int = 100
    shared_per_connection: int = 2
    max_idle: float = 60.0

    def __post_init__(self) -> None:
        """Refuse bounds that nothing could keep."""
        for name in ("max_connections", "channels_per_connection", "shared_per_connection"):
            _check_at_least(1, name, getattr(self, name))
        _check_at_least(0, "min_connections", self.min_connections)
        if self.min_connections > self.max_connections:
            raise UsageError(
                f"min_connections ({self.min_connections}) is above "
                f"max_connections ({self.max_connections})"
            )
        check_timeout("max_idle", self.max_idle)


def _check_at_least(least: int, name: str, value: object) -> None:
    if not isinstance(value, int) or value < least:
        raise UsageError(f"{name} is at least {least}, not {value!r}")
