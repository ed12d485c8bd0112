"""Connect a TCP socket to whichever address of a host answers first (RFC 8305)."""

import asyncio
import socket
from itertools import chain, zip_longest
from typing import Final, TypeAlias

_DELAY: Final = 0.25
"""Seconds before the next address is tried beside the first (RFC 8305, section 5)."""

_Address: TypeAlias = tuple[int, int, int, tuple[object, ...]]
_Attempt: TypeAlias = asyncio.Task[socket.socket]


async def open_socket(host: str, port: int) -> socket.socket:
    """Return a connected socket; nothing stays open when this fails or is cancelled.

    Raises:
        OSError: The host does not resolve, or none of its addresses accepts; the last one's error.
        ValueError: The host name cannot be a host name.
    """
    addresses = await _addresses(host, port)
    attempts: list[_Attempt] = []
    winner: _Attempt | None = None
    try:
        for address in addresses:
            attempts.append(asyncio.create_task(_connect(address)))
            is_last = len(attempts) == len(addresses)
            winner = await _first_connected(attempts, None if is_last else _DELAY)
            if winner is not None:
                return winner.result()
        return attempts[-1].result()  # raises: none has connected
    finally:
        for attempt in attempts:
            if attempt is not winner:
                attempt.cancel()
                attempt.add_done_callback(_discard)


async def _addresses(host: str, port: int) -> list[_Address]:
    """Resolve, and let the address families take turns (RFC 8305, section 4)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families: dict[int, list[_Address]] = {}
    for family, kind, protocol, _, address in found:
        families.setdefault(family, []).append((family, kind, protocol, address))
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in turns if address is not None]


async def _connect(address: _Address) -> socket.socket:
    family, kind, protocol, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


async def _first_connected(attempts: list[_Attempt], patience: float | None) -> _Attempt | None:
    """Return the first attempt to succeed; None when all have failed, or after `patience`."""
    loop = asyncio.get_running_loop()
    until = None if patience is None else loop.time() + patience
    while pending := [attempt for attempt in attempts if not attempt.done()]:
        left = None if until is None else until - loop.time()
        done, _ = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for attempt in done:
            if attempt.exception() is None:
                return attempt
        if not done:
            break
    return None


def _discard(attempt: _Attempt) -> None:
    """Close what a loser has opened."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
