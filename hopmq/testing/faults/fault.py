"""One fault that was asked for: whether it has happened, and its end."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from hopmq.errors import UsageError
from hopmq.testing.faults.selection import Selection

HAPPENS_WITHIN: Final = 10.0


class Fault:
    """Something that goes wrong when its time has come.

    Used as a context manager, it is cancelled at the end of the block.

    Attributes:
        hits: How often it has happened.
        is_active: Whether it may happen (again); False once it is cancelled.
    """

    def __init__(self, what: str, where: Selection, *, nth: int = 1, times: int | None = 1) -> None:
        """Wait for the `nth` occasion from now on, and take `times` in a row; None for all."""
        if nth < 1 or (times is not None and times < 1):
            raise UsageError("nth and times count from 1")
        self.where: Selection = where
        self.hits: int = 0
        self.is_active: bool = True
        self._what = what
        self._nth = nth
        self._times = times
        self._seen = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._at_end: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        """Show what it does and how often it has."""
        state = "" if self.is_active else ", cancelled"
        return f"<Fault: {self._what}; {self.hits} hits{state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    # --- what a test asks ----------------------------------------------------------------------

    async def happened(
        self,
        times: int = 1,
        *,
        timeout: float = HAPPENS_WITHIN,  # noqa: ASYNC109  # its error says what was awaited
    ) -> None:
        """Return once it has happened so many times.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        if self.hits >= times:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((times, waiter))
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            raise TimeoutError(
                f"{self._what}: {self.hits} of {times} within {timeout:g} s; "
                f"{self._seen} occasions seen"
            ) from None

    def release(self) -> None:
        """Let go of what it holds back; it goes on holding what comes later."""

    def cancel(self) -> None:
        """Happen no more, and let go of what it holds back. Idempotent."""
        if not self.is_active:
            return
        self.is_active = False
        self.release()
        callbacks, self._at_end = self._at_end, []
        for callback in callbacks:
            callback()

    # --- for those who make it happen ----------------------------------------------------------

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` when it is cancelled."""
        self._at_end.append(callback)

    def takes(self) -> bool:
        """Count an occasion, and return whether it happens on this one."""
        if not self.is_active:
            return False
        self._seen += 1
        if self._seen < self._nth:
            return False
        if self._times is not None and self._seen >= self._nth + self._times:
            return False
        self.hit()
        return True

    def hit(self) -> None:
        """Take note that it has happened."""
        self.hits += 1
        for times, waiter in self._waiters:
            if self.hits >= times and not waiter.done():
                waiter.set_result(None)
