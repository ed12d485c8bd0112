"""What a connection does with each thing the decoder hands it.

Each delivery, publish and ack is touched once, by one loop over what a read gave; everything else
goes by a table of handlers. A channel that ends drops its callbacks, and a connection its channels,
so that the table sees what follows in the same read.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection

from hopmq.core.channel import RETURN_TOKEN, ChannelCore
from hopmq.core.events import (
    ChannelEnded,
    ConnectionBlocked,
    ConnectionOpened,
    ConnectionRefused,
    ConnectionUnblocked,
    ConsumerCancelled,
    FlowChanged,
    MessagePublished,
    MessageReturned,
    MessageSettled,
    MessageSkipped,
    MethodReceived,
    SecretUpdated,
)
from hopmq.core.handshake import octets
from hopmq.core.rules import FROM_CLIENT, FROM_SERVER
from hopmq.core.states import ChannelState, ConnectionState, Role
from hopmq.errors import (
    ContentTooLargeError,
    FrameSyntaxError,
    channel_closed,
    connection_closed,
)
from hopmq.wire import (
    Ack,
    Codec,
    Delivery,
    Fetched,
    Method,
    Nack,
    Oversized,
    ProtocolHeader,
    Published,
    Reject,
    Returned,
    new_method,
)

if TYPE_CHECKING:
    from hopmq.core.connection import ConnectionCore

_COMMAND_INVALID = 503
_CHANNEL_ERROR = 504
_UNEXPECTED_FRAME = 505


@cache
def _compiled_batch() -> Callable[..., None]:
    """Return the twin of `Dispatch.batch` that goes with the compiled codec."""
    from hopmq._speedups.codec import client_batch

    return client_batch


class Dispatch:
    """Route wire events: what is hot straight to its consumer or ledger, the rest by table."""

    __slots__ = ("_accepted", "_connection", "_delivery_type", "_handlers", "_methods")

    def __init__(
        self,
        connection: "ConnectionCore",
        delivery_type: type[Delivery],
        fetched_type: type[Fetched],
    ) -> None:
        """Route for `connection`, whose decoder makes deliveries of the given types."""
        self._connection = connection
        client = connection.role is Role.CLIENT
        self._accepted = FROM_SERVER if client else FROM_CLIENT
        self._delivery_type = delivery_type
        messages = (delivery_type, fetched_type)
        self._handlers = self._event_handlers(client, connection.codec, messages)
        self._methods = self._method_handlers()

    # Idle connections are many: they share their tables.

    @classmethod
    @cache
    def _event_handlers(
        cls, client: bool, codec: Codec, messages: tuple[type[Delivery], type[Fetched]]
    ) -> dict[type, Callable[["Dispatch", Any], None]]:
        delivery_type, fetched_type = messages
        return {
            delivery_type: cls._delivery if client else cls._wrong_way,
            fetched_type: cls._fetched if client else cls._wrong_way,
            codec.Returned: cls._returned if client else cls._wrong_way,
            codec.Published: cls._wrong_way if client else cls._published,
            codec.Ack: cls._acked if client else cls._settled,
            codec.Nack: cls._nacked if client else cls._settled,
            codec.Reject: cls._wrong_way if client else cls._settled,
            codec.Method: cls._method,
            codec.Heartbeat: cls._heartbeat,
            codec.ProtocolHeader: cls._protocol_header,
            codec.Oversized: cls._oversized,
            FrameSyntaxError: cls._malformed,
        }

    @classmethod
    @cache
    def _method_handlers(
        cls,
    ) -> dict[type[Frame], Callable[["Dispatch", ChannelCore, Any], None]]:
        return {
            Channel.OpenOk: cls._open_ok,
            Channel.Close: cls._channel_close,
            Channel.CloseOk: cls._stray_close_ok,
            Channel.Flow: cls._flow,
            Basic.Cancel: cls._cancel,
        }

    def batch(self, events: list[Any]) -> None:  # the decoder's events have no common type
        """Take what one read gave: deliveries to consumers, acks to confirms."""
        connection, delivery_type = self._connection, self._delivery_type
        if connection.codec.name == "cython":
            _compiled_batch()(self, connection, delivery_type, self._handlers, events)
            return
        ack_type = connection.codec.Ack
        for event in events:
            kind = type(event)
            if kind is delivery_type:
                channel = connection.channels.get(event.channel)
                if channel is not None:
                    consumer = channel.consumers.get(event.consumer_tag)
                    if consumer is not None:
                        consumer(event)
                        continue
            elif kind is ack_type:
                channel = connection.channels.get(event.channel)
                if channel is not None and channel.confirms is not None:
                    channel.confirms.acked(event.delivery_tag, event.multiple)
                    continue
            self._handlers[kind](self, event)

    # --- content ---------------------------------------------------------------------------

    def _delivery(self, event: Delivery) -> None:
        channel = self._live_channel(event)
        if channel is not None:
            self._connection.fail(
                _UNEXPECTED_FRAME,
                f"delivery for unknown consumer {event.consumer_tag!r} on channel {event.channel}",
            )

    def _fetched(self, event: Fetched) -> None:
        channel = self._live_channel(event)
        if channel is not None and not channel.replies.receive(event):
            self._unexpected("Basic.GetOk", event.channel)

    def _returned(self, event: Returned) -> None:
        channel = self._live_channel(event)
        if channel is None:
            return
        headers = dict(event.properties.headers or {})
        token = headers.pop(RETURN_TOKEN, None)
        if channel.confirms is not None and isinstance(token, int):
            channel.confirms.returned(token, event)
            event.properties.headers = headers
        self._connection.add_event(MessageReturned(event.channel, event))

    def _published(self, event: Published) -> None:
        if self._live_channel(event) is not None:
            self._connection.add_event(MessagePublished(event.channel, event))

    def _oversized(self, event: Oversized) -> None:
        channel = self._live_channel(event)
        if channel is None:
            return
        limit = self._connection.settings.max_message_size
        error = ContentTooLargeError(
            f"a message of {event.size} bytes passes max_message_size ({limit} bytes)",
            by_peer=False,
            hint="raise max_message_size, or keep such messages out of this queue",
        )
        channel.abort(error)
        self._connection.add_event(MessageSkipped(event.channel, event.size))
        self._connection.add_event(ChannelEnded(event.channel, error))

    # --- confirms and settlements ------------------------------------------------------------

    def _acked(self, event: Ack) -> None:
        channel = self._live_channel(event)
        if channel is not None:
            self._unexpected("Basic.Ack", event.channel)

    def _nacked(self, event: Nack) -> None:
        channel = self._live_channel(event)
        if channel is None:
            return
        if channel.confirms is None:
            self._unexpected("Basic.Nack", event.channel)
            return
        channel.confirms.nacked(event.delivery_tag, event.multiple)

    def _settled(self, event: Ack | Nack | Reject) -> None:
        channel = self._live_channel(event)
        if channel is None:
            return
        if channel.on_settled is not None:
            channel.on_settled(event)
        else:
            self._connection.add_event(MessageSettled(event.channel, event))

    # --- methods ---------------------------------------------------------------------------

    def _method(self, event: Method) -> None:
        method = event.method
        connection = self._connection
        if type(method) not in self._accepted:
            connection.fail(_COMMAND_INVALID, f"{method.name} is not for the peer to send", method)
        elif event.channel == 0:
            self._connection_method(method)
        else:
            self._channel_method(event.channel, method)

    def _channel_method(self, channel_id: int, method: Frame) -> None:
        channel = self._channel(channel_id, method)
        if channel is None:
            return
        if channel.state is ChannelState.CLOSING:
            self._while_closing(channel, method)
            return
        handler = self._methods.get(type(method))
        if handler is not None:
            handler(self, channel, method)
        elif not channel.replies.receive(method):
            if self._connection.role is Role.CLIENT:
                self._unexpected(method.name, channel_id, method.index)
            else:
                self._pass_on(channel, method)

    def _pass_on(self, channel: ChannelCore, method: Frame) -> None:
        if channel.on_method is not None:
            channel.on_method(method)
        else:
            self._connection.add_event(MethodReceived(channel.channel_id, method))

    def _while_closing(self, channel: ChannelCore, method: Frame) -> None:
        if isinstance(method, Channel.CloseOk):
            channel.move(ChannelState.CLOSED)
            channel.replies.receive(method)
            self._connection.release_channel(channel)
        elif isinstance(method, Channel.Close):
            # Both sides closed at once: answer, and go on waiting for our own close-ok.
            self._reply(channel.channel_id, new_method(Channel.CloseOk))

    def _open_ok(self, channel: ChannelCore, method: Channel.OpenOk) -> None:
        if channel.state is ChannelState.OPENING:
            channel.opened()
            channel.replies.receive(method)
        else:
            self._unexpected(method.name, channel.channel_id, method.index)

    def _stray_close_ok(self, channel: ChannelCore, method: Channel.CloseOk) -> None:
        self._unexpected(method.name, channel.channel_id, method.index)

    def _channel_close(self, channel: ChannelCore, method: Channel.Close) -> None:
        self._reply(channel.channel_id, new_method(Channel.CloseOk))
        error = channel_closed(
            method.reply_code or 0,
            method.reply_text,
            class_id=method.class_id or 0,
            method_id=method.method_id or 0,
        )
        channel.end(error)
        self._connection.release_channel(channel)
        self._connection.add_event(ChannelEnded(channel.channel_id, error))

    def _flow(self, channel: ChannelCore, method: Channel.Flow) -> None:
        if channel.on_method is not None:
            channel.on_method(method)
            return
        channel.flowing = bool(method.active)
        self._reply(channel.channel_id, new_method(Channel.FlowOk, active=channel.flowing))
        self._connection.add_event(FlowChanged(channel.channel_id, channel.flowing))

    def _cancel(self, channel: ChannelCore, method: Basic.Cancel) -> None:
        if self._connection.role is Role.SERVER:
            self._pass_on(channel, method)
            return
        tag = method.consumer_tag or ""
        if not method.nowait:
            self._reply(channel.channel_id, new_method(Basic.CancelOk, consumer_tag=tag))
        if channel.consumers.pop(tag, None) is not None:
            self._connection.add_event(ConsumerCancelled(channel.channel_id, tag))

    def _connection_method(self, method: Frame) -> None:
        connection = self._connection
        if connection.state is ConnectionState.HANDSHAKE:
            self._shake_hands(connection.opening.handshake.receive_method(method))
        elif isinstance(method, Connection.Close):
            self._connection_close(method)
        elif connection.state is ConnectionState.CLOSING:
            if isinstance(method, Connection.CloseOk):
                connection.end(connection_closed(200, "closed", by_peer=False))
        elif connection.state is ConnectionState.OPEN:
            self._open_connection_method(method)

    def _open_connection_method(self, method: Frame) -> None:
        connection = self._connection
        if isinstance(method, Connection.Blocked):
            connection.add_event(ConnectionBlocked(method.reason))
        elif isinstance(method, Connection.Unblocked):
            connection.add_event(ConnectionUnblocked())
        elif isinstance(method, Connection.UpdateSecret):
            secret = octets(method.new_secret)
            connection.add_event(SecretUpdated(secret, method.reason or ""))
        elif not connection.replies.receive(method):
            self._unexpected(method.name, 0, method.index)

    def _connection_close(self, method: Connection.Close) -> None:
        connection = self._connection
        if connection.state is ConnectionState.CLOSED:
            return
        connection.send(new_method(Connection.CloseOk))
        error = connection_closed(
            method.reply_code or 0,
            method.reply_text,
            class_id=method.class_id or 0,
            method_id=method.method_id or 0,
        )
        connection.end(error)

    # --- the rest --------------------------------------------------------------------------

    def _heartbeat(self, event: object) -> None:
        """Do nothing: its bytes were the sign of life."""

    def _protocol_header(self, event: ProtocolHeader) -> None:
        connection = self._connection
        if connection.state is ConnectionState.HANDSHAKE:
            self._shake_hands(connection.opening.handshake.receive_header(event))

    def _shake_hands(self, outcome: Any) -> None:
        """Write what the handshake wants sent and pass on what it found."""
        connection = self._connection
        connection.opening.flush()
        if isinstance(outcome, ConnectionRefused):
            connection.opening.refuse(outcome)
            return
        if isinstance(outcome, ConnectionOpened):
            connection.opening.complete()
        if outcome is not None:
            connection.add_event(outcome)

    def _wrong_way(self, event: Any) -> None:
        if self._live_channel(event) is not None:
            kind = type(event).__name__
            self._connection.fail(_COMMAND_INVALID, f"{kind} is not for the peer to send")

    def _reply(self, channel_id: int, method: Frame) -> None:
        connection = self._connection
        connection.write(connection.codec.encode_method(channel_id, method, connection.frame_max))

    def _malformed(self, error: FrameSyntaxError) -> None:
        self._connection.fail_syntax(error)

    def _unexpected(self, name: str, channel_id: int, index: int = 0) -> None:
        self._connection.fail(_UNEXPECTED_FRAME, f"unexpected {name} on channel {channel_id}")

    def _live_channel(self, event: Any) -> ChannelCore | None:
        """Return an event's channel if its content counts; a closing one ignores everything."""
        channel = self._channel(event.channel, event)
        if channel is None or channel.state is ChannelState.CLOSING:
            return None
        return channel

    def _channel(self, channel_id: int, event: Any) -> ChannelCore | None:
        """Return the channel, or fail the connection for one that is not open (504)."""
        connection = self._connection
        channel = connection.channels.get(channel_id)
        if channel is None and connection.state in {
            ConnectionState.OPEN,
            ConnectionState.HANDSHAKE,
        }:
            self._not_open(channel_id, event)
        return channel

    def _not_open(self, channel_id: int, event: Any) -> None:
        connection = self._connection
        if connection.state is ConnectionState.OPEN:
            connection.fail(_CHANNEL_ERROR, f"frame for channel {channel_id}, which is not open")
        else:
            connection.fail(_UNEXPECTED_FRAME, "a frame of a channel during the handshake")
