"""One connection: bytes and calls in, bytes and events out, for either role."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from pamqp.base import Frame
from pamqp.commands import Channel, Connection

from hopmq import wire
from hopmq.core.channel import ChannelCore
from hopmq.core.channel_ids import ChannelIds
from hopmq.core.closing import closing_method
from hopmq.core.dispatch import Dispatch
from hopmq.core.events import ConnectionEnded, CoreEvent
from hopmq.core.heartbeat import DEAD_AFTER, HeartbeatTimer
from hopmq.core.opening import Opening
from hopmq.core.replies import NOBODY, ReplyQueue, ReplySlot, Waiter
from hopmq.core.settings import ClientSettings, ServerSettings, Tuning
from hopmq.core.states import CONNECTION_MOVES, ChannelState, ConnectionState, Role
from hopmq.errors import (
    ClosedError,
    ConnectionClosed,
    ConnectionLostError,
    FrameSyntaxError,
    UsageError,
    connection_closed,
)
from hopmq.wire import Codec, Decoder, Delivery, Fetched, new_method
from hopmq.wire.codec import AppendPublish
from hopmq.wire.limits import DEFAULT_FRAME_MAX, FRAME_MIN_SIZE, FRAME_OVERHEAD

_PEER_FAULT_HINT: Final = "the peer broke the protocol; please report it with a wire trace"


class AckSource(Protocol):
    """Whoever gathers acks in a turn of the loop: a client's channel, or a broker's confirms."""

    def flush_acks(self) -> None:
        """Write them."""


def _nothing() -> None:
    """Stand in for an owner that is not interested."""


class _Batches(Protocol):
    """Whoever takes what a read gave."""

    def batch(self, events: list[Any]) -> None:  # the decoder's events have no common type
        """Act on each."""


class _Deaf:
    """Hears nothing more of the peer."""

    def batch(self, events: list[Any]) -> None:
        """Do nothing."""


def _before_tuning(settings: ClientSettings | ServerSettings) -> int:
    """Return the largest frame that the peer may send before limits are agreed on."""
    if isinstance(settings, ServerSettings):
        return settings.frame_min + FRAME_OVERHEAD
    return FRAME_MIN_SIZE


def _server_dispatch() -> type[Dispatch]:
    from hopmq.core.server_dispatch import ServerDispatch  # which programs without a broker lack

    return ServerDispatch


class ConnectionCore:
    """The state machine of a connection.

    The owner feeds it what the socket gave (`receive_data`, or `get_buffer` and `received`) and
    the passing of time (`next_deadline`, `handle_deadline`), acts on `events`, and writes
    `data_to_send`. Nothing the peer sends makes it raise. With `on_event` each event is passed to
    it at once, before the next frame is looked at, and `events` stays empty.

    Attributes:
        state: Where it stands.
        tuning: The limits both sides agreed on.
        channels: The channels in use, by id.
        error: Why it ended, once it has.
        frame_max: Largest frame that may be sent, in bytes.
        on_output: Called when there is something to send after there was nothing.
        on_woken: Called when a confirm has come that somebody waited for.
        opening: The handshake, and the verdicts that a server owes it.
        now: The time of the last call, on the owner's clock.
    """

    def __init__(
        self,
        settings: ClientSettings | ServerSettings,
        now: float,
        *,
        codec: Codec | None = None,
        delivery_type: type[Delivery] | None = None,
        fetched_type: type[Fetched] | None = None,
        on_event: Callable[[CoreEvent], None] | None = None,
    ) -> None:
        """Take the role that the settings are for."""
        self.settings: ClientSettings | ServerSettings = settings
        self.codec: Codec = codec or wire.active
        self.state: ConnectionState = ConnectionState.HANDSHAKE
        self.tuning: Tuning = settings.tuning
        self.channels: dict[int, ChannelCore] = {}
        self.error: ClosedError | None = None
        # Credentials such as a token may need more than the minimum before tuning.
        self.frame_max: int = settings.tuning.frame_max or DEFAULT_FRAME_MAX
        self.on_output: Callable[[], None] = _nothing
        self.on_woken: Callable[[], None] = _nothing
        self.out: list[bytes | memoryview] = []
        self.out_size: int = 0
        self.append_publish: AppendPublish = self.codec.append_publish
        self.heartbeat: HeartbeatTimer = HeartbeatTimer(now)
        self.replies: ReplyQueue = ReplyQueue()
        self.now: float = now
        self.role: Role = Role.SERVER
        if isinstance(settings, ClientSettings):
            self.role = Role.CLIENT
            self.out.append(self.codec.PROTOCOL_HEADER)
        self.opening: Opening = Opening(self)
        delivery_type = delivery_type or self.codec.Delivery
        fetched_type = fetched_type or self.codec.Fetched
        self.decoder: Decoder = self.codec.Decoder(
            frame_max=_before_tuning(settings),
            max_message_size=settings.max_message_size,
            delivery_type=delivery_type,
            fetched_type=fetched_type,
        )
        self.get_buffer: Callable[[int], memoryview] = self.decoder.get_buffer
        dispatch = Dispatch if self.role is Role.CLIENT else _server_dispatch()
        self._dispatch: _Batches = dispatch(self, delivery_type, fetched_type)
        self._with_acks: list[AckSource] = []
        self._events: list[CoreEvent] = []
        self.add_event: Callable[[CoreEvent], None] = on_event or self._events.append
        self._close_deadline: float | None = None
        self._channel_ids = ChannelIds()

    # --- receiving -------------------------------------------------------------------------

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Take bytes from the peer, split in any way."""
        self._received(self.decoder.feed(data), now)

    def received(self, nbytes: int, now: float) -> None:
        """Take the `nbytes` that the owner put into the last `get_buffer`."""
        self._received(self.decoder.received(nbytes), now)

    def receive_eof(self, now: float, reason: str = "the peer closed the link") -> None:
        """Take note that the link has ended."""
        self.now = now
        if self.state is ConnectionState.HANDSHAKE:
            self.opening.receive_eof(reason)
        elif self.state is not ConnectionState.CLOSED:
            self.end(ConnectionLostError(reason))

    def events(self) -> list[CoreEvent]:
        """Return what has happened since the last call."""
        events = self._events.copy()
        self._events.clear()
        return events

    def _received(self, batch: list[Any], now: float) -> None:
        self.now = now
        self.heartbeat.last_received = now
        while batch:
            self._dispatch.batch(batch)
            batch = self.decoder.more()

    # --- sending ---------------------------------------------------------------------------

    def data_to_send(self, now: float) -> list[bytes | memoryview]:
        """Return what is to be written, in order; acks of this turn are coalesced here."""
        self.flush_acks()
        out, self.out = self.out, []
        self.out_size = 0
        if self.state is ConnectionState.CLOSING and self._close_deadline is None:
            self._close_deadline = now + self.settings.close_timeout
        if out:
            self.heartbeat.last_sent = now
        return out

    def flush_acks(self) -> None:
        """Write the acks that were gathered in this turn."""
        if self._with_acks:
            sources, self._with_acks = self._with_acks, []
            for source in sources:
                source.flush_acks()

    def write(self, data: bytes) -> None:
        """Queue encoded frames."""
        if not self.out:
            self.on_output()
        self.out.append(data)
        self.out_size += len(data)

    def wrote(self, size: int) -> None:
        """Take note that a content encoder appended `size` bytes to `out`."""
        if not self.out_size:
            self.on_output()
        self.out_size += size

    def has_acks(self, source: AckSource) -> None:
        """Remember that `source` has acks to flush."""
        if not self._with_acks:
            self.on_output()
        self._with_acks.append(source)

    def send(self, method: Frame) -> None:
        """Write a method of class connection."""
        self.write(self.codec.encode_method(0, method, self.frame_max))

    def request(self, waiter: Waiter, method: Frame, *replies: type) -> None:
        """Write a connection method whose reply goes to `waiter`."""
        self.check_open()
        self.send(method)
        self.replies.expect(ReplySlot(waiter, method.index, replies))

    def check_open(self) -> None:
        """Raise what ended the connection unless it is open."""
        if self.state is ConnectionState.OPEN:
            return
        if self.error is not None:
            raise self.error.again()
        raise UsageError("the connection is not open")

    # --- channels --------------------------------------------------------------------------

    def open_channel(self, waiter: Waiter) -> ChannelCore:
        """Ask for a new channel (client role).

        Raises:
            NoChannelAvailableError: Every id up to the negotiated channel_max is in use.
        """
        self.check_open()
        if self.role is Role.SERVER:
            raise UsageError("it is the client that opens channels")
        channel = ChannelCore(self, self._channel_ids.take(self.tuning.channel_max))
        self.channels[channel.channel_id] = channel
        method = new_method(Channel.Open)
        self.write(self.codec.encode_method(channel.channel_id, method, self.frame_max))
        channel.replies.expect(
            ReplySlot(
                waiter,
                method.index,
                (Channel.OpenOk,),
                on_abandoned=lambda _: channel.close(NOBODY),
            )
        )
        return channel

    def accept_channel(self, channel_id: int) -> ChannelCore:
        """Open a channel at the peer's wish (server role)."""
        channel = ChannelCore(self, channel_id, ChannelState.OPEN)
        self.channels[channel_id] = channel
        self.write(self.codec.encode_method(channel_id, new_method(Channel.OpenOk), self.frame_max))
        return channel

    def release_channel(self, channel: ChannelCore) -> None:
        """Let the id of a closed channel be used again."""
        del self.channels[channel.channel_id]
        if self.role is Role.CLIENT:
            self._channel_ids.give_back(channel.channel_id)

    # --- ending ----------------------------------------------------------------------------

    def close(self, reply_code: int = 200, reply_text: str = "closed") -> None:
        """Close in order: nothing but close-ok counts from now on. Does nothing when closed."""
        self.close_with(connection_closed(reply_code, reply_text, by_peer=False))

    def close_with(self, error: ConnectionClosed) -> None:
        """Close in order and tell the peer why, with the method that caused it."""
        if self.state is ConnectionState.HANDSHAKE:
            self.stop()
        if self.state is not ConnectionState.OPEN:
            return
        for channel in self.channels.values():
            channel.flush_acks()
        self._begin_close(error)

    def fail(self, reply_code: int, reason: str, method: Frame | None = None) -> None:
        """Close because the peer broke a rule."""
        if self.state is ConnectionState.HANDSHAKE:
            self.opening.refuse_garbage(FrameSyntaxError(0, reason, reply_code))
        elif self.state is ConnectionState.OPEN:
            index = method.index if method is not None else 0
            error_ = connection_closed(
                reply_code,
                reason,
                class_id=index >> 16,
                method_id=index & 0xFFFF,
                by_peer=False,
                hint=_PEER_FAULT_HINT,
            )
            self._begin_close(error_)
        elif self.state is ConnectionState.CLOSING:
            self.stop()

    def fail_syntax(self, error: FrameSyntaxError) -> None:
        """Close because the peer's bytes are malformed."""
        if self.state is ConnectionState.HANDSHAKE:
            self.opening.refuse_garbage(error)
        else:
            self.fail(error.reply_code, str(error))

    def drop(self, reason: str) -> None:
        """Hang up without a word."""
        self.end(ConnectionLostError(reason))

    def end(self, error: ConnectionClosed) -> None:
        """Close for good."""
        was_closing = self.state is ConnectionState.CLOSING
        self.stop()
        if not was_closing:
            self._tell(error)

    def disown(self, error: ConnectionClosed) -> bool:
        """Be closed at once, without a word to anybody: the link is another process's.

        Returns:
            Whether there is an end that `tell_end` can tell of.
        """
        self.out.clear()
        self.out_size = 0
        was_open = self.state is ConnectionState.OPEN
        if was_open:
            self.error = error
            for channel in self.channels.values():
                channel.disown(error)
        if self.state is not ConnectionState.CLOSED:
            self.stop()
        return was_open

    def tell_end(self) -> None:
        """Give everybody who waits the reason that `disown` was given."""
        assert isinstance(self.error, ConnectionClosed)
        self._tell(self.error)

    def stop(self) -> None:
        """Be closed: nothing is due any more."""
        self.move(ConnectionState.CLOSED)
        self.heartbeat.interval = 0
        self._close_deadline = None
        self.opening.deadline = None

    def _begin_close(self, error: ConnectionClosed) -> None:
        self.send(closing_method(Connection.Close, error))
        self.move(ConnectionState.CLOSING)
        self._tell(error)

    def _tell(self, error: ConnectionClosed) -> None:
        """Give everybody who waits the reason."""
        self.error = error
        channels, self.channels = self.channels, {}
        for channel in channels.values():
            channel.end(error)
        self.replies.fail(error)
        self._with_acks.clear()
        self.add_event(ConnectionEnded(error))

    # --- time ------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` is due next, on the owner's clock."""
        times = (self.heartbeat.next_deadline(), self._close_deadline, self.opening.deadline)
        return min((time for time in times if time is not None), default=None)

    def handle_deadline(self, now: float) -> None:
        """Do what is due: send a heartbeat, give up a dead peer or an unanswered close."""
        self.now = now
        if self._close_deadline is not None and now >= self._close_deadline:
            self.stop()
        self.opening.handle_deadline(now)
        if self.heartbeat.is_dead(now):
            silence = DEAD_AFTER * self.heartbeat.interval
            self.end(
                ConnectionLostError(
                    f"no byte from the peer for {silence:g} seconds, two heartbeat intervals"
                )
            )
        elif self.heartbeat.is_due(now):
            self.write(self.codec.HEARTBEAT)
            self.heartbeat.last_sent = now
            self.decoder.rest()

    # --- inside ----------------------------------------------------------------------------

    def ignore_input(self) -> None:
        """Hear nothing more of the peer."""
        self._dispatch = _Deaf()

    def move(self, state: ConnectionState) -> None:
        """Change state, if the table allows it."""
        assert state in CONNECTION_MOVES[self.state], (self.state, state)
        self.state = state
