"""What `hopmq broker` was asked to run."""

from dataclasses import dataclass
from pathlib import Path

from hopmq.broker import Broker
from hopmq.testing.faults import ChaosRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A broker, and what is special about it.

    Attributes:
        broker: The broker; it need not run yet.
        trusted: The authority that its clients have to name for TLS, where it was made for it.
        has_management: Whether it has the management API.
        faults: What is to happen to its clients.
        frames: Whether every frame is logged.
    """

    broker: Broker
    trusted: Path | None = None
    has_management: bool = False
    faults: tuple[ChaosRule, ...] = ()
    frames: bool = False

    @property
    def addresses(self) -> list[str]:
        """The URLs by which the broker is reached, complete with the authority to trust."""
        return [
            f"{url}?cacertfile={self.trusted}" if self.trusted and _is_secure(url) else url
            for url in self.broker.urls
        ]


def _is_secure(url: str) -> bool:
    return url.startswith("amqps:")
