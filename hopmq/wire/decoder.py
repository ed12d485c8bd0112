"""Received bytes to events, in pure Python.

Frames are checked in a fixed order, which the compiled codec keeps as well: the seven octets of
a frame's head as soon as they are there, then its end, then what it carries. Which reply code
answers what follows AMQP 0-9-1, 4.2.3 to 4.2.7 and the constants of its section 1.2.
"""

from struct import Struct
from typing import Final, NoReturn

from hopmq.errors import FrameSyntaxError, UsageError
from hopmq.typedefs import Body
from hopmq.wire import reasons
from hopmq.wire.assembly import Assembly
from hopmq.wire.events import Delivery, Event, Fetched, FrameKind, Heartbeat, ProtocolHeader
from hopmq.wire.limits import (
    DEFAULT_MAX_MESSAGE_SIZE,
    FRAME_END,
    FRAME_MIN_SIZE,
    FRAME_OVERHEAD,
    MAX_CHANNEL,
)
from hopmq.wire.methods import CONNECTION_CLASS
from hopmq.wire.receive_buffer import ReceiveBuffer

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8

_HEAD = Struct(">BHI").unpack_from
_HEAD_SIZE: Final = 7
_PROTOCOL_HEADER_SIZE: Final = 8
_KINDS: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})


