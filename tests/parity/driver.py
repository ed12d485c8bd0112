"""A raw AMQP 0-9-1 peer: the codec, a socket, and no opinion on what may be sent when.

Everything is pulled by the test itself: no task runs beside it, and what arrived waits in the
inbox of its channel, in order. Every wait is bounded by `PATIENCE`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Self, TypeVar

from pamqp.base import Frame
from pamqp.commands import Channel as ChannelClass, Connection

from hopmq import wire
from hopmq.errors import FrameSyntaxError
from hopmq.typedefs import FieldTable
from hopmq.url import Endpoint, parse_url
from hopmq.wire import new_method
from parity.channel import ChannelDriver
from parity.closed import Closed, Dropped

T = TypeVar("T")
FrameT = TypeVar("FrameT", bound=Frame)

PATIENCE = 20.0
"""Seconds that any single answer may take, on a loaded machine."""

CAPABILITIES: FieldTable = {
    "capabilities": {
        "publisher_confirms": True,
        "basic.nack": True,
        "consumer_cancel_notify": True,
        "connection.blocked": True,
        "authentication_failure_close": True,
    }
}


async def dial(endpoint: Endpoint, protocol: asyncio.Protocol) -> None:
    """Connect `protocol` to a broker: the one place that knows how addresses are reached."""
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, endpoint.host, endpoint.port)


def plain(username: str, password: str) -> bytes:
    """Return the response of the mechanism PLAIN."""
    return f"\0{username}\0{password}".encode()


def amqplain(table: FieldTable) -> bytes:
    """Return a response of the mechanism AMQPLAIN: a table without its length."""
    return wire.active.encode_table(table)[4:]


class Peer(asyncio.Protocol):
    """One connection to a broker, sent what the test says.

    Attributes:
        endpoint: What the URL said.
        frame_max, channel_max: What was agreed on; the decoder holds the broker to it.
        control: Channel 0.
        start, tune: The broker's side of the handshake, once it has come.
        heartbeats: How many came.
        headers: Protocol headers that came, from a broker that speaks another version.
        declared: Queues and exchanges declared here, to be deleted after the test.
        stray: What came on channels that are not open.
        answers_closes: Whether the broker's closes are answered at once, as they should be.
        closed: How the broker closed the connection, if it did.
        gone: Whether the socket is closed.
        fault: What the broker sent that is no AMQP; whoever waits gets it raised.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.frame_max = 131_072
        self.channel_max = 2047
        self.control = ChannelDriver(self, 0)
        self.start: Connection.Start | None = None
        self.tune: Connection.Tune | None = None
        self.heartbeats = 0
        self.headers: list[bytes] = []
        self.declared: list[Frame] = []
        self.stray: list[Any] = []  # Any: events of whichever codec is active
        self.answers_closes = True
        self.closed: Closed | None = None
        self.gone = False
        self.fault: FrameSyntaxError | None = None
        self._channels: dict[int, ChannelDriver] = {0: self.control}
        self._decoder = wire.active.Decoder(frame_max=self.frame_max)
        self._waiters: list[asyncio.Future[None]] = []
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def dial(cls, url: str) -> Self:
        """Open a socket and send nothing."""
        peer = cls(parse_url(url))
        async with asyncio.timeout(PATIENCE):
            await dial(peer.endpoint, peer)
        return peer

    @classmethod
    async def open(cls, url: str, **parts: Any) -> Self:  # Any: the keywords of handshake
        """Open a socket and a connection."""
        peer = await cls.dial(url)
        try:
            await peer.handshake(**parts)
        except BaseException:
            peer.abort()
            await peer.until_eof()
            raise
        return peer

    # --- the handshake, in one go or step by step ---------------------------------------------

    async def handshake(
        self,
        *,
        header: bytes = wire.active.PROTOCOL_HEADER,
        mechanism: str = "PLAIN",
        response: bytes | None = None,
        locale: str = "en_US",
        client_properties: FieldTable = CAPABILITIES,
        channel_max: int | None = None,
        frame_max: int | None = None,
        heartbeat: int = 0,
        vhost: str | None = None,
    ) -> None:
        """Go through all steps; what is left out is what a proper client sends."""
        await self.greet(header)
        self.start_ok(mechanism, response, locale, client_properties)
        await self.await_tune()
        self.tune_ok(channel_max, frame_max, heartbeat)
        await self.open_vhost(vhost)

    async def greet(self, header: bytes = wire.active.PROTOCOL_HEADER) -> Connection.Start:
        """Send a protocol header and return connection.start."""
        self.write(header)
        self.start = await self.control.expect(Connection.Start)
        return self.start

    def start_ok(
        self,
        mechanism: str = "PLAIN",
        response: bytes | None = None,
        locale: str = "en_US",
        client_properties: FieldTable = CAPABILITIES,
    ) -> None:
        """Send connection.start-ok; the URL's credentials unless there is a response."""
        if response is None:
            who = self.endpoint.username or "guest", self.endpoint.password or "guest"
            response = plain(*who)
        self.control.send(
            Connection.StartOk,
            client_properties=client_properties,
            mechanism=mechanism,
            response=response,
            locale=locale,
        )

    async def await_tune(self) -> Connection.Tune:
        """Return connection.tune."""
        self.tune = await self.control.expect(Connection.Tune)
        return self.tune

    def tune_ok(
        self,
        channel_max: int | None = None,
        frame_max: int | None = None,
        heartbeat: int = 0,
    ) -> None:
        """Send connection.tune-ok; what is left out is as the broker offered."""
        assert self.tune is not None
        self.channel_max = self.tune.channel_max if channel_max is None else channel_max
        self.frame_max = self.tune.frame_max if frame_max is None else frame_max
        if self.frame_max >= 4096:
            self._decoder.frame_max = self.frame_max
        self.control.send(
            Connection.TuneOk,
            channel_max=self.channel_max,
            frame_max=self.frame_max,
            heartbeat=heartbeat,
        )

    async def open_vhost(self, vhost: str | None = None) -> Connection.OpenOk:
        """Open a virtual host, the URL's own unless one is named."""
        where = self.endpoint.vhost if vhost is None else vhost
        return await self.control.call(
            new_method(Connection.Open, virtual_host=where), Connection.OpenOk
        )

    @property
    def server_properties(self) -> FieldTable:
        """What the broker says of itself."""
        assert self.start is not None
        properties: FieldTable = self.start.server_properties
        return properties

    # --- channels -----------------------------------------------------------------------------

    async def channel(self, number: int | None = None) -> ChannelDriver:
        """Open a channel, the first free one unless it is named."""
        channel = self.unopened(number)
        await channel.call(new_method(ChannelClass.Open), ChannelClass.OpenOk)
        return channel

    def unopened(self, number: int | None = None) -> ChannelDriver:
        """Return a channel whose opening is left to the test."""
        if number is None:
            taken = self._channels
            number = next(n for n in range(1, 65_536) if n not in taken)
        channel = self._channels[number] = ChannelDriver(self, number)
        return channel

    @property
    def channels(self) -> list[ChannelDriver]:
        """Every channel but channel 0."""
        return [channel for number, channel in self._channels.items() if number]

    def forget_declared(self) -> list[Frame]:
        """Return what was declared since, through any channel there has been."""
        declared, self.declared = self.declared, []
        return declared

    def forget(self, number: int) -> None:
        """Make the number of a closed channel free again."""
        self._channels.pop(number, None)

    # --- the socket ---------------------------------------------------------------------------

    def write(self, data: bytes | memoryview) -> None:
        """Send raw bytes."""
        assert self._transport is not None
        self._transport.write(data)

    def abort(self) -> None:
        """Drop the socket."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close in good order, and wait until the broker has hung up; idempotent."""
        try:
            if not self.gone and self.closed is None:
                close = new_method(Connection.Close, reply_code=200, reply_text="done")
                await self.control.call(close, Connection.CloseOk)
        finally:
            self.abort()
            await self.until_eof()

    async def until_closed(self) -> Closed:
        """Wait until the broker closes the connection and return how."""
        await self.wait(lambda: self.closed or self.gone or None)
        if self.closed is None:
            raise Dropped("the broker hung up without a close")
        return self.closed

    async def until_eof(self) -> None:
        """Wait until the broker hangs up."""
        await self.wait(lambda: self.gone or None)

    async def until_dropped(self, patience: float = PATIENCE) -> None:
        """Wait until the broker hangs up; fail if it says a word before."""
        await self.wait(lambda: self.gone or None, patience)
        if self.closed is not None:
            raise self.closed

    async def wait(self, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
        """Return what `look` finds as soon as it finds something."""
        async with asyncio.timeout(patience):
            while (found := look()) is None:
                if self.fault is not None:
                    raise self.fault
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter
        return found

    # --- called by the transport --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Put what came into the inboxes."""
        events = self._decoder.feed(data)
        while events:
            for event in events:
                self._sort(event)
            events = self._decoder.more()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _sort(self, event: Any) -> None:  # Any: events of whichever codec is active
        if isinstance(event, FrameSyntaxError):
            self.fault = event
            return
        kind = type(event).__name__
        if kind == "Heartbeat":
            self.heartbeats += 1
        elif kind == "ProtocolHeader":
            self.headers.append(event.raw)
        elif kind == "Method" and isinstance(event.method, Connection.Close):
            self.closed = Closed.by(event.method)
            if self.answers_closes:
                self.control.send(Connection.CloseOk)
        else:
            channel = self._channels.get(event.channel)
            self.stray.append(event) if channel is None else channel.arrived(event)
