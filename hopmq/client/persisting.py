"""Requests that outlive a link: they are asked again on the next one, within one limit for all of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hopmq.client.session import Session
from hopmq.errors import ConnectionClosed, RequestTimeoutError

R = TypeVar("R")

_LAST_WORD: Final = 0.1
"""Seconds that the wait for one answer has to end by its own limit: it knows what was not answered."""


async def persist(
    session: Session,
    attempt: Callable[[], Awaitable[R]],
    *,
    unless: tuple[type[ConnectionClosed], ...] = (),
) -> R:
    """Return what `attempt` does, again on the next link where one ends in the middle.

    Args:
        session: Where the links are.
        attempt: What to do.
        unless: Ends of a link for which it may be the attempt that is to blame.

    Raises:
        RequestTimeoutError: The connection did not recover, or the broker not answer, in time.
        ClosedError: The channel or the connection has ended for good.
    """
    begun = session.loop.time()
    was_asked = not session.is_recovering

    async def ask() -> R:
        nonlocal was_asked
        was_asked = True
        return await attempt()

    async def link() -> None:
        try:
            await session.ready()
        except RequestTimeoutError:
            if was_asked:
                raise TimeoutError from None  # a link that ended had it: it may have been done
            raise

    if was_asked:
        try:
            return await attempt()
        except unless:
            raise
        except ConnectionClosed:
            if not session.is_recovering:
                raise
    try:
        async with asyncio.timeout_at(begun + session.request_timeout + _LAST_WORD):
            return await _on_next_link(session, link, ask, unless)
    except RequestTimeoutError:
        raise
    except TimeoutError:
        if not was_asked:  # both limits were up in one turn, and this one was heard
            raise session.not_ready() from None
        raise RequestTimeoutError(
            f"{session.label}: not answered within {session.request_timeout:g} seconds, while the "
            "connection recovered; the broker may have done what was asked"
        ) from None


async def _on_next_link(
    session: Session,
    link: Callable[[], Awaitable[None]],
    attempt: Callable[[], Awaitable[R]],
    unless: tuple[type[ConnectionClosed], ...],
) -> R:
    while True:
        await link()
        try:
            return await attempt()
        except unless:
            raise
        except ConnectionClosed:
            if not session.is_recovering:
                raise
