"""Reading a stream across links: from where it was left, and nothing twice."""

from collections.abc import Container, Iterable
from functools import partial
from typing import Final

from hopmq.client.message import Message
from hopmq.client.orphan import Orphan
from hopmq.client.redelivery import Receive, Redeliveries, Unsettled
from hopmq.core.channel import ChannelCore, Settlement
from hopmq.typedefs import FieldTable

OFFSET: Final = "x-stream-offset"
"""Header that tells where in its stream a message stands, and argument that asks for one."""


class StreamSettling:
    """Settles messages of a stream: they are read or not, and never go back.

    RabbitMQ 3.10 ends the connection for a reject; to later ones it is as good as an ack.
    """

    __slots__ = ("_channel",)

    def __init__(self, channel: ChannelCore) -> None:
        """Settle on `channel`."""
        self._channel = channel

    def is_unsettled(self, tag: int) -> bool:
        """Return whether a delivery waits for its settlement."""
        return self._channel.is_unsettled(tag)

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """Ask for another message in place of this one."""
        return self._channel.ack(tag, multiple)

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """Ask for another message in place of this one."""
        return self._channel.ack(tag, multiple)

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """Ask for another message in place of this one."""
        return self._channel.ack(tag)


class StreamRedeliveries(Redeliveries):
    """Read on from the first message that was not settled, and pass over those that were.

    Offsets tell each message apart. One that is still worked on is settled for both deliveries.
    """

    is_needed = True

    def __init__(self, pass_on: Receive, admit: Receive) -> None:
        """Pass messages on to `pass_on`; `admit` those that are kept."""
        self._pass_on = pass_on
        self._admit = admit
        self._unsettled = Unsettled()
        self._latest: Message | None = None
        self._last = -1
        """Offset of the latest message of earlier links; what is above it is new."""
        self._due: set[int] = set()
        """Offsets up to `_last` that are not done."""
        self._orphans: dict[int, Orphan] = {}
        self._asked_for = 0
        self._is_behind = False

    def resumed(self, arguments: FieldTable) -> FieldTable:
        """Return the arguments to subscribe with, to read on from where it was left."""
        if self._last < 0:
            return arguments
        self._asked_for = min(self._due, default=self._last + 1)
        return {**arguments, OFFSET: self._asked_for}

    def receive(self, message: Message) -> None:
        """Pass on what is not done yet."""
        if self._is_behind and self._keeps(message):
            return
        self._latest = message
        self._pass_on(message)
        self._unsettled.add(message)

    def link_lost(
        self,
        at_work: Iterable[Message],
        unread: Container[Message],
        unsettled: Container[int],
    ) -> None:
        """Note what is due, and which of it is worked on."""
        for orphan in self._orphans.values():
            orphan.lose_copy()
        if self._latest is not None:
            self._last = max(self._last, offset_of(self._latest))
        for message in self._unsettled.take(unsettled):
            offset = offset_of(message)
            self._due.add(offset)
            if message not in unread:
                message.context = self._orphans[offset] = Orphan(partial(self._settled, offset))
        self._is_behind = self._last >= 0

    def interrupted(self, at_work: Iterable[Message]) -> None:
        """Have nothing to do: what is read on comes as on a new link."""

    def work_ended(self, message: Message) -> None:
        """Have nothing to wait for: each message is recognised."""

    def give_up(self) -> list[Message]:
        """Return nothing: messages of a stream stay there."""
        for orphan in self._orphans.values():
            orphan.give_up()
        self._orphans.clear()
        return []

    def forget(self) -> None:
        """Begin anew: it is another stream of the same name."""
        self.give_up()
        self._due.clear()
        self._last = -1
        self._latest = None
        self._is_behind = False

    def _keeps(self, message: Message) -> bool:
        offset = offset_of(message)
        if offset < self._asked_for:
            self.forget()
            return False
        if offset > self._last:
            self._is_behind = False
            self._due = {each for each in self._due if each in self._orphans}
            return False
        orphan = self._orphans.get(offset)
        if orphan is None and offset in self._due:
            self._due.remove(offset)
            return False
        self._admit(message)
        if orphan is None:
            message.ack()
        else:
            orphan.take(message)
        return True

    def _settled(self, offset: int, settlement: Settlement) -> None:
        self._orphans.pop(offset, None)
        if settlement is not Settlement.STALE:
            self._due.discard(offset)


def offset_of(message: Message) -> int:
    """Return where in its stream a message stands."""
    offset = message.headers[OFFSET]
    assert isinstance(offset, int)
    return offset


def is_of_stream(message: Message) -> bool:
    """Return whether a message was read from a stream."""
    return isinstance(message.headers.get(OFFSET), int)
