"""What goes wrong when in a chaos run: all that a seed decides."""

import random
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import chaos_embedded
import chaos_network
import chaos_nodes
from chaos_scene import Kind, Scene

_TOGETHER: Final = 0.35
"""How often the network misbehaves while something else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that goes wrong, and for how long.

    Attributes:
        kinds: What happens together: names, and what decides the rest of each.
        quiet: Seconds before it.
        lasts: Seconds that it lasts, beyond what it needs.
    """

    kinds: tuple[tuple[str, int], ...]
    quiet: float
    lasts: float

    def __str__(self) -> str:
        """Name what happens."""
        return " + ".join(name for name, _ in self.kinds)


class Plan:
    """Steps without end."""

    def __init__(self, seed: int, *, has_cluster: bool, can_part: bool) -> None:
        """Draw from the faults that there are."""
        self._seed = seed
        self._others = dict(chaos_nodes.KINDS if has_cluster else chaos_embedded.KINDS)
        if not can_part:
            self._others.pop(chaos_nodes.PARTITION, None)
        self._kinds: dict[str, tuple[Kind, int]] = self._others | chaos_network.KINDS

    def __iter__(self) -> Iterator[Step]:
        """Draw one step after the other, the same for the same seed."""
        chance = random.Random(self._seed)
        while True:
            names = [_drawn(self._kinds, chance)]
            if names[0] in self._others and chance.random() < _TOGETHER:
                names.append(_drawn(chaos_network.KINDS, chance))
            yield Step(
                kinds=tuple((name, chance.randrange(1 << 30)) for name in names),
                quiet=chance.uniform(1.0, 4.0),
                lasts=chance.uniform(0.5, 6.0),
            )

    def breaks_nodes(self, step: Step) -> bool:
        """Return whether a step is about more than the network."""
        return any(name in self._others for name, _ in step.kinds)

    def faults(self, step: Step, scene: Scene) -> list[AbstractAsyncContextManager[str]]:
        """Return the faults of a step, each to be entered."""
        return [self._kinds[name][0](scene, random.Random(seed)) for name, seed in step.kinds]


def _drawn(kinds: dict[str, tuple[Kind, int]], chance: random.Random) -> str:
    return chance.choices(list(kinds), [weight for _, weight in kinds.values()])[0]
