"""Where the management API listens."""

from typing import TYPE_CHECKING

from hopmq.broker.introduction import NODE
from hopmq.broker.management.application import ManagementApi
from hopmq.broker.management.call import ListenerInfo
from hopmq.broker.management.http import HttpServer

if TYPE_CHECKING:
    from hopmq.broker.state import BrokerState


class ManagementServer:
    """The management API of one broker.

    Attributes:
        port: Its TCP port; until the first start, that which was asked for.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen nowhere yet; port 0 asks for a free one."""
        self.port: int = port
        self._host = host
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Address of the API."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/api"

    async def start(self, state: "BrokerState", listeners: list[tuple[str, str, int]]) -> None:
        """Begin to listen and to tell of `state`.

        Args:
            state: The broker.
            listeners: Protocol, address and port of where it takes clients.
        """
        known = [
            ListenerInfo(protocol=protocol, host=host, port=port)
            for protocol, host, port in listeners
        ]
        server = HttpServer(ManagementApi(state, NODE, known))
        self.port = await server.start(self._host, self.port)
        known.append(ListenerInfo(protocol="http", host=self._host, port=self.port))
        self._server = server

    async def stop(self) -> None:
        """Stop listening and end all requests. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
