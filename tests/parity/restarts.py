"""Brokers that a module has to itself and restarts, whatever kind they are."""

import asyncio
from typing import Protocol

from hopmq.broker import Broker
from hopmq.testing import RabbitMQ


class Restartable(Protocol):
    """A broker of the test's own.

    Attributes:
        url: Its address.
        release: What it behaves like, such as `4.3`.
    """

    url: str
    release: str

    async def restart(self) -> None:
        """End it in good order and start it with its data, on the same port."""

    async def crash(self) -> None:
        """End it without a word and start it with its data, on the same port."""


class RealBroker:
    """A RabbitMQ, whose methods block."""

    def __init__(self, rabbitmq: RabbitMQ) -> None:
        self._rabbitmq = rabbitmq
        self.url = rabbitmq.url
        self.release = ".".join(rabbitmq.version.split(".")[:2])

    async def restart(self) -> None:
        """Restart it."""
        await asyncio.to_thread(self._rabbitmq.restart)

    async def crash(self) -> None:
        """Kill it and start it."""
        await asyncio.to_thread(self._rabbitmq.kill)
        await asyncio.to_thread(self._rabbitmq.start)


class EmbeddedOne:
    """An embedded broker, on the test's own loop."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.url = broker.url
        self.release = broker.emulates

    async def restart(self) -> None:
        """Restart it."""
        await self._broker.restart()

    async def crash(self) -> None:
        """Drop everybody and start it."""
        await self._broker.restart(abrupt=True)
