"""Several middleware around a handler."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.middleware.conftest import Contexts, done
from hopmq.app.context import ConsumeContext
from hopmq.app.middleware.composition import compose


def test_without_middleware_there_is_nothing_around_a_handler() -> None:
    assert compose([], done) is done


async def test_the_first_middleware_is_the_outermost(context: Contexts) -> None:
    seen: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        async def __call__(
            self, context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]]
        ) -> Any:
            seen.append(f"{self.name} before")
            result = await call_next(context)
            seen.append(f"{self.name} after")
            return f"{self.name}({result})"

    async def function(
        context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]]
    ) -> Any:
        seen.append("function")
        return await call_next(context)

    call = compose([Named("a"), function, Named("b")], done)
    assert await call(context()) == "a(b(result))"
    assert seen == ["a before", "function", "b before", "b after", "a after"]
    assert await call(context()) == "a(b(result))"


async def test_a_middleware_may_answer_in_the_handlers_stead(context: Contexts) -> None:
    async def instead(
        context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]]
    ) -> Any:
        return "instead"

    async def never(context: ConsumeContext) -> Any:
        raise AssertionError

    assert await compose([instead], never)(context()) == "instead"
