"""Protocols that note what a transport tells them."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from hopmq.transport.memory import connect_memory, listen
from hopmq.transport.pair import PairedTransport

_serial = itertools.count(1)

SECONDS = 30.0
"""No test of this folder waits longer; a loaded machine included."""


class End:
    """What one end was told, in order.

    Attributes:
        log: `made`, `read`, `eof`, `paused`, `resumed`, `lost`, in order; reads in a row once.
        received: All bytes so far.
        sizes: How many bytes came with each call.
        error: What the link was lost with.
        lost: Done when it was.
        stays: What is answered to the peer's end: whether our half stays open.
        on_read: Called with each read.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.received = bytearray()
        self.sizes: list[int] = []
        self.error: Exception | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stays = False
        self.on_read: Callable[[], object] = bool
        self._news = asyncio.Event()
        self.transport: PairedTransport

    def note(self, entry: str) -> None:
        if self.log[-1:] != [entry]:
            self.log.append(entry)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was told makes `condition` true."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def has(self, size: int) -> bytes:
        """Wait until `size` bytes have come, and return all."""
        await self.until(lambda: len(self.received) >= size)
        return bytes(self.received)

    async def is_lost(self) -> Exception | None:
        """Wait until the link is lost, and return the error."""
        async with asyncio.timeout(SECONDS):
            await asyncio.shield(self.lost)
        return self.error

    # --- told by the transport -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("PairedTransport", transport)
        self.note("made")

    def took(self, data: bytes) -> None:
        self.received += data
        self.sizes.append(len(data))
        self.note("read")
        self.on_read()

    def eof_received(self) -> bool:
        self.note("eof")
        return self.stays

    def pause_writing(self) -> None:
        self.note("paused")

    def resume_writing(self) -> None:
        self.note("resumed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.note("lost")
        self.lost.set_result(None)


class Streaming(End, asyncio.Protocol):
    """An end that is handed bytes."""

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.took(data)


class Buffered(End, asyncio.BufferedProtocol):
    """An end that has a buffer of its own."""

    def __init__(self, size: int = 1000) -> None:
        super().__init__()
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> Any:  # as asyncio allows: whatever is a buffer
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.took(bytes(self.buffer[:nbytes]))


KINDS: list[type[Streaming | Buffered]] = [Streaming, Buffered]


@dataclass(slots=True)
class Ends:
    """Both ends of a link: who called and who was called."""

    near: Streaming | Buffered
    far: Streaming | Buffered


async def connected(near: Streaming | Buffered, far: Streaming | Buffered) -> Ends:
    """Connect two ends under a name that nobody else uses."""
    name = f"ends-{next(_serial)}"
    listener = listen(name, lambda: far)
    try:
        await connect_memory(name, near)
    finally:
        listener.close()
    await far.until(lambda: far.log == ["made"])
    return Ends(near, far)
