"""Between which two ends a connection runs, as RabbitMQ names connections."""

from asyncio import BaseTransport
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionAddress:
    """The two ends of a connection.

    Attributes:
        name: Both, as RabbitMQ writes them; unique among open connections.
        peer_host, peer_port: The client's end; without a port where it has none.
        host, port: The broker's end.
        is_tls: Whether it is encrypted.
    """

    name: str
    peer_host: str
    peer_port: int
    host: str
    port: int
    is_tls: bool

    @classmethod
    def of(cls, transport: BaseTransport) -> "ConnectionAddress":
        """Return that of a transport."""
        peer_host, peer_port = _end(transport.get_extra_info("peername"), id(transport))
        host, port = _end(transport.get_extra_info("sockname"), 0)
        return cls(
            name=f"{_written(peer_host, peer_port)} -> {_written(host, port)}",
            peer_host=peer_host,
            peer_port=peer_port,
            host=host,
            port=port,
            is_tls=transport.get_extra_info("ssl_object") is not None,
        )

    def details(self) -> dict[str, Any]:  # Any: what JSON holds
        """Return what other objects of the management API say of a connection."""
        return {"name": self.name, "peer_host": self.peer_host, "peer_port": self.peer_port}


def _end(address: Any, serial: int) -> tuple[str, int]:  # Any: each family of sockets has its own
    """Return host and port of an end; a unix socket's client has no name, but a serial number."""
    if isinstance(address, tuple):
        return str(address[0]), int(address[1])
    if address:
        return str(address), 0
    return f"unix-{serial:x}", 0


def _written(host: str, port: int) -> str:
    return f"{host}:{port}" if port else host
