"""The end of something, and why; nothing is made for it until somebody waits."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Ending(Generic[T]):
    """What ended something, once it has; a future takes three times as much memory."""

    __slots__ = ("_is_known", "_reason", "_waiter")

    def __init__(self) -> None:
        """Go on."""
        self._is_known = False
        self._reason: T
        self._waiter: asyncio.Future[None] | None = None

    def done(self) -> bool:
        """Return whether it has come."""
        return self._is_known

    def reason(self) -> T:
        """Return why; only once it has come."""
        return self._reason

    def come(self, reason: T) -> None:
        """Tell whoever waits."""
        self._is_known = True
        self._reason = reason
        if self._waiter is not None:
            self._waiter.set_result(None)

    async def wait(self) -> T:
        """Return the reason, when it has come."""
        if not self._is_known:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)
        return self._reason
