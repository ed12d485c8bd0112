"""Brokers that a module has to itself and restarts, whatever kind they are."""

import asyncio
from typing import Protocol

from hopmq.broker import Broker
from hopmq.testing import RabbitMQ

ON_DISK = """\
[begin sys:get_state(mnesia_recover), mnesia:sync_log() end
 || whereis(mnesia_recover) =/= undefined],
[ok = dets:sync(Table) || Table <- dets:all()].
"""
"""Has RabbitMQ write down what it has answered already; a crash before that undoes it.

Mnesia, where a release has it, writes that a transaction was committed from another process than
the one that answers, through a cache that waits for up to two seconds. Of which quorum queues there
are, a file is kept that is written every three minutes; one that is missing there is begun anew,
empty and without a leader.
"""


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
        """End it without a word and start it with its data, on the same port.

        What was declared before counts as written down.
        """


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
        """Kill it, once its disk has what it answered, and start it."""
        await asyncio.to_thread(self._rabbitmq.evaluate, ON_DISK)
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
