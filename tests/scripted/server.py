"""The scripted server: it listens on the loopback interface and hands its connections to tests."""

import asyncio
import ssl
from types import TracebackType
from typing import Any, Self

import hopmq
from hopmq.core.settings import ServerSettings
from hopmq.typedefs import FieldTable
from scripted.gate import Gate
from scripted.peer import PATIENCE, Peer

PROPERTIES: FieldTable = {
    "product": "Scripted",
    "version": "1.0",
    "capabilities": {"publisher_confirms": True, "basic.nack": True, "connection.blocked": True},
}


class ScriptedServer:
    """Listens while its block lasts; every connection is a `Peer` behind one gate.

    Attributes:
        settings: What new connections are told; replace it before connecting.
        gate: The rules that every outgoing frame passes.
        peers: Every connection there has been.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.settings = ServerSettings(properties=PROPERTIES)
        self.gate = Gate()
        self.peers: list[Peer] = []
        self.port = 0
        self._tls = tls
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue()

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme, host = ("amqp", "127.0.0.1") if self._tls is None else ("amqps", "localhost")
        return f"{scheme}://guest:guest@{host}:{self.port}/"

    async def peer(self) -> Peer:
        """Wait for the next connection."""
        return await self._accepted.get()

    # Any: the keywords of hopmq.connect, which checks them.
    async def connect(self, **options: Any) -> tuple[hopmq.Connection, Peer]:
        """Return a client's connection, which ends with its link, and its other end."""
        options = {"name": "client", "recovery": None, **options}
        connection = await hopmq.connect(self.url, **options)
        return connection, await self.peer()

    def _accept(self) -> Peer:
        peer = Peer(self.settings, self.gate)
        self.peers.append(peer)
        self._accepted.put_nowait(peer)
        return peer

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
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
        for peer in self.peers:
            peer.drop()
        async with asyncio.timeout(PATIENCE):
            for peer in self.peers:
                await peer.lost
