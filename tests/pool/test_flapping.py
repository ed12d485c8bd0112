"""A pool whose links are cut again and again, under publishers, borrowers and consumers in a hurry."""

import asyncio
import random

import pytest

import hopmq
from client.proxy import Proxy
from client.waiting import bodies, until
from hopmq import Connection, Pool, PublishError, PublishNotSentError, Recovery

from .conftest import QUICKLY, opened

CUTS = 15
BETWEEN_CUTS = 40
"""Outcomes of publishes from one cut to the next."""


class Traffic:
    """What was published, what became of it, and what has arrived."""

    def __init__(self, pool: Pool, queue: str, chance: random.Random) -> None:
        self.pool = pool
        self.queue = queue
        self.chance = chance
        self.outcomes: dict[bytes, str] = {}
        self.arrived: set[bytes] = set()
        self.is_over = False

    def ended(self, outcome: str) -> set[bytes]:
        """Return what was published with that outcome."""
        return {body for body, each in self.outcomes.items() if each == outcome}

    async def publish(self, publisher: int) -> None:
        number = 0
        while not self.is_over:
            number += 1
            body = f"{publisher}-{number}".encode()
            self.outcomes[body] = "unknown"
            patience = self.chance.choice([0.002, 5.0, 5.0, 5.0])
            try:
                async with asyncio.timeout(patience):
                    await self.pool.publish(body, routing_key=self.queue)
                self.outcomes[body] = "confirmed"
            except PublishNotSentError:
                self.outcomes[body] = "not sent"
            except (PublishError, TimeoutError):
                pass
            await asyncio.sleep(0)

    async def borrow(self) -> None:
        while not self.is_over:
            patience = self.chance.choice([0.001, 0.01, 1.0])
            confirms = self.chance.random() < 0.5
            try:
                async with asyncio.timeout(patience), self.pool.channel(confirms=confirms) as mine:
                    await mine.publish(b"", routing_key="nobody")
                    if self.chance.random() < 0.1:
                        await mine.get("no such queue")
            except (TimeoutError, hopmq.HopMQError):
                pass
            await asyncio.sleep(0)

    async def consume(self) -> None:
        while not self.is_over:
            try:
                async with self.pool.consume(self.queue) as consumer:
                    async for message in consumer:
                        self.arrived.add(bytes(message.body))
                        message.ack()
                        if self.is_over or self.chance.random() < 0.01:
                            break
            except hopmq.HopMQError:
                await asyncio.sleep(0)


@pytest.mark.parametrize("recovery", [None, QUICKLY], ids=["off", "on"])
async def test_nothing_is_lost_held_up_or_left_behind(
    proxy: Proxy, other: Connection, queue: str, recovery: Recovery | None
) -> None:
    bounds = {"max_connections": 3, "channels_per_connection": 6, "max_unconfirmed": 50}
    async with opened(proxy.url, recovery=recovery, **bounds) as pool:
        traffic = Traffic(pool, queue, random.Random(4))
        async with asyncio.TaskGroup() as group:
            consuming = [group.create_task(traffic.consume()) for _ in range(2)]
            for number in range(10):
                group.create_task(traffic.publish(number))
                group.create_task(traffic.borrow())
            for cut in range(1, CUTS + 1):
                await until(lambda cut=cut: has_gone_on(traffic, cut))
                proxy.cut()
            traffic.is_over = True
            await until(lambda: is_at_rest(pool))
            for task in consuming:
                task.cancel()

        await until(lambda: is_idle(pool))
        async with other.channel() as channel:
            # What the last links had unread comes back when the broker has seen that they are gone.
            while not traffic.ended("confirmed") <= traffic.arrived:
                traffic.arrived |= set(await bodies(channel, queue))
    assert traffic.ended("confirmed")
    assert not traffic.ended("not sent") & traffic.arrived


async def has_gone_on(traffic: Traffic, cut: int) -> bool:
    return len(traffic.outcomes) >= cut * BETWEEN_CUTS


async def is_at_rest(pool: Pool) -> bool:
    statistics = pool.statistics()
    return not statistics.borrowed and not statistics.unconfirmed


async def is_idle(pool: Pool) -> bool:
    statistics = pool.statistics()
    sides = (statistics.publishing, statistics.consuming)
    return (
        statistics.publishing.lent == statistics.shared
        and not statistics.consuming.lent
        and not any(side.waiting or side.recovering or side.connecting for side in sides)
    )
