"""Faults of a cluster's nodes in a chaos run."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chaos_scene import SILENCE, Kind, Scene

from hopmq.testing import BrokerError, ClusterNode, RabbitMQCluster

PARTITION: Final = "partition"

_LEADER_ATTEMPTS: Final = 10


@asynccontextmanager
async def kill(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Kill a node, and start it again."""
    node = chance.choice(scene.nodes)
    await asyncio.to_thread(node.kill)
    yield node.address
    await asyncio.to_thread(node.start)


@asynccontextmanager
async def kill_leader(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Kill the node that leads a queue, and start it again."""
    assert scene.cluster is not None
    queue = chance.choice(scene.queues)
    node = await asyncio.to_thread(_leader, scene.cluster, queue)
    await asyncio.to_thread(node.kill)
    yield f"{node.address}, leader of {queue}"
    await asyncio.to_thread(node.start)


@asynccontextmanager
async def restart(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Shut a node down in good order, and start it again."""
    node = chance.choice(scene.nodes)
    await asyncio.to_thread(node.shutdown)
    yield node.address
    await asyncio.to_thread(node.start)


@asynccontextmanager
async def rolling_restart(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Shut every node down and start it, one after the other."""
    nodes = list(scene.nodes)
    chance.shuffle(nodes)
    for node in nodes:
        await asyncio.to_thread(node.restart)
        await scene.mend()
    yield "all nodes"


@asynccontextmanager
async def pause(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Halt a node for longer than two heartbeats."""
    node = chance.choice(scene.nodes)
    await asyncio.to_thread(node.pause)
    try:
        await asyncio.sleep(SILENCE)
        yield node.address
    finally:
        await asyncio.to_thread(node.resume)


@asynccontextmanager
async def partition(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Cut a node off from the others."""
    assert scene.cluster is not None
    node = chance.choice(scene.nodes)
    await asyncio.to_thread(scene.cluster.partition, node)
    try:
        await asyncio.sleep(chance.choice([2.0, 15.0]))
        yield node.address
    finally:
        await asyncio.to_thread(scene.cluster.heal)


@asynccontextmanager
async def memory_alarm(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Have no memory."""
    node = chance.choice(scene.nodes)
    await asyncio.to_thread(node.set_memory_alarm)
    try:
        yield node.address
    finally:
        await asyncio.to_thread(node.clear_memory_alarm)


@asynccontextmanager
async def close_connections(scene: Scene, chance: random.Random) -> AsyncIterator[str]:
    """Close the connections of a node."""
    node = chance.choice(scene.nodes)
    await asyncio.to_thread(node.close_connections)
    yield node.address


def _leader(cluster: RabbitMQCluster, queue: str) -> ClusterNode:
    """Return the leader of a queue; after a fault, it may take a moment until there is one."""
    for _ in range(_LEADER_ATTEMPTS):
        try:
            return cluster.leader_of(queue)
        except BrokerError:
            time.sleep(1.0)
    return cluster.leader_of(queue)


KINDS: Final[dict[str, tuple[Kind, int]]] = {
    "kill": (kill, 3),
    "kill the leader": (kill_leader, 3),
    "restart": (restart, 2),
    "rolling restart": (rolling_restart, 1),
    "pause": (pause, 2),
    PARTITION: (partition, 2),
    "memory alarm": (memory_alarm, 2),
    "close connections": (close_connections, 2),
}
"""Faults of nodes, and how often each is drawn."""
