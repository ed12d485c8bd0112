"""One connection as the scripted server sees it."""

import asyncio
import socket
import struct
from collections import defaultdict, deque
from typing import Any, cast

from pamqp.base import Frame
from pamqp.commands import Basic, Confirm, Connection

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    AuthenticationRequested,
    ChannelOpened,
    CoreEvent,
    MessagePublished,
    MethodReceived,
    SecretUpdated,
    VhostRequested,
)
from hopmq.core.settings import ServerSettings
from hopmq.errors import channel_closed
from hopmq.wire import PURE, Properties, new_method
from scripted import frames
from scripted.answers import answer
from scripted.gate import Gate

PATIENCE = 30.0
"""Seconds that the end of a link may take, on a loaded machine."""


class Peer(asyncio.Protocol):
    """The broker's end: it answers all by itself, as far as the gate lets it.

    Attributes:
        core: The state machine in the server's role.
        lost: Done when the socket is closed.
        seen: The names of everything the client has sent, in order.
    """

    def __init__(self, settings: ServerSettings, gate: Gate) -> None:
        self._loop = asyncio.get_running_loop()
        self.core = ConnectionCore(settings, self._loop.time())
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.seen: list[str] = []
        self._gate = gate
        self._tap = PURE.Decoder(frame_max=1 << 31)
        # Any: wire events of many classes.
        self._unread: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._arrival: asyncio.Future[None] = self._loop.create_future()
        self._confirms: dict[int, int] = {}
        self._trickle: deque[int] | None = None

    # --- the socket ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        # A cast: uvloop's transports have none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Note what came and let the core answer."""
        self._note(data)
        self.core.receive_data(data, self._loop.time())
        for event in self.core.events():
            self._on_event(event)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.core.receive_eof(self._loop.time())
        self.lost.set_result(None)

    # --- what the client sent --------------------------------------------------------------

    async def receives(self, name: str) -> Any:
        """Wait for the next thing of that name from the client: a method, or a wire event.

        Methods are named as in `Queue.Declare`; publishes `Published`, settlements `Ack`, `Nack`
        and `Reject`, and then there are `Heartbeat` and `ProtocolHeader`.
        """
        while not self._unread[name]:
            await asyncio.shield(self._arrival)
        event = self._unread[name].popleft()
        return getattr(event, "method", event)

    def forget(self) -> None:
        """Forget what the client has sent so far."""
        self.seen.clear()
        self._unread.clear()

    def _note(self, data: bytes) -> None:
        batch = self._tap.feed(data)
        while batch:
            for event in batch:
                method = getattr(event, "method", None)
                name = type(event).__name__ if method is None else method.name
                self.seen.append(name)
                self._unread[name].append(event)
            batch = self._tap.more()
        arrival, self._arrival = self._arrival, self._loop.create_future()
        arrival.set_result(None)

    # --- what goes out ---------------------------------------------------------------------

    def flush(self) -> None:
        """Pass on what the core has to send, frame by frame; closing is left to the client."""
        for data in self.core.data_to_send(self._loop.time()):
            for frame in frames.split(bytes(data)):
                self._gate.pass_on(self.write, frame)

    def write(self, data: bytes) -> None:
        """Send raw bytes, whatever they are."""
        if self._trickle is None:
            self.transport.write(data)
            return
        idle = not self._trickle
        self._trickle.extend(data)
        if idle:
            self._loop.call_soon(self._write_one_byte)

    def write_byte_by_byte(self) -> None:
        """Send no more than one byte in each turn of the loop from now on."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._trickle = deque()

    def _write_one_byte(self) -> None:
        if self._trickle and not self.transport.is_closing():
            self.transport.write(bytes([self._trickle.popleft()]))
            self._loop.call_soon(self._write_one_byte)

    def send(self, channel: int, method: Frame) -> None:
        """Send a method past the gate."""
        self.write(frames.method(channel, method))

    def deliver(
        self,
        channel: int,
        consumer_tag: str,
        delivery_tag: int,
        body: bytes = b"hello",
        properties: Properties | None = None,
    ) -> None:
        """Deliver a message past the gate."""
        self.write(delivery(channel, consumer_tag, delivery_tag, body, properties))

    def confirm(self, channel: int, delivery_tag: int, *, multiple: bool = False) -> None:
        """Confirm a publish past the gate."""
        self.write(PURE.encode_ack(channel, delivery_tag, multiple))

    def close_channel(self, channel: int, code: int, text: str, because: type[Frame]) -> None:
        """Close a channel as a broker does: whatever comes on it is dropped until close-ok."""
        index = because.index
        error = channel_closed(code, text, class_id=index >> 16, method_id=index & 0xFFFF)
        self.core.channels[channel].abort(error)
        self.flush()

    def close_connection(self, code: int, text: str) -> None:
        """Close the connection as a broker does."""
        self.core.close(code, text)
        self.flush()

    def hang_up(self) -> None:
        """Close the socket without a word."""
        self.transport.close()

    def drop(self) -> None:
        """Close the socket at once; nothing happens if it is closed."""
        if hasattr(self, "transport"):
            self.transport.abort()
        else:
            self.lost.set_result(None)  # the loop has not made it yet

    def reset(self) -> None:
        """Reset the socket (RST)."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    # --- how it answers --------------------------------------------------------------------

    def _on_event(self, event: CoreEvent) -> None:
        match event:
            case AuthenticationRequested():
                self.core.opening.accept_login()
            case VhostRequested():
                self.core.opening.accept_vhost()
            case ChannelOpened(channel=channel):
                self._confirms.pop(channel, None)
            case MethodReceived(channel=channel, method=method):
                self._answer(channel, method)
            case MessagePublished(channel=channel) if channel in self._confirms:
                self._confirms[channel] += 1
                tag = self._confirms[channel]
                self.core.write(self.core.codec.encode_ack(channel, tag, False))
            case SecretUpdated():
                self.core.send(new_method(Connection.UpdateSecretOk))
            case _:
                pass

    def _answer(self, channel: int, method: Frame) -> None:
        if isinstance(method, Confirm.Select):
            self._confirms[channel] = 0
        reply = answer(method)
        if reply is not None and not getattr(method, "nowait", False):
            frame_max = self.core.frame_max
            self.core.write(self.core.codec.encode_method(channel, reply, frame_max))


def delivery(
    channel: int,
    consumer_tag: str,
    delivery_tag: int,
    body: bytes = b"hello",
    properties: Properties | None = None,
) -> bytes:
    """Make the frames of a delivery."""
    out: list[Any] = []
    PURE.append_deliver(
        out, channel, consumer_tag, delivery_tag, False, "", "key", properties, body, 131_072
    )
    return b"".join(out)


def fetched(channel: int, delivery_tag: int, body: bytes = b"hello") -> bytes:
    """Make the frames of an answer to basic.get."""
    out: list[Any] = []
    PURE.append_get_ok(out, channel, delivery_tag, False, "", "key", 0, None, body, 131_072)
    return b"".join(out)


def cancelled(channel: int, consumer_tag: str) -> bytes:
    """Make the frame by which a broker cancels a consumer."""
    method = new_method(Basic.Cancel, consumer_tag=consumer_tag, nowait=True)
    return frames.method(channel, method)
