"""Publishes that go again on the next link when their confirm did not come on the last one."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final, TypeAlias

from hopmq.client.outcome import PublishHandle, unknown
from hopmq.errors import HopMQError, PublishReturnedError
from hopmq.typedefs import Body
from hopmq.wire import Properties, Returned

Content: TypeAlias = tuple[str, str, bool, Properties | bytes, Body]
"""Exchange, routing key, mandatory, properties and body."""

_PERSISTENT: Final = 2


class LastingHandle(PublishHandle):
    """A publish that outlives its link, with all that is needed to write it again.

    Attributes:
        content: What is published.
    """

    __slots__ = ("_lost_by", "_take_back", "content")

    def __init__(
        self,
        size: int,
        begun: float,
        timeout: float,
        content: Content,
        take_back: Callable[["LastingHandle"], None],
    ) -> None:
        """Start undecided; `take_back` is called when the confirm of what was written is lost."""
        super().__init__(size, begun, timeout)
        self.content: Content = content
        self._take_back = take_back
        self._lost_by: HopMQError | None = None

    def lost(self, error: HopMQError) -> None:
        """Wait for the next link; a message that came back has its outcome already."""
        if self._settled:
            return
        if self._error is not None:
            self._end()
            return
        self._lost_by = error
        self.resent = True
        self._take_back(self)

    def returned(self, message: Returned) -> None:
        """Remember that the message came back; what was sent before may have arrived."""
        super().returned(message)
        if self.resent and isinstance(self._error, PublishReturnedError):
            self._error.retry_safe = False

    def refused(self, error: HopMQError) -> None:
        """End without having been sent again; as unknown, if it was sent before."""
        self._fail(error if self._lost_by is None else unknown(self._lost_by))


class MessageIds:
    """Names for messages that have none, so that a consumer can tell what comes twice."""

    __slots__ = ("_encoded", "_numbers", "_prefix")

    def __init__(self) -> None:
        """Begin a series that no other publisher has."""
        self._prefix = f"hopmq-{os.urandom(8).hex()}-"
        size = len(self._next_of(0))
        # An encoded property list of delivery mode 2 and a message id, up to the id's number.
        self._encoded = b"\x10\x80\x02" + bytes((size,)) + self._prefix.encode()
        self._numbers = count(1)

    def identified(self, properties: Properties | bytes, mandatory: bool) -> Properties | bytes:
        """Return the properties with a message id; the commonest case is encoded already."""
        if isinstance(properties, bytes):
            number = next(self._numbers)
            if not mandatory:
                return self._encoded + b"%012d" % number
            return Properties(delivery_mode=_PERSISTENT, message_id=self._next_of(number))
        if properties.message_id is not None:
            return properties
        return replace(properties, message_id=self._next_of(next(self._numbers)))

    def _next_of(self, number: int) -> str:
        return f"{self._prefix}{number:012d}"
