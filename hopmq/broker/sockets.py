"""The sockets that a broker listens on: TCP, with and without TLS, and unix sockets."""

import asyncio
import contextlib
import errno
import os
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

_Accept: TypeAlias = Callable[[], asyncio.BaseProtocol]


class ListeningSockets:
    """All of them; nothing listens at first."""

    def __init__(self) -> None:
        """Listen on nothing."""
        self._servers: list[asyncio.Server] = []
        self._path: Path | None = None

    @property
    def are_open(self) -> bool:
        """Whether any client can connect."""
        return bool(self._servers)

    async def open_tcp(
        self, accept: _Accept, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> int:
        """Listen on an address and return its port.

        Raises:
            OSError: That is not possible; the message names the address.
        """
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(accept, host, port, ssl=tls, backlog=1024)
        except OSError as error:
            raise cannot_listen(f"{host}:{port}", error) from error
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def open_unix(self, accept: _Accept, path: Path) -> None:
        """Listen on a path; a socket that is left there from before is replaced.

        Raises:
            OSError: That is not possible; the message names the path.
        """
        _make_room(path)
        loop = asyncio.get_running_loop()
        try:
            self._servers.append(await loop.create_unix_server(accept, path))
        except OSError as error:
            raise cannot_listen(str(path), error) from error
        self._path = path

    def close(self) -> None:
        """Listen on nothing any more; connections stay."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        # One that another broker listens on by now is not removed unless we had made one there.
        if self._path is not None:
            _remove_socket(self._path)
            self._path = None


def _make_room(path: Path) -> None:
    _remove_socket(path)
    if path.exists():
        raise FileExistsError(errno.EEXIST, f"cannot listen on {path}: it is no socket")


def _remove_socket(path: Path) -> None:
    """Remove a socket; any other file is not ours to remove."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()


def cannot_listen(place: str, error: OSError) -> OSError:
    """Return an error that names the place and the reason, each once."""
    # The event loop's own text repeats the address; errors of names have numbers below 0.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror
    return OSError(error.errno, f"cannot listen on {place}: {reason}")
