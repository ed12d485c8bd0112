"""A relay between a client and a broker that can swallow everything, over TCP or a unix socket."""

import asyncio
from types import TracebackType
from typing import Self, cast

from scripted.peer import PATIENCE


class _Side(asyncio.Protocol):
    """One socket; what it reads goes to the other."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay
        self.other: _Side | None = None
        self._early: list[bytes] = []
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._relay.connected(self)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        elif self._relay.forwards:
            self.other.transport.write(data)

    def meet(self, other: "_Side") -> None:
        """Pass on to `other` from now on, and what came before."""
        self.other = other
        for data in self._early:
            self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self._relay.forwards:
            self.other.transport.close()
        self.lost.set_result(None)


class Relay:
    """Listens while its block lasts, and connects each client to the target.

    Attributes:
        forwards: False while everything is swallowed, closes included.
    """

    def __init__(self, host: str, port: int, path: str | None = None) -> None:
        self.forwards = True
        self.port = 0
        self._target = (host, port)
        self._path = path
        self._sides: list[_Side] = []
        self._clients: set[_Side] = set()
        self._dials: set[asyncio.Task[None]] = set()

    def hold_everything(self) -> None:
        """Become a black hole."""
        self.forwards = False

    def cut(self) -> None:
        """Drop every connection at once."""
        for side in self._sides:
            side.transport.abort()

    def connected(self, side: _Side) -> None:
        """Dial the target for a client that came."""
        self._sides.append(side)
        if side in self._clients:
            dial = asyncio.get_running_loop().create_task(self._dial(side))
            self._dials.add(dial)
            dial.add_done_callback(self._dials.discard)

    def _accept(self) -> _Side:
        client = _Side(self)
        self._clients.add(client)
        return client

    async def _dial(self, client: _Side) -> None:
        server = _Side(self)
        await asyncio.get_running_loop().create_connection(lambda: server, *self._target)
        server.meet(client)
        client.meet(server)

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        if self._path is not None:
            self._server = await loop.create_unix_server(self._accept, self._path)
            return self
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop every connection."""
        self._server.close()
        self.cut()
        async with asyncio.timeout(PATIENCE):
            for side in self._sides:
                await side.lost
