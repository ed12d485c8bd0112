"""What a server does with what a client sends, where a client would do otherwise.

A client that breaks the rules is answered in RabbitMQ's words; before the connection is open, it
is hung up on.
"""

from typing import Any

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection

from hopmq.core import wrong_frames
from hopmq.core.channel import ChannelCore
from hopmq.core.closing import shortened
from hopmq.core.dispatch import Dispatch
from hopmq.core.events import ChannelEnded, ChannelOpened, MessageSkipped
from hopmq.core.handshake import Step
from hopmq.core.settings import ServerSettings
from hopmq.core.states import ConnectionState
from hopmq.core.wrong_frames import Answer
from hopmq.errors import FrameSyntaxError, channel_closed, connection_closed
from hopmq.wire import Method, Oversized

_PRECONDITION_FAILED = 406


class ServerDispatch(Dispatch):
    """Route a server's wire events."""

    __slots__ = ()

    def batch(self, events: list[Any]) -> None:  # the decoder's events have no common type
        """Take what one read gave: publishes and acks to whom their channel names."""
        connection = self._connection
        published_type, ack_type = connection.codec.Published, connection.codec.Ack
        for event in events:
            kind = type(event)
            if kind is published_type:
                channel = connection.channels.get(event.channel)
                if channel is not None and channel.on_published is not None:
                    channel.on_published(event)
                    continue
            elif kind is ack_type:
                channel = connection.channels.get(event.channel)
                if channel is not None and channel.on_settled is not None:
                    channel.on_settled(event)
                    continue
            self._handlers[kind](self, event)

    # --- malformed frames ----------------------------------------------------------------------

    def _malformed(self, error: FrameSyntaxError) -> None:
        connection = self._connection
        if connection.state is ConnectionState.OPEN:
            self._answer(error)
        elif connection.state is ConnectionState.HANDSHAKE:
            connection.fail_syntax(error)
        if connection.state is ConnectionState.CLOSING:
            connection.decoder.skip()  # one more word counts: close-ok

    def _answer(self, error: FrameSyntaxError) -> None:
        connection = self._connection
        channel_id = int.from_bytes(error.frame[1:3], "big")
        answer = wrong_frames.answer(
            error,
            connection.decoder.due(channel_id),
            connection.tuning.frame_max,
            counts_bodies=self._settings.counts_bodies,
        )
        if answer is None:
            connection.drop(str(error))
        elif answer.index and channel_id and channel_id not in connection.channels:
            self._close(wrong_frames.not_open(answer.index))
        else:
            self._close(answer)

    def _oversized(self, event: Oversized) -> None:
        connection = self._connection
        channel = self._live_channel(event)
        if channel is None:
            return
        if event.size > wrong_frames.LARGEST_ANNOUNCED:
            # Older releases wait for it, for ever.
            if self._settings.counts_bodies:
                self._close(wrong_frames.body_too_long(event.size))
            return
        connection.flush_acks()
        text = (
            f"PRECONDITION_FAILED - message size {event.size} is larger than configured max size "
            f"{self._settings.max_message_size}"
        )
        index = Basic.Publish.index
        error = channel_closed(
            _PRECONDITION_FAILED,
            text,
            class_id=index >> 16,
            method_id=index & 0xFFFF,
            by_peer=False,
        )
        channel.abort(error)
        connection.add_event(MessageSkipped(event.channel, event.size))
        connection.add_event(ChannelEnded(event.channel, error))

    # --- methods out of place ------------------------------------------------------------------

    def _method(self, event: Method) -> None:
        method, connection = event.method, self._connection
        if connection.state is ConnectionState.HANDSHAKE and event.channel:
            self._early(event.channel, method)
        elif event.channel and isinstance(method, Channel.Open):
            self._open(event.channel, method)
        elif type(method) in self._accepted:
            super()._method(event)
        elif connection.state is ConnectionState.HANDSHAKE:
            connection.opening.refuse_unexpected(method.name)
        elif not event.channel:
            self._close(wrong_frames.out_of_place(method.index))
        elif self._live_channel(event) is not None:
            self._close(wrong_frames.unimplemented(method.index))

    def _early(self, channel_id: int, method: Frame) -> None:
        """Refuse a channel's method before the connection is open."""
        connection = self._connection
        if connection.opening.handshake.step is Step.OPEN:
            frame = connection.codec.encode_method(channel_id, method, connection.frame_max)
            answer = wrong_frames.unexpected_frame(frame)
            connection.opening.turn_away(answer.code, answer.text)
        else:
            connection.opening.refuse_unexpected(method.name)

    def _open(self, channel_id: int, method: Frame) -> None:
        connection = self._connection
        if connection.state is not ConnectionState.OPEN:
            return
        if channel_id in connection.channels:
            self._close(wrong_frames.opened_twice(method.index))
            return
        channel_max = connection.tuning.channel_max
        if len(connection.channels) >= channel_max:
            self._close(wrong_frames.too_many_channels(channel_max))
            return
        connection.accept_channel(channel_id)
        connection.add_event(ChannelOpened(channel_id))

    def _channel_close(self, channel: ChannelCore, method: Channel.Close) -> None:
        self._connection.flush_acks()  # the confirms of what came before
        super()._channel_close(channel, method)

    def _connection_close(self, method: Connection.Close) -> None:
        self._connection.flush_acks()
        super()._connection_close(method)

    def _wrong_way(self, event: Any) -> None:
        if self._live_channel(event) is not None:
            self._close(wrong_frames.unimplemented(_index_of(event)))

    def _unexpected(self, name: str, channel_id: int, index: int = 0) -> None:
        answer = wrong_frames.unimplemented if channel_id else wrong_frames.out_of_place
        self._close(answer(index))

    def _not_open(self, channel_id: int, event: Any) -> None:
        connection = self._connection
        if connection.state is ConnectionState.HANDSHAKE:
            connection.opening.refuse_unexpected(type(event).__name__)
        else:
            self._close(wrong_frames.not_open(_index_of(event)))

    # --- closing -------------------------------------------------------------------------------

    @property
    def _settings(self) -> ServerSettings:
        settings = self._connection.settings
        assert isinstance(settings, ServerSettings)
        return settings

    def _close(self, answer: Answer) -> None:
        """Close an open connection; a closing one goes on waiting for its close-ok."""
        connection = self._connection
        if connection.state is not ConnectionState.OPEN:
            return
        connection.flush_acks()
        connection.close_with(
            connection_closed(
                answer.code,
                shortened(answer.text),
                class_id=answer.index >> 16,
                method_id=answer.index & 0xFFFF,
                by_peer=False,
            )
        )


_INDEXES = {
    "Published": Basic.Publish.index,
    "Ack": Basic.Ack.index,
    "Nack": Basic.Nack.index,
    "Reject": Basic.Reject.index,
    "Delivery": Basic.Deliver.index,
    "Fetched": Basic.GetOk.index,
    "Returned": Basic.Return.index,
    "Oversized": Basic.Publish.index,
}


def _index_of(event: Any) -> int:
    """Return the number of the method that an event came from."""
    if isinstance(event, Frame):
        return event.index
    name = type(event).__name__
    if name in _INDEXES:
        return _INDEXES[name]
    method: Frame = event.method
    return method.index
