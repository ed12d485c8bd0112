"""Transactions on a channel (AMQP 0-9-1, class tx)."""

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from pamqp.base import Frame
from pamqp.commands import Tx

from hopmq.errors import ClosedError, RequestTimeoutError
from hopmq.wire import new_method

Ask = Callable[[Frame, type[Frame]], Awaitable[Frame]]


class Transaction:
    """Publishes and acks that take effect together, at the end of the block.

    `async with channel.transaction(): ...` commits when the block ends well and rolls back when
    it raises. RabbitMQ makes a transaction atomic for a single queue only; publisher confirms
    are faster, and the better choice for not losing messages.
    """

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask) -> None:
        """Work by `ask`, which sends a method and returns its reply."""
        self._ask = ask

    async def commit(self) -> None:
        """Make what was done take effect; the next transaction begins."""
        await self._ask(new_method(Tx.Commit), Tx.CommitOk)

    async def rollback(self) -> None:
        """Undo what was done; acknowledged messages are unacknowledged again."""
        await self._ask(new_method(Tx.Rollback), Tx.RollbackOk)

    async def __aenter__(self) -> Self:
        """Begin (tx.select is repeated without harm)."""
        await self._ask(new_method(Tx.Select), Tx.SelectOk)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back after an error; that error is what the caller hears of."""
        if error is None:
            await self.commit()
            return
        with contextlib.suppress(ClosedError, RequestTimeoutError):
            await self.rollback()
