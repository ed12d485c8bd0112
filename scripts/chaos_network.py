"""Faults of the network in a chaos run, by the proxies before the nodes."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Final

from chaos_scene import SILENCE, Kind, Scene

from hopmq.testing import Fault, FaultProxy
from hopmq.testing.faults import Direction

_DIRECTIONS: Final[tuple[Direction | None, ...]] = (None, "to_broker", "to_client")
_FRAMES: Final[tuple[tuple[str, Direction], ...]] = (
    ("Basic.Publish", "to_broker"),
    ("body", "to_broker"),
    ("Basic.Ack", "to_broker"),
    ("Basic.Ack", "to_client"),
    ("Basic.Deliver", "to_client"),
    ("body", "to_client"),
)
_ANSWERS: Final = ("Channel.OpenOk", "Confirm.SelectOk", "Basic.QosOk", "Basic.ConsumeOk")
_BANDWIDTH: Final = 20_000.0


@asynccontextmanager
async def disconnect(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """End connections without a word, by RST or FIN."""
    reset = chance.random() < 0.5
    proxies = _some(scene.proxies, chance)
    for proxy in proxies:
        proxy.disconnect(reset=reset)
    yield "RST" if reset else "FIN"


@asynccontextmanager
async def black_hole(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Swallow everything in one direction or both, for longer than two heartbeats."""
    direction = chance.choice(_DIRECTIONS)
    proxies = _some(scene.proxies, chance)
    with _all(proxy.black_hole(direction) for proxy in proxies):
        await asyncio.sleep(SILENCE)
        yield str(direction or "both ways")


@asynccontextmanager
async def hold(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Let everything wait, in one direction or both, for a short or a long time."""
    direction = chance.choice(_DIRECTIONS)
    proxies = _some(scene.proxies, chance)
    with _all(proxy.hold(direction) for proxy in proxies):
        await asyncio.sleep(chance.choice([0.5, SILENCE]))
        yield str(direction or "both ways")


@asynccontextmanager
async def refuse(scene: Scene, _chance: random.Random) -> AsyncIterator[str]:
    """Cut connections, and refuse new ones."""
    with _all(proxy.refuse_connections() for proxy in scene.proxies):
        for proxy in scene.proxies:
            proxy.disconnect(reset=True)
        yield "all proxies"


@asynccontextmanager
async def slow(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Let bytes come late, a few at a time, or one by one."""
    kind = chance.choice(["latency", "bandwidth", "single bytes"])
    seconds = chance.uniform(0.05, 0.5)
    with _all(_slowed(proxy, kind, seconds) for proxy in _some(scene.proxies, chance)):
        yield kind


@asynccontextmanager
async def loss(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Lose packets."""
    share = chance.choice([0.05, 0.2])
    seed = chance.randrange(1 << 30)
    with _all(proxy.lose(share, seed=seed) for proxy in scene.proxies):
        yield f"{share:.0%}"


@asynccontextmanager
async def cut_at_frame(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """End connections within a frame of some kind."""
    at, direction = chance.choice(_FRAMES)
    let_through = chance.choice([0, 1, 7, 8, 20, None])
    reset = chance.random() < 0.5
    cuts = (
        proxy.cut(
            at,
            direction=direction,
            nth=chance.randint(1, 30),
            times=3,
            reset=reset,
            let_through=let_through,
        )
        for proxy in scene.proxies
    )
    with _all(cuts):
        yield f"{at} {direction}"


@asynccontextmanager
async def cut_after(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """End connections after some bytes, those of the next handshakes too."""
    size = chance.choice([1, 8, 100, 600, 1000, 5000, 100_000])
    direction = chance.choice(_DIRECTIONS) or "to_broker"
    with _all(
        proxy.cut_after(size, direction=direction, times=4, reset=chance.random() < 0.5)
        for proxy in scene.proxies
    ):
        yield f"{size} bytes {direction}"


@asynccontextmanager
async def stalled_recovery(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Cut connections, and stall an answer of their recovery."""
    answer = chance.choice(_ANSWERS)
    seconds = chance.choice([1.0, 4.0])
    with _all(proxy.stall(answer, seconds=seconds) for proxy in scene.proxies):
        for proxy in scene.proxies:
            proxy.disconnect(reset=True)
        yield f"{answer} for {seconds:g} s"


KINDS: Final[dict[str, tuple[Kind, int]]] = {
    "disconnect": (disconnect, 3),
    "black hole": (black_hole, 2),
    "hold": (hold, 2),
    "refuse": (refuse, 1),
    "slow": (slow, 2),
    "loss": (loss, 2),
    "cut at a frame": (cut_at_frame, 3),
    "cut after bytes": (cut_after, 2),
    "stalled recovery": (stalled_recovery, 2),
}
"""Faults of the network, and how often each is drawn."""


def _some(proxies: Sequence[FaultProxy], chance: random.Random) -> list[FaultProxy]:
    return chance.sample(list(proxies), chance.randint(1, len(proxies)))


@contextmanager
def _all(faults: Iterable[Fault]) -> Iterator[None]:
    with ExitStack() as stack:
        for fault in faults:
            stack.enter_context(fault)
        yield


def _slowed(proxy: FaultProxy, kind: str, seconds: float) -> Fault:
    if kind == "latency":
        return proxy.delay(seconds)
    if kind == "bandwidth":
        return proxy.throttle(_BANDWIDTH)
    return proxy.split(1)
