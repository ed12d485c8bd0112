"""Messages that are alike but for their bodies, written without looking at the channel for each."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from hopmq.client.outcome import HANDED_OVER, PublishHandle
from hopmq.client.window import Window, size_of
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.errors import EncodeError
from hopmq.typedefs import Body
from hopmq.wire import Properties

FLUSH_AT: Final = 256 * 1024
"""Bytes after which what is written in one turn of the loop is not gathered any longer."""

Alike: TypeAlias = tuple[str, str, bool, Properties | bytes]
"""Exchange, routing key, mandatory and properties: what messages of one kind share."""

END: Final = object()
"""In place of a body: there are no more."""


class Run:
    """A row of messages on one channel, of which nobody's code runs in between."""

    __slots__ = ("_bodies", "_channel", "_content", "_core", "_handles")

    def __init__(
        self,
        channel: ChannelCore,
        core: ConnectionCore,
        content: Alike,
        bodies: Iterator[Body],
        handles: list[PublishHandle],
    ) -> None:
        """Write `bodies` on `channel`, which `core` is the connection of, and add their handles."""
        self._channel = channel
        self._core = core
        self._content = content
        self._bodies = bodies
        self._handles = handles

    def write(self, window: Window, begun: float, timeout: float) -> Any:
        """Write what there is room for, to be confirmed.

        Returns:
            The first body that was not written, or `END`.
        """
        publish, core, append = self._channel.publish, self._core, self._handles.append
        exchange, routing_key, mandatory, properties = self._content
        confirms = self._channel.confirms
        assert confirms is not None
        room = window.messages - len(confirms)
        free = window.size - confirms.outstanding_bytes
        for body in self._bodies:
            size = len(body) if type(body) is bytes else size_of(body)
            if room <= 0 or size > free or core.out_size > FLUSH_AT:
                return body
            handle = PublishHandle(size, begun, timeout)
            try:
                tag = publish(handle, exchange, routing_key, mandatory, properties, body)
            except EncodeError:
                return body
            handle.delivery_tag = tag
            append(handle)
            room -= 1
            free -= size
        return END

    def hand_over(self) -> Any:
        """Write what one turn of the loop may, on a channel without confirms; see `write`."""
        publish, core, append = self._channel.publish, self._core, self._handles.append
        exchange, routing_key, mandatory, properties = self._content
        for body in self._bodies:
            if core.out_size > FLUSH_AT:
                return body
            try:
                publish(HANDED_OVER, exchange, routing_key, mandatory, properties, body)
            except EncodeError:
                return body
            append(HANDED_OVER)
        return END
