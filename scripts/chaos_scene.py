"""What a chaos run breaks: nodes or an embedded broker, and the proxies before them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, TypeAlias

from chaos_clients import HEARTBEAT

from hopmq.broker import Broker
from hopmq.testing import BrokerError, ClusterNode, FaultProxy, Faults, RabbitMQCluster

SILENCE: Final = 2.0 * HEARTBEAT + 1.5
"""Seconds after which a silent peer has been given up."""


@dataclass(slots=True)
class Scene:
    """What faults happen to.

    Attributes:
        proxies: What stands between some clients and each node.
        queues: Names of the queues.
        cluster: The nodes; None for an embedded broker.
        broker: The embedded broker; None for a cluster.
        rejoined: Nodes that had to be started anew, since they did not come back by themselves.
    """

    proxies: Sequence[FaultProxy]
    queues: Sequence[str]
    cluster: RabbitMQCluster | None = None
    broker: Broker | None = None
    rejoined: int = 0

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        """The nodes of the cluster."""
        assert self.cluster is not None
        return self.cluster.nodes

    @property
    def faults(self) -> Faults:
        """The faults of the embedded broker."""
        assert self.broker is not None
        return Faults(self.broker)

    async def mend(self) -> None:
        """Have every node run and know the others."""
        if self.cluster is None:
            return
        await asyncio.to_thread(self.cluster.start)
        try:
            await asyncio.to_thread(self.cluster.wait_until_whole, 30.0)
        except BrokerError:
            await self._rejoin()

    async def _rejoin(self) -> None:
        """Start nodes anew that wait for something that does not come."""
        assert self.cluster is not None
        for node in self.nodes:
            try:
                await asyncio.to_thread(node.ctl, "await_startup", "--timeout", "5")
            except BrokerError:
                self.rejoined += 1
                await asyncio.to_thread(node.kill)
        await asyncio.to_thread(self.cluster.start)


Kind: TypeAlias = Callable[[Scene, random.Random], AbstractAsyncContextManager[str]]
"""What goes wrong within its block; gives what it is, in words."""
