"""What the harness knows of one client."""

from dataclasses import dataclass, field
from pathlib import Path

ADAPTERS = Path(__file__).parent / "adapters"
BOTH_LOOPS = ("asyncio", "uvloop")


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """One client, and the adapter that drives it.

    Attributes:
        name: Its name in tables.
        command: The adapter, without the scenario and options.
        loops: The event loops it can run on; one empty name where there is none to choose.
        variants: Further ways of a scenario, beside its usual one.
        environment: What the adapter's environment has beside ours.
        missing: Why it cannot be measured here; None if it can.
        pythons: Whether it may run on other interpreters than ours.
    """

    name: str
    command: tuple[str, ...]
    loops: tuple[str, ...] = ("",)
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    missing: str | None = None
    pythons: bool = False
