"""Who listens in this process, by name: `memory://name` without a socket."""

import asyncio
import errno
import importlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Final
from weakref import WeakKeyDictionary

from hopmq.transport.pair import PairedTransport, Traffic, transport_pair

_IN_PROCESS_BROKER: Final = "hopmq.broker.in_process"
"""The module whose `start(name)` listens under a name where nobody does yet.

It is named and not imported: the broker stands above the transport, uses it, and must not be
loaded by programs that connect to a real one.
"""


class Listener:
    """Somebody who takes connections under a name, until `close`.

    Attributes:
        name: The name.
        is_away: Whether connections are refused for now; nobody else can have the name.
    """

    def __init__(
        self, name: str, switchboard: "_Switchboard", factory: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        """Belong to the switchboard of a loop."""
        self.name: str = name
        self.is_away: bool = False
        self.new_protocol: Callable[[], asyncio.BaseProtocol] = factory
        self._switchboard = switchboard

    def close(self) -> None:
        """Take no more connections; those that are open stay. Does nothing the second time."""
        if self._switchboard.listeners.get(self.name) is self:
            del self._switchboard.listeners[self.name]


class _Switchboard:
    """The names of one event loop."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}
        self.traffic: Traffic = Traffic()
        self.starting: asyncio.Lock = asyncio.Lock()
        self.serial: Iterator[int] = itertools.count(1)

    async def reach(self, name: str) -> Listener:
        """Return who listens, after starting a broker if it is the first time."""
        if name not in self.listeners:
            async with self.starting:
                if name not in self.listeners:
                    await importlib.import_module(_IN_PROCESS_BROKER).start(name)
        listener = self.listeners.get(name)
        if listener is None or listener.is_away:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return listener


_switchboards: WeakKeyDictionary[asyncio.AbstractEventLoop, _Switchboard] = WeakKeyDictionary()


def listen(name: str, protocol_factory: Callable[[], asyncio.BaseProtocol]) -> Listener:
    """Take connections to `name` within the running event loop.

    Raises:
        OSError: EADDRINUSE: somebody listens there.
    """
    switchboard = _switchboard()
    if name in switchboard.listeners:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    listener = Listener(name, switchboard, protocol_factory)
    switchboard.listeners[name] = listener
    return listener


async def connect_memory(name: str, protocol: asyncio.BaseProtocol) -> PairedTransport:
    """Connect `protocol` to whoever listens under `name` within the running event loop.

    Where nobody does, an embedded broker is started under that name. It stays until it is stopped
    or the loop is closed.

    Raises:
        ConnectionRefusedError: Nobody listens, and no broker came to.
    """
    loop = asyncio.get_running_loop()
    switchboard = _switchboard()
    listener = await switchboard.reach(name)
    accepted = listener.new_protocol()
    address = f"memory://{name}"
    caller = f"{address}#{next(switchboard.serial)}"
    near, far = transport_pair(
        loop,
        switchboard.traffic,
        {"peername": address, "sockname": caller},
        {"peername": caller, "sockname": address},
    )
    near.set_protocol(protocol)
    far.set_protocol(accepted)
    # The loop calls in order: before any byte that is written from here on.
    loop.call_soon(accepted.connection_made, far)
    protocol.connection_made(near)
    return near


def is_moving(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether bytes, or the end of a link, are due to be handed over within `loop`."""
    switchboard = _switchboards.get(loop)
    return switchboard is not None and switchboard.traffic.due > 0


def _switchboard() -> _Switchboard:
    """Return the names of the running loop, and forget those of loops that are closed."""
    loop = asyncio.get_running_loop()
    switchboard = _switchboards.get(loop)
    if switchboard is None:
        # Listeners hold brokers, and brokers their loop, which therefore is not collected.
        for closed in [each for each in _switchboards if each.is_closed()]:
            del _switchboards[closed]
        switchboard = _switchboards[loop] = _Switchboard()
    return switchboard
