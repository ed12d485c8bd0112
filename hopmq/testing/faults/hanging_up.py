"""How a connection is ended from outside: by a reset, or by the end of the stream."""

import asyncio
import socket
import struct
from typing import Final

_GIVEN_UP_AFTER: Final = 2.0
"""Seconds that the other end gets to hang up as well."""


def end_stream(transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
    """End a connection so that its other end reads the end of the stream."""
    # Closing a socket that holds unread bytes resets it; so only the end is written first.
    if transport.can_write_eof() and not transport.is_closing():
        write_end(transport)
        loop.call_later(_GIVEN_UP_AFTER, transport.close)
    else:
        transport.close()


def write_end(transport: asyncio.Transport) -> None:
    """Write the end of the stream, unless the other end has reset it, of which nothing was read yet."""
    try:
        transport.write_eof()
    except OSError:
        transport.abort()


def reset_transport(transport: asyncio.Transport) -> None:
    """Drop a connection so that its other end sees a reset."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
