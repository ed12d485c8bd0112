"""Generators that gave a value are run to their end."""

from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeAlias

Opened: TypeAlias = list[Generator[Any, Any, Any] | AsyncGenerator[Any, Any]]


async def close_all(opened: Opened, error: BaseException | None) -> BaseException | None:
    """Run generators to their end, the last one first; return the failure that is left.

    A failure is thrown in where each of them yielded. It stays a failure when a generator swallows
    it, since work that failed must not count as done; what a generator raises instead takes its
    place, for the generators before it as well.
    """
    while opened:
        try:
            await _close(opened.pop(), error)
        except BaseException as raised:
            error = raised
    return error


async def _close(
    generator: Generator[Any, Any, Any] | AsyncGenerator[Any, Any], error: BaseException | None
) -> None:
    """Resume one generator, which has to end by it.

    Raises:
        BaseException: What it raises.
        RuntimeError: It yields once more.
    """
    if isinstance(generator, AsyncGenerator):
        try:
            await (anext(generator) if error is None else generator.athrow(error))
        except StopAsyncIteration:
            return
        await generator.aclose()
    else:
        try:
            _ = next(generator) if error is None else generator.throw(error)
        except StopIteration:
            return
        generator.close()
    raise RuntimeError(f"dependency {generator!r} yields more than once")
