"""Publishing many messages in a row, as fast as there is room for them."""

import asyncio
from collections.abc import Iterable

from hopmq.client.outcome import PublishHandle
from hopmq.client.publishing import Publishing, size_of
from hopmq.client.session import Session
from hopmq.core.pending import Receipt
from hopmq.errors import EncodeError, HopMQError, PublishManyError, PublishNotSentError
from hopmq.typedefs import Body
from hopmq.wire import Properties


class Pipeline:
    """Messages that differ only in their bodies; an error is the outcome of one alone."""

    __slots__ = ("_content", "_decided", "_handles", "_publishing", "_session", "_timeout")

    def __init__(
        self,
        publishing: Publishing,
        session: Session,
        content: tuple[str, str, bool, Properties | bytes],
        timeout: float,
    ) -> None:
        """Publish by `publishing`.

        Args:
            publishing: Writes them.
            session: Where the confirms are read.
            content: Exchange, routing key, mandatory and properties.
            timeout: Seconds for each message.
        """
        self._publishing = publishing
        self._session = session
        self._content = content
        self._timeout = timeout
        self._handles: list[PublishHandle] = []
        self._decided = 0  # of the handles, but for some that are still on their way

    async def publish_all(self, bodies: Iterable[Body]) -> None:
        """Write the next messages, each as soon as there is room for it."""
        exchange, routing_key, mandatory, properties = self._content
        start_now, timeout = self._publishing.start_now, self._timeout
        append, session = self._handles.append, self._session
        for body in bodies:
            try:
                handle = start_now(exchange, routing_key, mandatory, properties, body, timeout)
            except (EncodeError, PublishNotSentError) as error:
                handle = _refused(error)
            if handle is None:
                await self._publish_later(body)
            else:
                append(handle)
            if session.flushed_early:
                # Without confirms nothing else would let the loop write.
                session.flushed_early = False
                await asyncio.sleep(0)

    async def _publish_later(self, body: Body) -> None:
        """Wait for room and write the next message, or leave it as the one that is held."""
        handles, size = self._handles, size_of(body)
        self._read_confirms()
        while self._decided < len(handles) and self._publishing.is_full(size):
            # Not the oldest: messages then go out in large pieces, not as confirms trickle in.
            middle = (self._decided + len(handles)) // 2
            await handles[middle].wait()
            self._decided = middle + 1
        try:
            handle = self._publishing.start_now(*self._content, body, self._timeout)
            if handle is None:
                handle = self._publishing.hold(*self._content, body, self._timeout)
        except (EncodeError, PublishNotSentError) as error:
            handle = _refused(error)
        handles.append(handle)

    def _read_confirms(self) -> None:
        """See to it that confirms are read, if unread messages have stopped the reading."""
        budget = self._session.budget
        if budget.paused:
            budget.awaiting()

    async def receipts(self) -> list[Receipt]:
        """Wait for every outcome and return the receipts, in order.

        Raises:
            PublishManyError: Some did not end confirmed.
        """
        self._read_confirms()
        for handle in self._handles:
            if not handle.done():
                await handle.waiter()
        outcomes = [handle.outcome for handle in self._handles]
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        if len(receipts) < len(outcomes):
            raise PublishManyError(outcomes)
        return receipts


def _refused(error: HopMQError) -> PublishHandle:
    handle = PublishHandle(0, 0.0, 0.0)
    handle.refused(error)
    return handle
