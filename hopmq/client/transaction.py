"""Transactions on a channel (AMQP 0-9-1, class tx)."""

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from pamqp.base import Frame
from pamqp.commands import Tx

from hopmq.client.publishing import Publishing
from hopmq.core.channel import ChannelCore
from hopmq.errors import ClosedError, RequestTimeoutError
from hopmq.wire import new_method

AskOn = Callable[[ChannelCore, Frame, type[Frame]], Awaitable[Frame]]
Attempt = Callable[[ChannelCore], Awaitable[ChannelCore]]
Persist = Callable[[Attempt], Awaitable[ChannelCore]]


class Transaction:
    """Publishes and acks that take effect together, at the end of the block.

    `async with channel.transaction(): ...` commits when the block ends well and rolls back when
    it raises. RabbitMQ makes a transaction atomic for a single queue only; publisher confirms
    are faster, and the better choice for not losing messages.

    A channel that has had a transaction stays transactional: what is published there outside a
    block would wait for a commit that never comes, and is refused.

    A transaction ends with its link: the broker forgets it, nothing of it takes effect, and the
    block raises a `ClosedError`. Where the link ends during the commit, nobody can tell.
    """

    __slots__ = ("_ask_on", "_channel", "_persist", "_publishing")

    def __init__(
        self, persist: Persist, ask_on: AskOn, channel: ChannelCore, publishing: Publishing
    ) -> None:
        """Work on the channel of the moment by `ask_on`, which returns a reply.

        `persist` begins on that channel, and on the next one where its link ends meanwhile.
        """
        self._persist = persist
        self._ask_on = ask_on
        self._channel = channel
        self._publishing = publishing

    async def commit(self) -> None:
        """Make what was done take effect; the next transaction begins."""
        channel = self._channel
        channel.deliveries.begin_transaction()
        await self._ask_on(channel, new_method(Tx.Commit), Tx.CommitOk)

    async def rollback(self) -> None:
        """Undo what was done; the next transaction begins.

        Messages that were settled in it are unsettled again, here as at the broker, which does
        not deliver them anew: settle them again, or `recover`.
        """
        channel = self._channel
        deliveries = channel.deliveries
        undone = deliveries.begin_transaction()
        await self._ask_on(channel, new_method(Tx.Rollback), Tx.RollbackOk)
        deliveries.unsettle(undone)

    async def __aenter__(self) -> Self:
        """Begin (tx.select is repeated without harm)."""
        self._channel = await self._persist(self._select)
        self._channel.deliveries.begin_transaction()
        self._publishing.begin_transaction()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back after an error; that error is what the caller hears of."""
        self._publishing.end_transaction()
        if error is None:
            await self.commit()
            return
        with contextlib.suppress(ClosedError, RequestTimeoutError):
            await self.rollback()

    async def _select(self, channel: ChannelCore) -> ChannelCore:
        await self._ask_on(channel, new_method(Tx.Select), Tx.SelectOk)
        return channel
