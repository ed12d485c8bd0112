"""What a connection does when its link ends: options, and how errors are judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hopmq.errors import (
    AuthenticationError,
    CertificateError,
    ChannelClosed,
    ConnectionClosed,
    ForkedError,
    HopMQError,
    UsageError,
    VhostNotFoundError,
)
from hopmq.resilience.backoff import Backoff, Exponential
from hopmq.resilience.ledger import Entity
from hopmq.values import Value

_OUR_FAULTS: Final = frozenset({501, 502, 503, 504, 505, 540})
"""Codes by which a broker says that this client has broken the protocol."""

_REFUSALS: Final = (AuthenticationError, VhostNotFoundError, CertificateError)


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Recovery(Value):
    """How a connection comes back after its link has ended.

    Attributes:
        backoff: Seconds between attempts, counted for each host; one that gives up ends the
            connection when it has given up every host.
        shuffle: Whether hosts are tried in random order, so that clients spread over a cluster.
        recover: Told a queue, exchange or binding that was declared on this connection; returns
            whether it is declared again. All are by default.
        reopen_channels: Whether a channel that the broker has closed for an error, such as an
            ack of an unknown delivery, is opened again: for all errors, or for those that a
            function returns True for. A mistake of the program may repeat itself for ever: the
            pauses grow by `entity_backoff`, and when that gives up, the channel ends.
        entity_backoff: Seconds between attempts to restore what the broker refuses.
        max_refusals: Refusals of credentials, virtual host or certificate in a row, by every
            host, after which the connection ends; None for never.
        refusal_delay: Seconds before the next attempt at a host that has refused.
        stable_after: Seconds that a link, or a channel that was opened again, has to last before
            the count of failures starts anew.

    Raises:
        UsageError: A bound that cannot be meant.
    """

    backoff: Backoff = field(default_factory=Exponential)
    shuffle: bool = True
    recover: Callable[[Entity], bool] | None = None
    reopen_channels: bool | Callable[[ChannelClosed], bool] = False
    entity_backoff: Backoff = field(default_factory=lambda: Exponential(0.1, 5.0))
    max_refusals: int | None = 5
    refusal_delay: float = 15.0
    stable_after: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.max_refusals is not None and self.max_refusals < 1:
            raise UsageError(f"max_refusals is at least 1, or None, not {self.max_refusals!r}")
        for name in ("refusal_delay", "stable_after"):
            seconds = getattr(self, name)
            if not isinstance(seconds, int | float) or not seconds >= 0:
                raise UsageError(f"{name} is a number of seconds, not {seconds!r}")


def check_recovery(recovery: object) -> None:
    """Refuse what is no policy."""
    if not isinstance(recovery, Recovery | None):
        raise UsageError(f"recovery is a Recovery, or None to go without, not {recovery!r}")


def outlives(error: ConnectionClosed) -> bool:
    """Return whether a connection goes on after a link that ended with `error`."""
    if isinstance(error, ForkedError):
        return False
    if not error.by_peer:
        return error.reply_code != 200  # reply-success: it was closed here
    return error.reply_code not in _OUR_FAULTS


def reopens(recovery: Recovery, error: ChannelClosed) -> bool:
    """Return whether a channel that ended with `error` is opened again."""
    wanted = recovery.reopen_channels
    return wanted if isinstance(wanted, bool) else bool(wanted(error))


def is_refusal(error: HopMQError) -> bool:
    """Return whether waiting does not mend what an attempt failed for."""
    return isinstance(error, _REFUSALS)
