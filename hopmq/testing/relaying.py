"""Connections through a proxy: two sockets each, and faults in between."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from hopmq.broker.clock import Clock, LoopClock
from hopmq.testing.faults.hanging_up import end_stream, reset_transport, write_end
from hopmq.testing.faults.selection import Direction
from hopmq.testing.faults.stream import Stream, StreamFault

_MOST_HELD: Final = 256 * 1024
"""Bytes on their way in one direction from which on their sender is not read any more."""

_DIAL_TIMEOUT: Final = 60.0
_GONE_TIMEOUT: Final = 5.0


class Relays:
    """The connections through one proxy, and the faults that are for them.

    Attributes:
        loop: The event loop that they live on.
        stream_faults: The faults, oldest first.
        is_stopping: False; a proxy never says good-bye.
        target: Host and port that new connections are passed on to.
        accepted: How many clients have come.
        passed: Bytes that have left the proxy, for each direction.
    """

    def __init__(self, host: str, port: int) -> None:
        """Pass connections on to `host` and `port`."""
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.stream_faults: list[StreamFault] = []
        self.is_stopping: bool = False
        self.target: tuple[str, int] = (host, port)
        self.accepted: int = 0
        self.passed: dict[Direction, int] = {"to_broker": 0, "to_client": 0}
        self._clock = LoopClock(self.loop)
        self._open: set[Relay] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def clock(self) -> Clock:
        """What delays go by."""
        return self._clock

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def accept(self) -> asyncio.Protocol:
        """Return the near end of a new connection."""
        relay = Relay(self)
        return relay.client

    def begin(self, relay: "Relay") -> None:
        """Take note of a new client, and connect it with the broker."""
        self.accepted += 1
        self._open.add(relay)
        self._change()
        dial = self.loop.create_task(self._dial(relay))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)

    def forget(self, relay: "Relay") -> None:
        """Take note that a connection is gone."""
        self._open.discard(relay)
        self._change()

    async def changed(self) -> None:
        """Return once a connection has come or gone."""
        await self._changed.wait()

    def cut(self, *, reset: bool) -> int:
        """End all connections, and return how many there were."""
        relays = [each for each in self._open if not each.is_cut]
        for relay in relays:
            relay.cut(reset=reset)
        return len(relays)

    def add(self, fault: StreamFault) -> None:
        """Let a fault happen from now on."""
        self.stream_faults.append(fault)
        fault.at_end(lambda: self._remove(fault))

    async def close(self) -> None:
        """Drop every connection, and wait until they are gone."""
        for dial in self._dials:
            dial.cancel()
        for relay in list(self._open):
            relay.cut(reset=True)
            relay.drop()
        async with asyncio.timeout(_GONE_TIMEOUT):
            if self._dials:
                await asyncio.wait(self._dials)
            while self._open:
                await self.changed()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _remove(self, fault: StreamFault) -> None:
        self.stream_faults.remove(fault)
        if not fault.hides():
            return
        for relay in list(self._open):
            if relay.to_broker.has_lost or relay.to_client.has_lost:
                relay.cut(reset=True)

    async def _dial(self, relay: "Relay") -> None:
        host, port = self.target
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT):
                await self.loop.create_connection(lambda: relay.broker, host, port)
        except OSError:
            relay.cut(reset=True)
        finally:
            relay.dialled()


class Relay:
    """One connection through the proxy.

    Attributes:
        seams: The proxy's connections and faults.
        peer: None: nothing is known of who is connected.
        is_cut: Whether nothing passes any more.
        to_broker, to_client: Both directions.
        client, broker: Both ends.
    """

    def __init__(self, seams: Relays) -> None:
        """Begin with neither end connected."""
        self.seams: Relays = seams
        self.peer: None = None
        self.is_cut: bool = False
        self.to_broker: Stream = Stream(self, "to_broker", self._to_broker, in_step=True)
        self.to_client: Stream = Stream(self, "to_client", self._to_client, in_step=True)
        self.client: End = End(self, self.to_broker)
        self.broker: End = End(self, self.to_client)

    def connected(self, end: "End") -> None:
        """Go on when an end has its socket."""
        if end is self.client:
            # What it sends before the broker's end is there stays in the socket.
            self.client.pause("no broker yet")
            self.seams.begin(self)
        elif self.is_cut:
            end.reset()
        else:
            self.client.resume("no broker yet")

    def dialled(self) -> None:
        """Take note that the broker's end is there by now, or never will be."""
        if not self.broker.is_connected:
            self.broker.is_gone = True
            self._forget_if_gone()

    def ended(self, end: "End") -> None:
        """Pass on that an end has nothing more to say."""
        self._pass_on(end, self._end_stream)

    def lost(self, end: "End", error: Exception | None) -> None:
        """Pass on that an end is gone."""
        self._pass_on(end, End.close if error is None else End.reset)
        self._forget_if_gone()

    def cut(self, *, reset: bool) -> None:
        """End both ends: by a reset, or by the end of the stream."""
        if self.is_cut:
            return
        self.is_cut = True
        self.to_broker.clear()
        self.to_client.clear()
        for end in (self.client, self.broker):
            if reset:
                end.reset()
            else:
                end.hang_up()

    def drop(self) -> None:
        """Let go of both ends at once."""
        self.client.reset()
        self.broker.reset()

    def other(self, end: "End") -> "End":
        """Return the end that is not `end`."""
        return self.broker if end is self.client else self.client

    def _pass_on(self, end: "End", action: Callable[["End"], None]) -> None:
        """Do to the other end what has happened to this one, after all that was sent before."""
        if self.is_cut:
            return
        if end.stream.is_hidden:
            end.stream.has_lost = True
            return
        if rest := end.stream.rest():
            end.stream.put(rest)
        end.stream.end(lambda: action(self.other(end)))

    def _end_stream(self, end: "End") -> None:
        end.write_eof()
        if end.is_written and self.other(end).is_written:
            end.close()
            self.other(end).close()

    def _forget_if_gone(self) -> None:
        if self.client.is_gone and self.broker.is_gone:
            self.seams.forget(self)

    def _to_broker(self, data: bytes) -> None:
        self._send(self.broker, "to_broker", data)

    def _to_client(self, data: bytes) -> None:
        self._send(self.client, "to_client", data)

    def _send(self, end: "End", direction: Direction, data: bytes) -> None:
        self.seams.passed[direction] += len(data)
        end.write(data)


