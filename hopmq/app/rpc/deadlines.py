"""Until when the caller of a request waits, as the request says it.

A request says so twice. Its `expiration` is the broker's to keep: it drops the request when nobody
has taken it in time, by the broker's clock alone. What was delivered in time may still wait in a
worker's prefetch, where no broker looks; for that the deadline stands in a header, in milliseconds
since 1970 by the caller's clock. That is as good as both clocks agree, and so a request counts as
overdue only when it is late by more than `TOLERANCE`: to work for nobody is a waste, not to work
for somebody who waits is an error.
"""

from typing import Final

from hopmq.app.clock import Clock
from hopmq.app.header_names import DEADLINE
from hopmq.client.message import Message

TOLERANCE: Final = 2.0
"""Seconds by which the clocks of caller and worker may differ."""


def deadline_of(message: Message, clock: Clock) -> float | None:
    """Return when a request's caller stops waiting, in the seconds of `clock.time`; None: not said."""
    at = message.headers.get(DEADLINE)
    if not isinstance(at, int):
        return None
    return clock.time() + at / 1000 - clock.wall()


def is_overdue(message: Message, clock: Clock, *, tolerance: float = TOLERANCE) -> bool:
    """Return whether nobody waits for a request's answer any more.

    Args:
        message: The request.
        clock: What tells the time here.
        tolerance: Seconds by which the caller's clock may be behind.
    """
    deadline = deadline_of(message, clock)
    return deadline is not None and clock.time() > deadline + tolerance
