"""A relay in front of a broker that can hold either side's words back, and break the link."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 65_536
_MOST_KEPT = 1024 * 1024


class Direction:
    """One way through the relay, of all its links.

    Attributes:
        passed: Bytes passed on.
    """

    def __init__(self) -> None:
        self.passed = 0
        self._is_released = asyncio.Event()
        self._is_released.set()
        self._kept: dict[asyncio.StreamWriter, bytearray] = {}

    def hold(self) -> None:
        """Keep what comes from now on."""
        self._is_released.clear()

    def release(self) -> None:
        """Pass on what was kept, each link's in one write, and what follows."""
        self._is_released.set()
        for target in self._kept:
            self._pass_on(target)

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Relay until the source ends."""
        self._kept[target] = bytearray()
        while data := await _read(source):
            self._kept[target] += data
            if self._is_released.is_set():
                self._pass_on(target)
            if len(self._kept[target]) > _MOST_KEPT:
                await self._is_released.wait()  # the other end feels it
        target.close()

    def _pass_on(self, target: asyncio.StreamWriter) -> None:
        kept = self._kept[target]
        if not kept or target.is_closing():
            return
        self._kept[target] = bytearray()
        self.passed += len(kept)
        target.write(kept)


class Proxy:
    """Relay connections on a loopback port, or on a unix socket, to the broker of `url`.

    Attributes:
        answers: The way from the broker to the client.
        requests: The way from the client to the broker.
    """

    def __init__(self, url: str, path: str | None = None) -> None:
        """Relay to the broker of `url`, from the unix socket `path` if one is given."""
        self.answers = Direction()
        self.requests = Direction()
        self._target = urlsplit(url)
        self._path = path
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The broker's address, by way of this relay."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = f"{self._target.username}:{self._target.password}"
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{port}"))

    def cut(self) -> None:
        """Break every link, in both directions, without a word."""
        for writer in self._writers:
            abort(writer)

    async def __aenter__(self) -> Self:
        """Listen."""
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._relay, self._path)
        else:
            self._server = await asyncio.start_server(self._relay, "127.0.0.1")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)
        for writer in self._writers:
            await hang_up(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers += [writer, requests]
        for pump in (self.requests.pump(reader, requests), self.answers.pump(answers, writer)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)


async def _read(source: asyncio.StreamReader) -> bytes:
    try:
        return await source.read(_CHUNK)
    except ConnectionError:
        return b""


def abort(writer: asyncio.StreamWriter) -> None:
    """Drop a link at once; one that is gone has nothing left to drop (asyncio fails on it)."""
    sock = writer.get_extra_info("socket")
    # uvloop has no socket left to show then
    if not writer.is_closing() or (sock is not None and sock.fileno() != -1):
        writer.transport.abort()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Drop a link, whatever state it is in."""
    abort(writer)
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass  # it was broken already, which is as good
