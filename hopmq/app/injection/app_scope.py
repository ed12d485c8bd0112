"""Values that live as long as the application."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from hopmq.app.injection.teardown import Opened, close_all


def identity(function: Callable[..., Any]) -> object:
    """Return what tells functions apart: bound methods are equal, some objects have no hash."""
    try:
        hash(function)
    except TypeError:
        return id(function)
    return function


class AppValue:
    """What a dependency of scope `app` gives, once it is open."""

    __slots__ = ("function", "open", "value")

    def __init__(
        self, open_: Callable[[Opened], Awaitable[Any]], function: Callable[..., Any]
    ) -> None:
        """Have a value to be opened, by a function."""
        self.open: Callable[[Opened], Awaitable[Any]] = open_
        self.function: Callable[..., Any] = function
        self.value: Any = None


class AppScope:
    """Owns what dependencies of scope `app` give: opened in order, closed in the other.

    `compile_handler` registers them. Those that are not open when a message comes are opened
    then, so that `open` may be left out; with it, their failures are failures to start.
    """

    def __init__(self, given: Mapping[type, Any] | None = None) -> None:
        """Be empty.

        Args:
            given: Values for parameters that are annotated with these types, or with classes that
                these derive from; such as the application itself.
        """
        self._given: Mapping[type, Any] = given or {}
        self.pending: list[AppValue] = []
        self._known: dict[object, AppValue] = {}
        self._opened: Opened = []
        self._lock = asyncio.Lock()

    def gives(self, type_: Any) -> bool:
        """Return whether there is a value for parameters of a type."""
        return type_ is not object and any(type_ in each.__mro__ for each in self._given)

    def given(self, type_: Any) -> Any:
        """Return the value for parameters of a type that it `gives`."""
        return next(value for each, value in self._given.items() if type_ in each.__mro__)

    def value_of(
        self, function: Callable[..., Any], make: Callable[[], Callable[[Opened], Awaitable[Any]]]
    ) -> AppValue:
        """Return the one value of a function; `make` says how it is opened when it is new."""
        key = identity(function)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = AppValue(make(), function)
            self.pending.append(known)
        return known

    async def open(self) -> None:
        """Open what is not open yet; what failed is tried again by the next call.

        Raises:
            Exception: What a dependency raises.
        """
        async with self._lock:
            while self.pending:
                first = self.pending[0]
                first.value = await first.open(self._opened)
                self.pending.pop(0)

    async def close(self) -> None:
        """Close all that is open, the last one first. Idempotent.

        Raises:
            Exception: What a dependency raised last; the others are closed all the same.
        """
        async with self._lock:
            opened, self._opened = self._opened, []
            self.pending = list(self._known.values())
            error = await close_all(opened, None)
        if error is not None:
            raise error

    async def __aenter__(self) -> Self:
        """Open all."""
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all."""
        await self.close()
