"""A broker within the process that costs next to nothing, for counting what the client costs.

It answers requests by a table while things are set up. Then it only counts bytes: publishes of one
work are alike, so their number is known without a look at them.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from pamqp import body, commands, frame, header
from pamqp.base import Frame

from hopmq.transport.memory import listen

NAME = "guard"
_ack = struct.Struct(">BHIHHQBB").pack

BUFFER_SIZE = 256 * 1024
PREFIX = b"AMQP\x00\x00\x09\x01"

ANSWERS: dict[type[Frame], Callable[[], Frame] | None] = {
    commands.Connection.StartOk: lambda: commands.Connection.Tune(2047, 131_072, 0),
    commands.Connection.TuneOk: None,
    commands.Connection.Open: commands.Connection.OpenOk,
    commands.Connection.Close: commands.Connection.CloseOk,
    commands.Channel.Open: commands.Channel.OpenOk,
    commands.Channel.Close: commands.Channel.CloseOk,
    commands.Basic.Qos: commands.Basic.QosOk,
    commands.Confirm.Select: commands.Confirm.SelectOk,
}


class ScriptedPeer(asyncio.BufferedProtocol):
    """One connection.

    Attributes:
        on_bytes: Called with how many bytes have arrived, if set, and nothing is answered.
        consumer: Channel and tag of the last consumer.
    """

    def __init__(self) -> None:
        self.on_bytes: Callable[[int], None] | None = None
        self.consumer: tuple[int, str] = (0, "")
        self._unread = b""
        self._arriving = memoryview(bytearray(BUFFER_SIZE))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._arriving

    def buffer_updated(self, nbytes: int) -> None:
        if self.on_bytes is not None:
            self.on_bytes(nbytes)
        else:
            self._answer_all(bytes(self._arriving[:nbytes]))

    def _answer_all(self, data: bytes) -> None:
        data = self._unread + data
        if data.startswith(PREFIX):
            data = data.removeprefix(PREFIX)
            self._send(0, commands.Connection.Start(0, 9, {}, "PLAIN", "en_US"))
        while len(data) >= 8 and (size := int.from_bytes(data[3:7]) + 8) <= len(data):
            _, channel, request = frame.unmarshal(data[:size])
            data = data[size:]
            self._answer(channel, cast("Frame", request))
        self._unread = data

    def _answer(self, channel: int, request: Frame) -> None:
        if isinstance(request, commands.Basic.Consume):
            self.consumer = (channel, str(request.consumer_tag))
            self._send(channel, commands.Basic.ConsumeOk(request.consumer_tag))
        elif isinstance(request, commands.Basic.Cancel):
            self._send(channel, commands.Basic.CancelOk(request.consumer_tag))
        elif isinstance(request, (commands.Basic.Ack, commands.Basic.Nack, commands.Basic.Reject)):
            pass
        elif (answer := ANSWERS[type(request)]) is not None:
            self._send(channel, answer())

    def _send(self, channel: int, method: Frame) -> None:
        self.transport.write(frame.marshal(method, channel))

    def deliveries(self, first: int, count: int, content: bytes) -> bytes:
        """Return that many deliveries to the consumer, with tags from `first` on."""
        channel, consumer_tag = self.consumer
        rest = frame.marshal(header.ContentHeader(0, len(content)), channel)
        rest += frame.marshal(body.ContentBody(content), channel)
        return b"".join(
            frame.marshal(commands.Basic.Deliver(consumer_tag, tag, False, "", "queue"), channel)
            + rest
            for tag in range(first, first + count)
        )


class CountedPublishes:
    """Takes what arrives for publishes of one size, and confirms them if asked to."""

    def __init__(self, peer: ScriptedPeer, size: int, confirmed_on: int | None) -> None:
        """Take over; `confirmed_on` is the channel of the confirms."""
        self._transport = peer.transport
        self._size = size
        self._channel = confirmed_on
        self._bytes = 0
        self._whole = 0
        self._awaited = 0
        self._reached: asyncio.Event = asyncio.Event()
        peer.on_bytes = self._take

    async def total(self, count: int) -> None:
        """Wait until that many have arrived since the beginning."""
        self._awaited = count
        if self._whole < count:
            self._reached.clear()
            await self._reached.wait()

    def _take(self, size: int) -> None:
        self._bytes += size
        whole = self._bytes // self._size
        if self._channel is not None and whole > self._whole:
            self._transport.write(_ack(1, self._channel, 13, 60, 80, whole, 1, 0xCE))
        self._whole = whole
        if whole >= self._awaited:
            self._reached.set()


def size_of_publish(routing_key: str, content: bytes) -> int:
    """Return the bytes that a persistent message to the default exchange has on the wire."""
    properties = commands.Basic.Properties(delivery_mode=2)
    parts = (
        commands.Basic.Publish(0, "", routing_key),
        header.ContentHeader(0, len(content), properties),
        body.ContentBody(content),
    )
    return sum(len(frame.marshal(part, 1)) for part in parts)


def listening() -> "asyncio.Future[ScriptedPeer]":
    """Wait for a connection to `memory://guard`; the future has its peer."""
    connected: asyncio.Future[ScriptedPeer] = asyncio.get_running_loop().create_future()

    def accept() -> ScriptedPeer:
        peer = ScriptedPeer()
        connected.set_result(peer)
        return peer

    listen(NAME, accept)
    return connected
