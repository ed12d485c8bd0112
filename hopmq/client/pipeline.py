"""Publishing many messages in a row, as fast as there is room for them."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from hopmq.client.outcome import PublishHandle
from hopmq.client.publishing import Publishing
from hopmq.client.run import END, Alike
from hopmq.client.session import Session
from hopmq.client.window import size_of
from hopmq.core.pending import Receipt
from hopmq.errors import EncodeError, HopMQError, PublishManyError, PublishNotSentError
from hopmq.typedefs import Body

_PLAIN: Final = (list, tuple)
"""What runs nobody's code while it is iterated over."""


class Pipeline:
    """Messages that differ only in their bodies; an error is the outcome of one alone."""

    __slots__ = ("_content", "_decided", "_handles", "_publishing", "_session", "_timeout")

    def __init__(
        self,
        publishing: Publishing,
        session: Session,
        content: Alike,
        timeout: float,
    ) -> None:
        """Publish by `publishing`.

        Args:
            publishing: Writes them.
            session: Where the confirms are read.
            content: What the messages share.
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
        content, timeout, handles, session = (
            self._content,
            self._timeout,
            self._handles,
            self._session,
        )
        start_now, write_run = self._publishing.start_now, self._publishing.write_run
        has_runs = type(bodies) in _PLAIN
        rest = iter(bodies)
        body: Any = next(rest, END)
        while body is not END:
            try:
                handle = start_now(*content, body, timeout)
            except (EncodeError, PublishNotSentError) as error:
                handle = _refused(error)
            if handle is None:
                await self._publish_later(body)
            else:
                handles.append(handle)
            if session.flushed_early:
                # Without confirms nothing else would let the loop write.
                session.flushed_early = False
                await asyncio.sleep(0)
            elif has_runs and handle is not None:
                body = write_run(handle, content, timeout, rest, handles)
                continue
            body = next(rest, END)

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
