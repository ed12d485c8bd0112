"""Brokers that come into being when `memory://name` is first connected to."""

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

from hopmq.broker.server import Broker

_brokers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Broker]]] = (
    WeakKeyDictionary()
)


async def start(name: str) -> None:
    """Start a broker that is reached as `memory://name` within this event loop."""
    broker = Broker(host=None, name=name)
    await broker.start()
    _brokers.setdefault(asyncio.get_running_loop(), {})[name] = broker


async def stop(name: str) -> None:
    """End the broker that was started under that name, if there is one."""
    broker = _brokers.get(asyncio.get_running_loop(), {}).pop(name, None)
    if broker is not None:
        await broker.stop()


def running(name: str) -> Broker | None:
    """Return the broker that was started under that name in this event loop."""
    return _brokers.get(asyncio.get_running_loop(), {}).get(name)
