"""Borrowing a channel of a pool for a block."""

import asyncio
from types import TracebackType

from hopmq.client.channel import Channel
from hopmq.errors import UsageError, connection_closed
from hopmq.resilience.pool.entries import ChannelSettings
from hopmq.resilience.pool.lease import Lease
from hopmq.resilience.pool.side import Side


class Loans:
    """The channels that are borrowed now."""

    def __init__(self) -> None:
        """Have lent none."""
        self._borrowed: set[Loan] = set()
        self._finishing: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._borrowed)

    def begin(self, loan: "Loan") -> None:
        """Take note of one."""
        self._borrowed.add(loan)

    def end(self, loan: "Loan") -> None:
        """Take note of its end."""
        self._borrowed.discard(loan)
        if self._finishing is not None and not self._borrowed and not self._finishing.done():
            self._finishing.set_result(None)

    def check(self) -> None:
        """Raise when nothing is lent any more."""
        if self._finishing is not None:
            raise connection_closed(
                200, "the pool is closed, or about to be: it lends no more channels", by_peer=False
            )

    async def finish(self) -> None:
        """Lend nothing any more, and wait until all are back."""
        self._finishing = asyncio.get_running_loop().create_future()
        if self._borrowed:
            await self._finishing


class Loan:
    """A channel that is borrowed exclusively: `async with pool.channel() as channel`."""

    __slots__ = ("_lease", "_loans", "_settings", "_side", "_timeout")

    def __init__(self, side: Side, settings: ChannelSettings, timeout: float, loans: Loans) -> None:
        """Borrow from `side` when entered, and be one of `loans` for as long as it lasts."""
        self._side = side
        self._settings = settings
        self._timeout = timeout
        self._loans = loans
        self._lease: Lease | None = None

    async def __aenter__(self) -> Channel:
        """Wait for a channel."""
        if self._lease is not None:
            raise UsageError("this channel is borrowed already: call pool.channel() once more")
        self._loans.check()
        self._lease = await self._side.acquire(self._settings, self._timeout)
        self._loans.begin(self)
        return self._lease.channel

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for confirms, unless an error is on its way, and give the channel back."""
        lease, self._lease = self._lease, None
        assert lease is not None
        try:
            if error is None:
                await lease.channel.wait_for_confirms()
        finally:
            # At once, and without waiting: a cancelled borrower returns its channel as well.
            self._side.give_back(lease, clean=lease.is_unchanged())
            self._loans.end(self)
