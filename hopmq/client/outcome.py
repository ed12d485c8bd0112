"""How a publish ends."""

import asyncio
from collections.abc import Generator
from typing import Any, Final

from hopmq.errors import (
    HopMQError,
    PublishNackedError,
    PublishReturnedError,
    PublishUnknownError,
    PublishUnknownTimeoutError,
)
from hopmq.wire import Returned


class Receipt:
    """A publish that the broker confirmed: it has the message.

    Attributes:
        delivery_tag: The publish's number on its channel; 0 on a channel without confirms,
            where nothing is known but that the message was handed to the network.
        resent: Whether it was written again on another link (`on_disconnect="resend"`), so that
            it may have arrived more than once, under the same message id.
        retry_safe: False, since publishing again makes a duplicate.
    """

    __slots__ = ("delivery_tag", "resent")

    retry_safe: Final = False

    def __init__(self, delivery_tag: int, resent: bool = False) -> None:
        """Stand for the confirm of `delivery_tag`."""
        self.delivery_tag: int = delivery_tag
        self.resent: bool = resent

    @property
    def confirmed(self) -> bool:
        """Whether the broker confirmed it; False only on a channel without confirms."""
        return self.delivery_tag > 0

    def __repr__(self) -> str:
        """Show the tag."""
        resent = ", resent=True" if self.resent else ""
        return f"Receipt(delivery_tag={self.delivery_tag}{resent})"


class PublishHandle:
    """A publish on its way; await it for its outcome, as often as you like.

    Awaiting returns a `Receipt` or raises a `PublishError`. A cancelled wait changes nothing
    about the publish.

    Attributes:
        delivery_tag: The publish's number on its channel.
        size: Bytes it occupies in the window of unconfirmed messages.
        begun: When it was asked for, on the loop's clock.
        deadline: When it ends as unknown if no confirm has come, on the same clock.
    """

    __slots__ = ("_error", "_settled", "_waiters", "begun", "deadline", "delivery_tag", "size")

    resent: bool = False
    """Whether it was written more than once."""

    def __init__(self, size: int, begun: float, timeout: float) -> None:
        """Start undecided, with `timeout` seconds from `begun` on."""
        self.size: int = size
        self.begun: float = begun
        self.deadline: float = begun + timeout
        self.delivery_tag: int = 0
        self._settled = False
        self._error: HopMQError | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    # --- for users ---------------------------------------------------------------------------

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._settled

    @property
    def outcome(self) -> Receipt | HopMQError | None:
        """The outcome as a value, a `Receipt` or an error; None while it is not known."""
        if not self._settled:
            return None
        return self._error or Receipt(self.delivery_tag, self.resent)

    async def wait(self) -> None:
        """Wait until the outcome is known, without raising it."""
        if not self._settled:
            await self._waiter()

    def __await__(self) -> Generator[Any, None, Receipt]:
        """Wait for the outcome."""
        if not self._settled:
            yield from self._waiter()
        if self._error is not None:
            raise self._error
        return Receipt(self.delivery_tag, self.resent)

    def _waiter(self) -> asyncio.Future[None]:
        waiter = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        return waiter

    # --- for the confirm ledger ----------------------------------------------------------------

    def confirmed(self) -> None:
        """End as confirmed, or as returned if the message came back before."""
        if not self._settled:
            self._end()

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

    def _end(self) -> None:
        self._settled = True
        if self._waiters is not None:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters = None


def unknown(cause: HopMQError) -> PublishUnknownError:
    """Return how a publish ends whose confirm can no longer come."""
    error = PublishUnknownError(
        f"sent, but its confirm cannot come any more: {cause}. It may have arrived; publish "
        "again only if a duplicate does no harm"
    )
    error.__cause__ = cause
    return error
