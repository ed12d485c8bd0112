"""Between one client's transport and the broker's link: where bytes can be tampered with."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from hopmq.testing.faults.hanging_up import end_stream, reset_transport
from hopmq.testing.faults.stream import Stream

if TYPE_CHECKING:
    from hopmq.broker.peer import Peer
    from hopmq.testing.faults.seams import Seams
    from hopmq.transport.link import Link

_BUFFER: Final = 64 * 1024


class Tap(asyncio.BufferedProtocol):
    """The protocol of the client's transport, and the transport of the broker's link.

    Attributes:
        peer: The broker's end of the connection.
        seams: Whose faults these are.
        to_broker, to_client: Both directions.
        is_cut: Whether nothing passes any more.
    """

    def __init__(self, peer: "Peer", seams: "Seams", *, in_step: bool = True) -> None:
        """Stand before `peer`; `in_step` unless a part of a frame has arrived already."""
        self.peer: Peer = peer
        self.seams: Seams = seams
        self.is_cut: bool = False
        self.to_broker: Stream = Stream(self, "to_broker", self._to_link, in_step=in_step)
        self.to_client: Stream = Stream(self, "to_client", self._to_transport, in_step=True)
        self._link: Link = peer.link
        self._link_is_told = False
        self._is_closing = False
        self._buffer = memoryview(bytearray(_BUFFER))
        self._transport: asyncio.Transport | None = None
        self._front = Front(self)

    @property
    def transport(self) -> asyncio.Transport:
        """The client's transport."""
        assert self._transport is not None
        return self._transport

    @property
    def is_closing(self) -> bool:
        """Whether the broker has nothing more to say, or nobody to say it to."""
        return self.is_cut or self._is_closing or self.transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Whether it holds nothing back in either direction."""
        return self.to_broker.is_idle and self.to_client.is_idle

    def step_in(self) -> None:
        """Take a connection over that is there already."""
        self._transport = self._link.exchange_transport(self._front)
        self._transport.set_protocol(self)

    def step_aside(self) -> None:
        """Leave the connection to itself, unless it is past that or bytes are held back."""
        if self._transport is None or self.is_closing or not self.is_idle:
            return
        if rest := self.to_broker.rest():
            self._to_link(rest)
        self._transport.set_protocol(self._link)
        self._link.exchange_transport(self._transport)
        self.seams.forget(self)

    # --- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the broker begin."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses
        self._link.connection_made(self._front)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return room for what is read."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the client has sent."""
        self.to_broker.feed(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        """Close, unless the broker is not to know that the client has."""
        return self.seams.hides(self.to_broker)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the broker, unless it is not to know."""
        if not self.seams.hides(self.to_broker):
            self.to_broker.end(lambda: self._tell_link(exc))

    def pause_writing(self) -> None:
        """Tell the broker that the client's socket is full."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """Tell the broker that there is room again."""
        self._link.resume_writing()

    # --- called by the link, through its transport -----------------------------------------------

    def close(self) -> None:
        """Close when the client has been sent everything."""
        self._is_closing = True
        if self.seams.hides(self.to_client):
            self.lose_link()
        else:
            self.to_client.end(self.transport.close)

    def abort(self) -> None:
        """Drop the connection; a client behind a black hole does not see it."""
        self._is_closing = True
        if self.seams.hides(self.to_client):
            self.lose_link()
        else:
            self.transport.abort()

    # --- called by faults ----------------------------------------------------------------------

    def cut(self, *, reset: bool) -> None:
        """End the connection without a word of AMQP: by a reset, or by the end of the stream."""
        if self.is_cut:
            return
        self.is_cut = True
        self.to_broker.clear()
        self.to_client.clear()
        if reset:
            reset_transport(self.transport)
        else:
            end_stream(self.transport, self.seams.loop)
        self.lose_link()

    def let_go(self) -> None:
        """Drop a client that was cut off and has not hung up yet."""
        if self.is_cut and self._transport is not None:
            self._transport.abort()

    def lose_link(self) -> None:
        """Tell the broker that its client is gone, once it expects to be called."""
        self.is_cut = True
        self.seams.loop.call_soon(self._tell_link, None)

    # --- inside --------------------------------------------------------------------------------

    def _tell_link(self, exc: Exception | None) -> None:
        if not self._link_is_told:
            self._link_is_told = True
            self._link.connection_lost(exc)
        if self._transport is None or self._transport.is_closing():
            self.seams.forget(self)

    def _to_link(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self._link_is_told:
            room = self._link.get_buffer(len(view))
            size = min(len(room), len(view))
            room[:size] = view[:size]
            self._link.buffer_updated(size)
            view = view[size:]
        framer = self.to_broker.framer
        if not framer.in_step and not self._link.core.decoder.buffered:
            framer.in_step = True

    def _to_transport(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


class Front(asyncio.Transport):
    """What the broker's link takes for its transport."""

    def __init__(self, tap: Tap) -> None:
        """Pass on to a tap what is written."""
        super().__init__()
        self._tap = tap

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # as the base class says
        """Ask the client's transport."""
        return self._tap.transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send something to the client."""
        self._tap.to_client.feed(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send something to the client."""
        self._tap.to_client.feed(b"".join(list_of_data))

    def is_closing(self) -> bool:
        """Return whether nothing reaches the client any more."""
        return self._tap.is_closing

    def close(self) -> None:
        """Close in order."""
        self._tap.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._tap.abort()

    def pause_reading(self) -> None:
        """Leave bytes in the socket."""
        self._tap.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._tap.transport.is_closing():
            self._tap.transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks of the client's transport."""
        self._tap.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait in the client's transport."""
        return self._tap.transport.get_write_buffer_size()
