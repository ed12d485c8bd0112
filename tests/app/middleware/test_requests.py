"""Publish middleware stands around requests as well."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hopmq import Message
from hopmq.app import App, CallNotSentError, PublishContext, PublishMiddleware, RemoteError
from hopmq.errors import UsageError

Next = Callable[[PublishContext], Awaitable[Any]]


def asking(*middleware: PublishMiddleware) -> App:
    """Return an application that tells who asks it."""
    app = App(publish_middleware=middleware)

    @app.endpoint("tenant")
    async def tenant(number: int, message: Message) -> str:
        if number < 0:
            raise RemoteError("negative", "")
        return f"{message.headers.get('x-tenant')} {message.properties.priority}"

    return app


async def of_acme(context: PublishContext, call_next: Next) -> Any:
    """Say who publishes."""
    context.properties.headers = {**(context.properties.headers or {}), "x-tenant": "acme"}
    context.properties.priority = 3
    return await call_next(context)


async def test_what_it_changes_takes_effect() -> None:
    async def elsewhere(context: PublishContext, call_next: Next) -> Any:
        context.routing_key, context.body = "tenant", b"1"
        return await call_next(context)

    app = asking(of_acme, elsewhere)
    async with app.test():
        assert await app.request("somewhere", 2, returns=str) == "acme 3"


async def test_it_sees_a_request_and_its_answer() -> None:
    seen: list[Any] = []

    async def look(context: PublishContext, call_next: Next) -> Any:
        seen.extend((context.payload, context.routing_key, context.is_request, context.mandatory))
        answer = await call_next(context)
        seen.append(answer.body)
        return answer

    app = asking(look)
    async with app.test():
        await app.request("tenant", 1)
        assert seen == [1, "tenant", True, True, b'"None None"']


async def test_what_a_call_raises_passes_through_it() -> None:
    seen: list[str] = []

    async def look(context: PublishContext, call_next: Next) -> Any:
        try:
            return await call_next(context)
        except RemoteError as error:
            seen.append(error.code)
            raise

    app = asking(look)
    async with app.test():
        with pytest.raises(RemoteError):
            await app.request("tenant", -1)
        assert seen == ["negative"]


async def test_requests_are_not_among_what_was_published() -> None:
    app = asking(of_acme)
    async with app.test() as t:
        await app.request("tenant", 1)
        assert t.published() == []


async def test_an_answer_of_its_own_is_the_answer() -> None:
    kept: list[Message] = []

    async def keep(context: PublishContext, call_next: Next) -> Any:
        if not kept:
            kept.append(await call_next(context))
        return kept[0]

    app = asking(keep, of_acme)
    async with app.test():
        for _ in range(2):
            assert await app.request("tenant", 1, returns=str) == "acme 3"


async def test_a_request_that_it_keeps_was_not_sent() -> None:
    async def keep(_context: PublishContext, _call_next: Next) -> Any:
        return None

    app = asking(keep)
    async with app.test():
        with pytest.raises(CallNotSentError, match="'tenant' was not sent: a publish middleware"):
            await app.request("tenant", 1)


async def test_an_answer_that_it_loses_is_told() -> None:
    async def lose(context: PublishContext, call_next: Next) -> Any:
        await call_next(context)

    app = asking(lose)
    async with app.test():
        with pytest.raises(UsageError, match=r"return await call_next\(context\)"):
            await app.request("tenant", 1)


async def test_a_request_cannot_be_delayed() -> None:
    async def later(context: PublishContext, call_next: Next) -> Any:
        context.delay = 5
        return await call_next(context)

    app = asking(later)
    async with app.test():
        with pytest.raises(UsageError, match="a request has no delay"):
            await app.request("tenant", 1)
