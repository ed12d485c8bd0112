"""What a pool says when it has no channel to lend."""

import re
from typing import Final

from hopmq.errors import ConnectionClosed, HopMQError, NotAllowedError, connection_closed
from hopmq.resilience.pool.allowance import ChannelAllowance
from hopmq.resilience.pool.books import Books
from hopmq.resilience.pool.entries import ChannelStage
from hopmq.resilience.pool.limits import PoolLimits

_CHANNEL_LIMIT: Final = re.compile(r"channels opened .* maximum allowed .*?limit of \(?(\d+)")
"""RabbitMQ's words where the user, or the node, has its limit; it closes the connection for it."""


def channel_limit(error: HopMQError) -> int | None:
    """Return the broker's limit of channels, if it is what `error` tells of."""
    told = _CHANNEL_LIMIT.search(str(error)) if isinstance(error, NotAllowedError) else None
    return None if told is None else int(told[1])


def pool_closed() -> ConnectionClosed:
    """Return the error of whoever asks a closed pool."""
    return connection_closed(200, "the pool is closed", by_peer=False)


def why_none(
    books: Books, limits: PoolLimits, allowance: ChannelAllowance, last_failure: HopMQError | None
) -> str:
    """Say what a borrower has waited for in vain, and what would help."""
    if last_failure is not None:
        return f"the broker cannot be connected to: {last_failure}"
    if not allowance.has_room():
        return f"the broker allows no more than {allowance.limit} channels"
    return (
        f"{books.at(ChannelStage.LENT)} are in use on {len(books.connections)} connections; "
        f"{limits.max_connections} connections (max_connections) may have up to "
        f"{limits.channels_per_connection} channels each (channels_per_connection)"
    )
