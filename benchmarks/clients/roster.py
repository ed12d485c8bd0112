"""The clients that can be measured: how each adapter is called, and what it lacks here."""

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path

ADAPTERS = Path(__file__).parent / "adapters"

SCENARIOS = (
    "publish",
    "confirm-each",
    "confirm-window",
    "consume",
    "consume-ack",
    "rpc-each",
    "rpc-many",
)


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


BOTH_LOOPS = ("asyncio", "uvloop")

HOPMQ_VARIANTS = {
    "publish": ("many",),
    "confirm-window": ("handles", "many"),
    "consume": ("callback", "iterate"),
    "consume-ack": ("callback", "iterate"),
}


def in_python(name: str, module: str, loops: tuple[str, ...] = ("",), **settings: object) -> Client:
    """Describe a client that is imported from `module` by an adapter in Python."""
    adapter = ADAPTERS / f"{name.removesuffix('-pure').replace('-', '_')}_client.py"
    missing = None if importlib.util.find_spec(module) else f"pip install {name}"
    if not adapter.exists():
        missing = f"{adapter.name} is not there"
    return Client(
        name,
        (sys.executable, str(adapter)),
        loops,
        missing=missing,
        **settings,  # type: ignore[arg-type]  # of several options
    )


def roster() -> list[Client]:
    """List all clients, present or not."""
    return [
        in_python(
            "hopmq",
            "hopmq",
            BOTH_LOOPS,
            variants=HOPMQ_VARIANTS,
            environment={"HOPMQ_REQUIRE_EXTENSIONS": "1"},
            pythons=True,
        ),
        in_python(
            "hopmq-pure",
            "hopmq",
            BOTH_LOOPS,
            variants=HOPMQ_VARIANTS,
            environment={"HOPMQ_NO_EXTENSIONS": "1"},
            pythons=True,
        ),
        in_python("aio-pika", "aio_pika", BOTH_LOOPS),
        in_python("aiormq", "aiormq", BOTH_LOOPS),
        in_python("pika", "pika", BOTH_LOOPS),
        in_python("py-amqp", "amqp"),
        in_python("faststream", "faststream", BOTH_LOOPS),
    ]
