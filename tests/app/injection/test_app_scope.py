"""Values of scope `app` are opened once, and closed when the application ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from app.delivered import context_of, delivered
from app.injection.conftest import Compile
from hopmq import Message
from hopmq.app.errors import DeclarationError
from hopmq.app.injection import AppScope, Depends

MESSAGE = delivered(b"null")


class Resource:
    """Counts how often it is opened and closed."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def plain(self) -> Iterator[str]:
        self.log.append("open plain")
        try:
            yield "plain"
        finally:
            self.log.append("close plain")

    async def of_two(self, plain: str) -> AsyncIterator[str]:
        self.log.append("open of_two")
        yield f"{plain} of two"
        self.log.append("close of_two")


@pytest.fixture
def resource() -> Resource:
    return Resource()


async def test_a_value_is_shared_by_messages_and_handlers(
    compiled: Compile, app_scope: AppScope, resource: Resource
) -> None:
    async def one(value: Annotated[str, Depends(resource.plain, scope="app")]) -> str:
        return value

    async def two(value: str = Depends(resource.plain, scope="app")) -> str:
        return value

    handlers = [compiled(one), compiled(two)]
    async with app_scope:
        assert resource.log == ["open plain"]
        for handle in handlers * 2:
            assert await handle(context_of(MESSAGE)) == "plain"
        assert resource.log == ["open plain"]
    assert resource.log == ["open plain", "close plain"]


async def test_values_are_closed_the_last_one_first(
    compiled: Compile, app_scope: AppScope, resource: Resource
) -> None:
    async def of_two(
        plain: Annotated[str, Depends(resource.plain, scope="app")],
    ) -> AsyncIterator[str]:
        async for value in resource.of_two(plain):
            yield value

    async def handler(value: Annotated[str, Depends(of_two, scope="app")]) -> str:
        return value

    handle = compiled(handler)
    async with app_scope:
        assert await handle(context_of(MESSAGE)) == "plain of two"
    assert resource.log == ["open plain", "open of_two", "close of_two", "close plain"]


async def test_a_message_that_comes_before_the_start_opens_once(
    compiled: Compile, app_scope: AppScope
) -> None:
    opened: list[int] = []

    async def slow() -> int:
        await asyncio.sleep(0)
        opened.append(1)
        return len(opened)

    async def handler(value: Annotated[int, Depends(slow, scope="app")]) -> int:
        return value

    handle = compiled(handler)
    assert await asyncio.gather(*(handle(context_of(MESSAGE)) for _ in range(3))) == [1, 1, 1]
    await app_scope.close()


async def test_what_fails_to_open_is_tried_again(compiled: Compile, app_scope: AppScope) -> None:
    failures = [OSError("down")]

    def flaky() -> str:
        if failures:
            raise failures.pop()
        return "up"

    async def handler(value: Annotated[str, Depends(flaky, scope="app")]) -> str:
        return value

    handle = compiled(handler)
    with pytest.raises(OSError, match="down"):
        await app_scope.open()
    assert await handle(context_of(MESSAGE)) == "up"


async def test_a_start_that_fails_closes_what_was_opened(
    compiled: Compile, app_scope: AppScope, resource: Resource
) -> None:
    def failing() -> str:
        raise OSError("down")

    async def handler(
        plain: Annotated[str, Depends(resource.plain, scope="app")],
        value: Annotated[str, Depends(failing, scope="app")],
    ) -> None:
        raise AssertionError("not called")

    compiled(handler)
    with pytest.raises(OSError, match="down"):
        async with app_scope:
            raise AssertionError("not started")
    assert resource.log == ["open plain", "close plain"]


async def test_what_fails_to_close_keeps_no_other_open(
    compiled: Compile, app_scope: AppScope, resource: Resource
) -> None:
    def failing() -> Iterator[str]:
        yield "value"
        raise OSError("will not close")

    async def handler(
        plain: Annotated[str, Depends(resource.plain, scope="app")],
        value: Annotated[str, Depends(failing, scope="app")],
    ) -> None:
        pass

    compiled(handler)
    await app_scope.open()
    with pytest.raises(OSError, match="will not close"):
        await app_scope.close()
    assert resource.log == ["open plain", "close plain"]
    await app_scope.close()


async def test_a_scope_can_be_opened_again(
    compiled: Compile, app_scope: AppScope, resource: Resource
) -> None:
    async def handler(value: Annotated[str, Depends(resource.plain, scope="app")]) -> str:
        return value

    handle = compiled(handler)
    for _ in range(2):
        async with app_scope:
            assert await handle(context_of(MESSAGE)) == "plain"
    assert resource.log == ["open plain", "close plain"] * 2


async def test_a_handler_compiled_later_opens_what_it_adds(
    compiled: Compile, app_scope: AppScope, resource: Resource
) -> None:
    async with app_scope:

        async def handler(value: Annotated[str, Depends(resource.plain, scope="app")]) -> str:
            return value

        assert await compiled(handler)(context_of(MESSAGE)) == "plain"
    assert resource.log == ["open plain", "close plain"]


async def test_overrides_reach_values_of_the_application(compiled: Compile) -> None:
    def settings() -> str:
        raise AssertionError("not called")

    def connection(settings: Annotated[str, Depends(settings, scope="app")]) -> str:
        return f"connected to {settings}"

    async def handler(value: Annotated[str, Depends(connection, scope="app")]) -> str:
        return value

    handle = compiled(handler, overrides={settings: lambda: "tests"})
    assert await handle(context_of(MESSAGE)) == "connected to tests"


async def test_a_value_of_the_application_may_need_the_application(compiled: Compile) -> None:
    class App:
        name = "orders"

    def title(app: App, suffix: str = "!") -> str:
        return app.name + suffix

    async def handler(value: Annotated[str, Depends(title, scope="app")]) -> str:
        return value

    handle = compiled(handler, app_scope=AppScope({App: App()}))
    assert await handle(context_of(MESSAGE)) == "orders!"


def of_a_message(message: Message) -> Any:
    return message


def of_a_dependency(value: Annotated[Any, Depends(of_a_message)]) -> Any:
    return value


def of_a_payload(body: bytes) -> Any:
    return body


@pytest.mark.parametrize(
    "function, parameter",
    [(of_a_message, "message"), (of_a_dependency, "value"), (of_a_payload, "body")],
)
def test_a_value_of_the_application_cannot_need_a_message(
    compiled: Compile, function: Any, parameter: str
) -> None:
    async def handler(given: Annotated[Any, Depends(function, scope="app")]) -> None:
        pass

    expected = f"on_order: parameter 'given': {function.__name__}: parameter '{parameter}' is there"
    with pytest.raises(DeclarationError, match=expected):
        compiled(handler)
