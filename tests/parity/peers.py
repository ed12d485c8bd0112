"""The connections of a test: opened when asked for, gone when it ends."""

from typing import Any

from parity.driver import Peer


class Peers:
    """Opens connections to one broker, and drops them all at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[Peer] = []

    async def dial(self, url: str | None = None) -> Peer:
        """Open a socket, to another address if one is given, and send nothing."""
        peer = await Peer.dial(url or self.url)
        self._opened.append(peer)
        return peer

    async def open(self, **parts: Any) -> Peer:  # Any: the keywords of handshake
        """Open a connection."""
        peer = await self.dial()
        await peer.handshake(**parts)
        return peer

    async def drop(self) -> list[Peer]:
        """Drop them, without a close, and return them."""
        for peer in self._opened:
            peer.abort()
            await peer.until_eof()
        return self._opened