class End(asyncio.Protocol):
    """One socket of a connection through the proxy.

    Attributes:
        stream: Where the bytes go that it reads.
        is_connected: Whether it has its socket, or had one.
        is_written: Whether the end of the stream was written to it.
        is_gone: Whether it has lost its socket, or will never have one.
    """

    def __init__(self, relay: Relay, stream: Stream) -> None:
        """Belong to a connection."""
        self.stream: Stream = stream
        self.is_connected: bool = False
        self.is_written: bool = False
        self.is_gone: bool = False
        self._relay = relay
        self._transport: asyncio.Transport | None = None
        self._pauses: set[str] = set()

    # --- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_connected = True
        self._relay.connected(self)

    def data_received(self, data: bytes) -> None:
        """Send bytes on their way; read no more for now when there are many."""
        self.stream.feed(data)
        if self.stream.size > _MOST_HELD:
            self.pause("held")
            self.stream.end(lambda: self.resume("held"))

    def eof_received(self) -> bool:
        """Stay open: the other direction may have more, unless the connection was cut."""
        self._relay.ended(self)
        return not self._relay.is_cut

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other end too."""
        self._transport = None
        self.is_gone = True
        self._relay.lost(self, exc)

    def pause_writing(self) -> None:
        """Let the sender feel that this socket is full."""
        self._relay.other(self).pause("full")

    def resume_writing(self) -> None:
        """Let the sender go on."""
        self._relay.other(self).resume("full")

    # --- called by the connection ----------------------------------------------------------------

    def pause(self, reason: str) -> None:
        """Leave bytes in the socket until nobody has a reason for it."""
        if not self._pauses and self._is_open():
            self.transport.pause_reading()
        self._pauses.add(reason)

    def resume(self, reason: str) -> None:
        """Read on, if that was the last reason not to."""
        if reason not in self._pauses:
            return
        self._pauses.discard(reason)
        if not self._pauses and self._is_open():
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Write bytes; what a fault has held back may come when the stream has ended."""
        if self._is_open() and not self.is_written:
            self.transport.write(data)

    def write_eof(self) -> None:
        """Write the end of the stream."""
        if self._is_open() and not self.is_written:
            write_end(self.transport)
        self.is_written = True

    def close(self) -> None:
        """Close when everything is written."""
        if self._is_open():
            self.transport.close()

    def reset(self) -> None:
        """Drop the socket by a reset."""
        if self._transport is not None:
            reset_transport(self._transport)

    def hang_up(self) -> None:
        """End the stream, and drop the socket when the other side has not."""
        if self._is_open() and not self.is_written:
            self.is_written = True
            end_stream(self.transport, self._relay.seams.loop)

    @property
    def transport(self) -> asyncio.Transport:
        """Its socket."""
        assert self._transport is not None
        return self._transport

    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()
