"""Publishing many messages in a row, as fast as there is room for them."""

from collections.abc import Callable

from hopmq.client.outcome import PublishHandle
from hopmq.client.publishing import Publishing, size_of
from hopmq.core.pending import Receipt
from hopmq.errors import EncodeError, HopMQError, PublishManyError, PublishNotSentError
from hopmq.typedefs import Body
from hopmq.wire import Properties


class Pipeline:
    """Messages that differ only in their bodies; an error is the outcome of one alone."""

    __slots__ = ("_content", "_decided", "_handles", "_publishing", "_read_confirms", "_timeout")

    def __init__(
        self,
        publishing: Publishing,
        read_confirms: Callable[[], None],
        content: tuple[str, str, bool, Properties | bytes],
        timeout: float,
    ) -> None:
        """Publish by `publishing`; `read_confirms` is called before waiting for some.

        Args:
            publishing: Writes them.
            read_confirms: Sees to it that confirms are read.
            content: Exchange, routing key, mandatory and properties.
            timeout: Seconds for each message.
        """
        self._publishing = publishing
        self._read_confirms = read_confirms
        self._content = content
        self._timeout = timeout
        self._handles: list[PublishHandle] = []
        self._decided = 0  # of the handles, but for some that are still on their way

    def publish_now(self, body: Body) -> bool:
        """Write the next message; return False where there is no room for it."""
        try:
            handle = self._publishing.start_now(*self._content, body, self._timeout)
        except (EncodeError, PublishNotSentError) as error:
            handle = _refused(error)
        if handle is None:
            return False
        self._handles.append(handle)
        return True

    async def publish(self, body: Body) -> None:
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
