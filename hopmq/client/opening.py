"""Things that are opened by `await` or by `async with`."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar


class Closable(Protocol):
    """What an opening may open."""

    async def __aenter__(self) -> Self:
        """Enter the open thing."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Close it."""


T = TypeVar("T", bound=Closable)


class Opening(Awaitable[T], Generic[T]):
    """Something about to be opened.

    `thing = await opening` opens it and leaves the closing to you;
    `async with opening as thing:` closes it at the end of the block. It has no other use, so a
    forgotten `await` shows at once.
    """

    __slots__ = ("_make", "_thing")

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Open with `make` when awaited or entered."""
        self._make = make
        self._thing: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        """Open."""
        return self._make().__await__()

    async def __aenter__(self) -> T:
        """Open."""
        self._thing = await self._make()
        return await self._thing.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        assert self._thing is not None
        await self._thing.__aexit__(kind, error, traceback)