class Decoder:
    """Parse a peer's stream, whatever pieces it comes in.

    Attributes:
        frame_max: Largest frame accepted, in bytes; set it after tuning.
        channel_max: Largest channel number accepted; set it after tuning.
    """

    __slots__ = (
        "_assembly",
        "_buffer",
        "_ended",
        "_offset",
        "_parsing",
        "channel_max",
        "frame_max",
    )

    def __init__(
        self,
        *,
        frame_max: int = FRAME_MIN_SIZE,
        channel_max: int = MAX_CHANNEL,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        delivery_type: type[Delivery] = Delivery,
        fetched_type: type[Fetched] = Fetched,
    ) -> None:
        """Start at the first byte of a stream.

        Args:
            frame_max: Largest frame accepted, in bytes.
            channel_max: Largest channel number accepted.
            max_message_size: Largest body accepted; larger ones are skipped as `Oversized`.
            delivery_type: Subclass to make deliveries of, without calling its `__init__`.
            fetched_type: Likewise, for messages that were asked for.
        """
        self.frame_max: int = frame_max
        self.channel_max: int = channel_max
        self._assembly = Assembly(max_message_size, delivery_type, fetched_type)
        self._buffer = ReceiveBuffer()
        self._offset = 0
        self._ended = False
        self._parsing = False

    @property
    def buffered(self) -> int:
        """Bytes held that are not parsed yet."""
        return len(self._buffer)

    def get_buffer(self, size_hint: int = -1) -> memoryview:
        """Return writable room for received bytes; `received` then says how many came."""
        if self._parsing:
            _refuse_entry()
        return self._buffer.room()

    def received(self, nbytes: int) -> list[Event]:
        """Parse what was written to the last `get_buffer()`, up to the end of a batch."""
        if self._parsing:
            _refuse_entry()
        self._buffer.written(nbytes)
        return self.more()

    def rest(self) -> None:
        """Give back memory that only busy reads need: little has come lately."""
        if self._parsing:
            _refuse_entry()
        self._buffer.rest()

    def feed(self, data: Body) -> list[Event]:
        """Copy `data` in and parse, up to the end of a batch."""
        if self._parsing:
            _refuse_entry()
        with memoryview(data) as view, view.cast("B") as octets:
            if not self._ended:
                self._buffer.append(octets)
        return self.more()

    def more(self) -> list[Event]:
        """Go on parsing after a batch that ended early; empty when nothing is left."""
        events: list[Event] = []
        if self._parsing:
            _refuse_entry()
        if self._ended:
            self._buffer.clear()
            return events
        self._parsing = True
        try:
            self._parse(events)
        except FrameSyntaxError as error:
            self._ended = True
            frame = self._frame()
            events.append(
                FrameSyntaxError(self._offset, error.reason, error.reply_code, frame=frame)
            )
        finally:
            self._parsing = False
        return events

    def due(self, channel: int) -> FrameKind:
        """Return which kind of frame has to come next on a channel."""
        return self._assembly.due(channel)

    def skip(self) -> bool:
        """Go on behind the frame at fault; False when its head already is wrong.

        To be called before anything else is: what else has come is dropped otherwise.
        """
        buffer = self._buffer
        held = buffer.end - buffer.start
        if not self._ended or held < _HEAD_SIZE:
            return False
        kind, channel, size = _HEAD(buffer.data, buffer.start)
        size += FRAME_OVERHEAD
        if kind not in _KINDS or size > min(held, self.frame_max) or channel > self.channel_max:
            return False
        buffer.start += size
        self._offset += size
        self._ended = False
        return True

    def _frame(self) -> bytes:
        """Return what has come of the frame that parsing stands at."""
        buffer = self._buffer
        stop = buffer.end
        if stop - buffer.start >= _HEAD_SIZE:
            stop = min(stop, buffer.start + _HEAD(buffer.data, buffer.start)[2] + FRAME_OVERHEAD)
        return bytes(buffer.view[buffer.start : stop])

    def _parse(self, events: list[Event]) -> None:
        buffer = self._buffer
        if self._offset == 0 and len(buffer) and buffer.data[buffer.start] == ord("A"):
            self._protocol_header(events)
            return
        data, view, end = buffer.data, buffer.view, buffer.end
        add = self._assembly.method
        while end - buffer.start >= _HEAD_SIZE:
            start = buffer.start + _HEAD_SIZE
            kind, channel, size = _HEAD(data, start - _HEAD_SIZE)
            if (
                kind not in _KINDS
                or size + FRAME_OVERHEAD > self.frame_max
                or channel > self.channel_max
            ):
                self._refuse_head(kind, channel, size)
            stop = start + size
            if stop >= end:
                return
            if data[stop] != FRAME_END:
                raise FrameSyntaxError(0, reasons.wrong_end(data[stop]), 501)
            if kind == METHOD:
                payload = bytes(view[start:stop])
                event = add(channel, payload)
            elif kind == BODY:
                event = self._assembly.body(channel, view[start:stop])
            elif kind == HEADER:
                event = self._assembly.header(channel, bytes(view[start:stop]))
            else:
                event = _heartbeat(channel, size)
            buffer.start = stop + 1
            self._offset += size + FRAME_OVERHEAD
            if event is not None:
                events.append(event)
                if kind == METHOD and payload[1] == CONNECTION_CLASS:
                    return

    def _protocol_header(self, events: list[Event]) -> None:
        buffer = self._buffer
        if len(buffer) < _PROTOCOL_HEADER_SIZE:
            return
        raw = bytes(buffer.view[buffer.start : buffer.start + _PROTOCOL_HEADER_SIZE])
        if not raw.startswith(b"AMQP"):
            raise FrameSyntaxError(0, reasons.not_amqp(raw), 501)
        buffer.start += _PROTOCOL_HEADER_SIZE
        self._offset += _PROTOCOL_HEADER_SIZE
        events.append(ProtocolHeader(raw))

    def _refuse_head(self, kind: int, channel: int, size: int) -> None:
        if kind not in _KINDS:
            if self._offset == 0:
                start = self._buffer.start
                raw = bytes(self._buffer.view[start : start + _HEAD_SIZE])
                raise FrameSyntaxError(0, reasons.not_amqp(raw), 501)
            raise FrameSyntaxError(0, reasons.unknown_frame(kind), 501)
        if size + FRAME_OVERHEAD > self.frame_max:
            raise FrameSyntaxError(0, reasons.frame_too_large(size, self.frame_max), 501)
        raise FrameSyntaxError(0, reasons.channel_too_large(channel, self.channel_max), 504)


def _refuse_entry() -> NoReturn:
    raise UsageError("the decoder is parsing already")


def _heartbeat(channel: int, size: int) -> Heartbeat:
    if channel:
        raise FrameSyntaxError(0, reasons.heartbeat_channel(channel), 501)
    if size:
        raise FrameSyntaxError(0, reasons.HEARTBEAT_PAYLOAD, 501)
    return Heartbeat()
