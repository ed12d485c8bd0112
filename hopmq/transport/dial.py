"""Reach a broker, by a socket or within the process, and say clearly why that did not work."""

import asyncio
import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Final

from hopmq.errors import CertificateError, ConnectError, HandshakeError
from hopmq.transport.addresses import open_socket
from hopmq.transport.link import Link
from hopmq.values import Value

_TLS_SHUTDOWN_TIMEOUT: Final = 2.0


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Target(Value):
    """Where to connect.

    Attributes:
        host, port: A TCP address; used unless `path` or `memory` is set.
        path: A unix socket.
        memory: The name of a broker within this process.
        tls: The context to use, or None for plain TCP.
        server_hostname: The name to verify, when it differs from `host`.
    """

    host: str = "localhost"
    port: int = 5672
    path: str | None = None
    memory: str | None = None
    tls: ssl.SSLContext | None = None
    server_hostname: str | None = None

    def __str__(self) -> str:
        """Show the address without anything secret."""
        if self.memory is not None:
            return f"memory://{self.memory}"
        if self.path is not None:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def dial(target: Target, link: Link) -> None:
    """Connect `link`.

    Raises:
        CertificateError: The broker's certificate is not trusted.
        ConnectError: The address does not resolve, refuses, or its TLS handshake fails.
    """
    loop = asyncio.get_running_loop()
    try:
        if target.memory is not None:
            from hopmq.transport.memory import connect_memory  # most programs do without

            await connect_memory(target.memory, link)
            return
        if target.path is not None:
            await loop.create_unix_connection(lambda: link, target.path, **_tls_options(target))
            return
        sock = await open_socket(target.host, target.port)
        await loop.create_connection(lambda: link, sock=sock, **_tls_options(target))
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(
            f"{target}: the broker's certificate is not trusted: {error.verify_message or error}; "
            "check the name in the URL, cacertfile and server_name_indication"
        ) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        if target.tls is None:
            raise ConnectError(f"{target}: cannot connect: {_reason(error)}") from error
        reason = "the peer hung up" if isinstance(error, ConnectionResetError) else error
        raise HandshakeError(
            f"{target}: the TLS handshake failed: {reason}; "
            "is this a TLS port (5671 by default), and is a client certificate required?"
        ) from error
    except socket.gaierror as error:
        raise ConnectError(f"{target}: cannot resolve the host name: {error.strerror}") from error
    except ValueError as error:
        raise ConnectError(f"{target}: not a valid host name: {error}") from error
    except OSError as error:
        raise ConnectError(f"{target}: cannot connect: {_reason(error)}") from error
    _keep_alive(link)


def _reason(error: OSError) -> str:
    """Return the system's own words; event loops put their own in place of them."""
    return os.strerror(error.errno) if error.errno else str(error)


def _tls_options(target: Target) -> dict[str, Any]:  # arguments of several types
    if target.tls is None:
        return {}
    return {
        "ssl": target.tls,
        "server_hostname": target.server_hostname or target.host,
        "ssl_shutdown_timeout": _TLS_SHUTDOWN_TIMEOUT,
    }


def _keep_alive(link: Link) -> None:
    """Let the kernel probe idle peers as well; heartbeats may be off."""
    sock = link.transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
