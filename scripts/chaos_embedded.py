"""Faults of an embedded broker in a chaos run."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chaos_scene import Kind, Scene


@asynccontextmanager
async def restart(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Stop the broker, in good order or not, and start it again."""
    assert scene.broker is not None
    abrupt = chance.random() < 0.5
    await scene.broker.stop(keep=True, abrupt=abrupt)
    yield "a crash" if abrupt else "in good order"
    await scene.broker.start()


@asynccontextmanager
async def block(scene: Scene, _chance: random.Random) -> AsyncIterator[str]:
    """Block connections."""
    with scene.faults.block():
        yield "all connections"


@asynccontextmanager
async def confirms(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Refuse some publishes, confirm others late, twice, or in another order."""
    with scene.faults as faults:
        kind = chance.choice(["nack", "late", "twice", "reordered"])
        if kind == "nack":
            faults.nack(times=20)
        elif kind == "late":
            faults.withhold_confirms(seconds=chance.uniform(0.5, 5.0))
        elif kind == "twice":
            faults.duplicate_confirms(times=50)
        else:
            faults.reorder_confirms(4)
        yield kind


@asynccontextmanager
async def close_connections(scene: Scene, _chance: random.Random) -> AsyncIterator[str]:
    """Close all connections in good order."""
    scene.faults.close_connection(320)
    yield "320"


@asynccontextmanager
async def cancel_consumers(scene: Scene, _chance: random.Random) -> AsyncIterator[str]:
    """Cancel all consumers."""
    scene.faults.cancel_consumers()
    yield "all consumers"


KINDS: Final[dict[str, tuple[Kind, int]]] = {
    "restart": (restart, 4),
    "block": (block, 2),
    "confirms": (confirms, 3),
    "close connections": (close_connections, 2),
    "cancel consumers": (cancel_consumers, 2),
}
"""Faults of the broker, and how often each is drawn."""
