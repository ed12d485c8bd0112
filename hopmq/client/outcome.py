"""How a publish ends."""

import asyncio
from collections.abc import Generator
from typing import Any, Final

from hopmq.core.pending import Pending, Receipt
from hopmq.errors import (
    HopMQError,
    PublishNackedError,
    PublishReturnedError,
    PublishUnknownError,
    PublishUnknownTimeoutError,
)
from hopmq.wire import Returned


class PublishHandle(Pending):
    """A publish on its way; await it for its outcome, as often as you like.

    Awaiting returns a `Receipt` or raises a `PublishError`. A cancelled wait changes nothing
    about the publish.

    Attributes:
        delivery_tag: The publish's number on its channel.
        size: Bytes it occupies in the window of unconfirmed messages; 0 without confirms.
        begun: When it was asked for, on the loop's clock.
        deadline: When it ends as unknown if no confirm has come, on the same clock.
    """

    __slots__ = ()

    async def wait(self) -> None:
        """Wait until the outcome is known, without raising it."""
        if not self._settled:
            await self.waiter()

    def __await__(self) -> Generator[Any, None, Receipt]:
        """Wait for the outcome."""
        if not self._settled:
            yield from self.waiter()
        return self.result()

    def waiter(self) -> asyncio.Future[None]:
        """Return a future of the caller's own that is done once the outcome is known."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.wake(waiter)
        return waiter

    # --- for the confirm ledger ----------------------------------------------------------------

    def nacked(self) -> None:
        """End as nacked."""
        self._fail(
            PublishNackedError(
                "the broker refused the message (basic.nack): a queue is full with overflow "
                "reject-publish, or failed; publish again later"
            )
        )

    def returned(self, message: Returned) -> None:
        """Remember that the message came back; its confirm follows."""
        if not self._settled:
            self._error = PublishReturnedError(
                message.reply_code, message.reply_text, message.exchange, message.routing_key
            )

    def lost(self, error: HopMQError) -> None:
        """End as unknown: the confirm can no longer come."""
        if self._error is not None:
            self._end()
            return
        self._fail(unknown(error))

    def timed_out(self) -> None:
        """End as unknown: the deadline has passed."""
        self._fail(
            PublishUnknownTimeoutError(
                "sent, but no confirm came before the deadline. It may still arrive; publish "
                "again only if a duplicate does no harm"
            )
        )

    def refused(self, error: HopMQError) -> None:
        """End without having been sent."""
        self._fail(error)

    def _fail(self, error: HopMQError) -> None:
        if not self._settled:
            self._error = error
            self._end()


HANDED_OVER: Final = PublishHandle(0, 0.0, 0.0)
"""Every publish without confirms, once it was written: nothing more is known of any."""

HANDED_OVER.confirmed()


def unknown(cause: HopMQError) -> PublishUnknownError:
    """Return how a publish ends whose confirm can no longer come."""
    error = PublishUnknownError(
        f"sent, but its confirm cannot come any more: {cause}. It may have arrived; publish "
        "again only if a duplicate does no harm"
    )
    error.__cause__ = cause
    return error
