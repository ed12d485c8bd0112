"""Connections that are ended while their other end resets them."""

import asyncio
import socket
import struct

from hopmq.testing.faults.hanging_up import end_stream


def connected() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection over TCP, which alone has resets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setblocking(False)
    return ours, theirs


class Lost(asyncio.Protocol):
    """Waits until the connection is gone."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()


async def test_the_end_of_a_stream_that_was_reset_is_no_error() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = connected()
    transport, protocol = await loop.create_connection(Lost, sock=ours)
    transport.pause_reading()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()  # a reset, of which nothing is read
    end_stream(transport, loop)
    async with asyncio.timeout(20):
        await protocol.lost.wait()
