"""The state of a publish until its outcome is known, and the receipt of a good one."""

from typing import TYPE_CHECKING, Final

from hopmq.core.replies import Waiter
from hopmq.errors import HopMQError
from hopmq.wire import active


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


class Pending:
    """The state of a publish until its outcome is known.

    Attributes:
        delivery_tag: The publish's number on its channel.
        size: Bytes it occupies in the window of unconfirmed messages.
        begun: When it was asked for, on the owner's clock.
        deadline: When it ends as unknown if no confirm has come, on the same clock.
        resent: Whether it was written more than once.
    """

    __slots__ = (
        "_error",
        "_settled",
        "_waiters",
        "begun",
        "deadline",
        "delivery_tag",
        "resent",
        "size",
    )

    def __init__(self, size: int, begun: float, timeout: float) -> None:
        """Start undecided, with `timeout` seconds from `begun` on."""
        self.size: int = size
        self.begun: float = begun
        self.deadline: float = begun + timeout
        self.delivery_tag: int = 0
        self.resent: bool = False
        self._settled = False
        self._error: HopMQError | None = None
        self._waiters: list[Waiter] | None = None

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._settled

    @property
    def outcome(self) -> Receipt | HopMQError | None:
        """The outcome as a value, a `Receipt` or an error; None while it is not known."""
        if not self._settled:
            return None
        return self._error or Receipt(self.delivery_tag, self.resent)

    def result(self) -> Receipt:
        """Return the receipt, or raise the error, of a publish whose outcome is known."""
        if self._error is not None:
            raise self._error
        return Receipt(self.delivery_tag, self.resent)

    def wake(self, waiter: Waiter) -> None:
        """Set the result of `waiter` once the outcome is known."""
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)

    def confirmed(self) -> bool:
        """End as confirmed, or as returned if the message came back before.

        Returns:
            Whether somebody waited.
        """
        return not self._settled and self._end()

    def _end(self) -> bool:
        self._settled = True
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        return waiters is not None


PURE: Final = (Pending, Receipt)
"""The classes above, whichever are in use."""

if not TYPE_CHECKING and active.name == "cython":
    from hopmq._speedups.codec import Pending, Receipt  # in place of those above
