"""A proxy in front of any broker, which does to its connections what networks do."""

import asyncio
import socket
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from hopmq.errors import UsageError
from hopmq.testing.faults.fault import HAPPENS_WITHIN, Fault
from hopmq.testing.faults.on_the_way import FaultsOnTheWay
from hopmq.testing.faults.selection import Direction
from hopmq.testing.faults.stream import StreamFault
from hopmq.testing.ports import FOR_PROXIES, LOOPBACK, free_ports
from hopmq.testing.relaying import Relays
from hopmq.url import parse_url

_BACKLOG: Final = 128


class FaultProxy(FaultsOnTheWay):
    """Stand between clients and a broker, and break their connections on cue.

    It listens on a port of its own, within `async with FaultProxy(url) as proxy: ...` or from
    `start` to `stop`, and passes every connection on to the broker of `url`. Clients connect to
    `proxy.url`. What it can do has the names of `Faults`, and each call returns a `Fault`: it counts
    its `hits`, can be awaited (`happened`), and ends when it is cancelled, or with its `with` block.
    `clear` cancels all.

    Faults of frames need to see frames: over TLS, those of bytes alone work.

    It lives on the event loop that started it.
    """

    def __init__(self, url: str) -> None:
        """Describe a proxy; nothing listens yet.

        Args:
            url: Address of the broker, `amqp://` or `amqps://`.

        Raises:
            UsageError: That is no such address.
        """
        super().__init__()
        self._target = _address(url)
        self._parts = urlsplit(url)
        self._port = 0
        self._relays: Relays | None = None
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._refusals: list[Fault] = []

    def __repr__(self) -> str:
        """Show both addresses."""
        host, port = self._target
        return f"<FaultProxy from port {self._port} to {host}:{port}>"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, and drop every connection."""
        await self.stop()

    # --- what it is ------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The broker's address by way of this proxy, with the same user and virtual host."""
        user, at, _ = self._parts.netloc.rpartition("@")
        # Certificates of brokers for tests are made out to names.
        host = "localhost" if self._parts.scheme == "amqps" else LOOPBACK
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}{host}:{self.port}"))

    @property
    def port(self) -> int:
        """Port that it listens on, and listened on before it was stopped."""
        self._running()
        return self._port

    @property
    def accepted(self) -> int:
        """How many connections have come since the start."""
        return self._running().accepted

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return self._running().open_count

    def passed(self, direction: Direction) -> int:
        """Return how many bytes have left the proxy in a direction since the start."""
        return self._running().passed[direction]

    async def connected(
        self,
        times: int,
        *,
        timeout: float = HAPPENS_WITHIN,  # noqa: ASYNC109  # its error says what was awaited
    ) -> None:
        """Return once so many connections have come since the start.

        Raises:
            TimeoutError: They did not within `timeout` seconds.
        """
        relays = self._running()
        try:
            async with asyncio.timeout(timeout):
                while relays.accepted < times:
                    await relays.changed()
        except TimeoutError:
            came = relays.accepted
            raise TimeoutError(f"{came} of {times} connections within {timeout:g} s") from None

    # --- its life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; nothing happens if it does."""
        if self._relays is not None:
            return
        self._port = self._port or free_ports(1, FOR_PROXIES)[0]
        self._relays = Relays(*self._target)
        try:
            self._listen()
        except OSError:
            self._relays = None
            raise

    async def stop(self) -> None:
        """Stop listening, cancel all faults, and drop every connection; idempotent."""
        relays, self._relays = self._relays, None
        if relays is None:
            return
        server = self._server
        self._stop_listening()
        self.clear()
        if self._serving:
            await asyncio.wait(self._serving)
        await relays.close()
        if server is not None:
            await server.wait_closed()

    # --- what only a proxy can do ------------------------------------------------------------------

    def disconnect(self, *, reset: bool = False) -> Fault:
        """End all connections now, at both ends, without a word of AMQP.

        Args:
            reset: By a reset (RST) rather than by the end of the stream (FIN).
        """
        return self._done("disconnect", self._running().cut(reset=reset))

    def refuse_connections(self) -> Fault:
        """Have new connections refused, as where nothing listens; those that are open stay.

        It counts no hits: nobody learns of a connection that was refused.
        """
        self._running()
        fault = Fault("refuse connections", self._where, times=None)
        self._mine.append(fault)
        self._refusals.append(fault)
        fault.at_end(lambda: self._accept_again(fault))
        self._stop_listening()
        return fault

    def redirect(self, url: str) -> None:
        """Pass new connections on to another broker; those that are open stay.

        Args:
            url: Its address; only host and port count.

        Raises:
            UsageError: That is no address of a broker behind TCP.
        """
        self._target = _address(url)
        if self._relays is not None:
            self._relays.target = self._target

    # --- inside ----------------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        assert isinstance(fault, StreamFault)
        self._running().add(fault)

    def _running(self) -> Relays:
        if self._relays is None:
            raise UsageError("the proxy is not running: start it first")
        return self._relays

    def _accept_again(self, fault: Fault) -> None:
        self._refusals.remove(fault)
        if not self._refusals and self._relays is not None:
            self._listen()

    def _listen(self) -> None:
        """Listen at once; clients that come before the loop serves them wait in the backlog."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, self._port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        serving = self._running().loop.create_task(self._serve(listener))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, listener: socket.socket) -> None:
        relays = self._relays
        if relays is None or self._listener is not listener:
            return
        self._server = await relays.loop.create_server(
            relays.accept, sock=listener, backlog=_BACKLOG, start_serving=False
        )
        await self._server.start_serving()

    def _stop_listening(self) -> None:
        server, self._server = self._server, None
        listener, self._listener = self._listener, None
        if server is not None:
            server.close()
        elif listener is not None:
            listener.close()


def _address(url: str) -> tuple[str, int]:
    endpoint = parse_url(url)
    if endpoint.path is not None or endpoint.memory is not None:
        raise UsageError(f"no proxy stands before {endpoint.address}: it needs TCP")
    return endpoint.host, endpoint.port
