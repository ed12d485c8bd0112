"""Conditions of whichever broker is the subject: its memory alarm, its patience with consumers."""

import asyncio

import pytest

from conftest import RunningBroker
from hopmq.broker import Broker
from hopmq.broker.server import DEFAULT_MEMORY_LIMIT
from hopmq.testing import RabbitMQ
from parity.driver import Peer

_DEFAULT_WATERMARK = {"3": "0.4", "4": "0.6"}
"""Part of the memory that a broker may use, by its major release."""

_DEFAULT_TIMEOUT = 1_800_000
_DEFAULT_TICK = 60_000
"""Milliseconds, of all releases."""

_NOTHING = -1
"""A limit of bytes that even an empty broker is beyond."""


class MemoryAlarm:
    """The alarm that blocks publishers."""

    def __init__(self, broker: RunningBroker) -> None:
        self._broker = broker
        self._raised = False

    async def raise_(self) -> None:
        """Have the broker take its memory for used up; nothing happens if it does already.

        All connections know of it when this returns: a new one is told behind those that are there.
        """
        if self._raised:
            return
        self._raised = True
        if self._broker.embedded is not None:
            self._broker.embedded.call(lambda broker: _alarm(broker, on=True))
        else:
            await self._watermark("0.00001")
        await (await Peer.open(self._broker.url)).close()

    async def clear(self) -> None:
        """End the alarm, if it is on."""
        if not self._raised:
            return
        self._raised = False
        if self._broker.embedded is not None:
            self._broker.embedded.call(lambda broker: _alarm(broker, on=False))
        else:
            await self._watermark(_DEFAULT_WATERMARK[_real(self._broker).version[0]])

    async def _watermark(self, part: str) -> None:
        call = f"vm_memory_monitor:set_vm_memory_high_watermark({part})."
        await asyncio.to_thread(_real(self._broker).evaluate, call)


async def set_delivery_timeout(broker: RunningBroker, milliseconds: int | None) -> None:
    """Set how long the broker waits for settlements of what it delivers; None for its default.

    Channels look at it as they were told when they were opened.
    """
    if broker.embedded is not None:
        broker.embedded.call(lambda embedded: _be_patient(embedded, milliseconds))
        return
    settings = {
        "consumer_timeout": milliseconds or _DEFAULT_TIMEOUT,
        "channel_tick_interval": milliseconds // 4 if milliseconds else _DEFAULT_TICK,
    }
    calls = [f"application:set_env(rabbit, {name}, {settings[name]})" for name in settings]
    await asyncio.to_thread(_real(broker).evaluate, ", ".join(calls) + ".")


def _real(broker: RunningBroker) -> RabbitMQ:
    if broker.rabbitmq is None:
        pytest.skip("a broker that is known by its address alone has no controls")
    return broker.rabbitmq


def _alarm(broker: Broker, *, on: bool) -> None:
    memory = broker.state.memory
    memory.limit = _NOTHING if on else DEFAULT_MEMORY_LIMIT
    memory.add(0)
    memory.release(0)


def _be_patient(broker: Broker, milliseconds: int | None) -> None:
    broker.state.consumer_timeout = (milliseconds or _DEFAULT_TIMEOUT) / 1000
