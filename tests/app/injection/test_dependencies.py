"""Dependencies give values: once for each message, in order, and are torn down after it."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from typing_extensions import TypeAliasType

from app.delivered import context_of, delivered
from app.injection.conftest import Compile
from hopmq import Message
from hopmq.app.errors import PayloadError
from hopmq.app.injection import Depends, Header


class Order(msgspec.Struct):
    id: int


MESSAGE = delivered(b'{"id": 5}', routing_key="order.eu", headers={"x-tenant": "acme"})


def plain() -> str:
    return "value"


async def asynchronous() -> str:
    return "value"


def generator() -> Iterator[str]:
    yield "value"


async def asynchronous_generator() -> AsyncIterator[str]:
    yield "value"


class Giver:
    def __call__(self) -> str:
        return "value"

    async def method(self) -> str:
        return "value"


KINDS = [
    plain,
    asynchronous,
    generator,
    asynchronous_generator,
    Giver(),
    Giver().method,
    lambda: "value",
    lambda: asynchronous(),
]


@pytest.mark.parametrize("function", KINDS)
async def test_every_kind_of_function_gives_a_value(
    compiled: Compile, function: Callable[[], Any]
) -> None:
    async def annotated(order: Order, value: Annotated[str, Depends(function)]) -> str:
        return value

    async def by_default(order: Order, value: str = Depends(function)) -> str:
        return value

    assert await compiled(annotated)(context_of(MESSAGE)) == "value"
    assert await compiled(by_default)(context_of(MESSAGE)) == "value"


async def test_a_class_gives_its_instances(compiled: Compile) -> None:
    class Service:
        def __init__(self, tenant: Annotated[str, Header("x-tenant")]) -> None:
            self.tenant = tenant

    async def handler(service: Annotated[Service, Depends(Service)]) -> str:
        return service.tenant

    assert await compiled(handler)(context_of(MESSAGE)) == "acme"


async def test_a_dependency_takes_whatever_a_handler_takes(compiled: Compile) -> None:
    def about(
        order: Order,
        message: Message,
        region: str,
        tenant: Annotated[str, Header("x-tenant")],
        value: Annotated[str, Depends(plain)],
        *,
        limit: int = 3,
    ) -> Any:
        return order, message, region, tenant, value, limit

    async def handler(order: Order, about: Annotated[Any, Depends(about)]) -> Any:
        return about

    handled = await compiled(handler, pattern="order.{region}")(context_of(MESSAGE))
    assert handled == (Order(5), MESSAGE, "eu", "acme", "value", 3)


async def test_a_dependency_alone_may_take_the_payload(compiled: Compile) -> None:
    def number(order: Order) -> int:
        return order.id

    async def handler(number: Annotated[int, Depends(number)]) -> int:
        return number

    handle = compiled(handler)
    assert handle.payload_type is Order
    assert await handle(context_of(MESSAGE)) == 5


async def test_a_dependency_is_called_once_for_each_message(compiled: Compile) -> None:
    calls: list[int] = []

    def counted() -> int:
        calls.append(1)
        return len(calls)

    def one(number: Annotated[int, Depends(counted)]) -> int:
        return number

    async def two(number: Annotated[int, Depends(counted)]) -> int:
        return number

    async def handler(
        one: Annotated[int, Depends(one)],
        two: Annotated[int, Depends(two)],
        three: Annotated[int, Depends(counted)],
    ) -> list[int]:
        return [one, two, three]

    handle = compiled(handler)
    assert await handle(context_of(MESSAGE)) == [1, 1, 1]
    assert await handle(context_of(MESSAGE)) == [2, 2, 2]


async def test_generators_end_after_the_handler_the_last_one_first(compiled: Compile) -> None:
    log: list[str] = []

    def outer() -> Iterator[str]:
        log.append("open outer")
        yield "outer"
        log.append("close outer")

    async def inner(outer: Annotated[str, Depends(outer)]) -> AsyncIterator[str]:
        log.append("open inner")
        yield f"{outer} inner"
        log.append("close inner")

    async def handler(value: Annotated[str, Depends(inner)]) -> str:
        log.append("handle")
        return value

    assert await compiled(handler)(context_of(MESSAGE)) == "outer inner"
    assert log == ["open outer", "open inner", "handle", "close inner", "close outer"]


async def test_the_failure_of_the_handler_is_thrown_in(compiled: Compile) -> None:
    seen: list[BaseException] = []

    def outer() -> Iterator[str]:
        try:
            yield "outer"
        except BaseException as error:
            seen.append(error)
            raise

    async def inner(outer: Annotated[str, Depends(outer)]) -> AsyncIterator[str]:
        try:
            yield "inner"
        except BaseException as error:
            seen.append(error)
            raise

    failure = ValueError("no")

    async def handler(inner: Annotated[str, Depends(inner)]) -> None:
        raise failure

    with pytest.raises(ValueError, match=r"^no$") as raised:
        await compiled(handler)(context_of(MESSAGE))
    assert raised.value is failure
    assert seen == [failure, failure]


async def test_a_failure_that_a_dependency_swallows_remains_one(compiled: Compile) -> None:
    def swallowing() -> Iterator[None]:
        try:
            yield
        except ValueError:
            pass

    async def handler(nothing: Annotated[None, Depends(swallowing)]) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        await compiled(handler)(context_of(MESSAGE))


async def test_a_dependency_may_raise_another_failure_instead(compiled: Compile) -> None:
    seen: list[BaseException] = []

    def outer() -> Iterator[None]:
        try:
            yield
        except KeyError as error:
            seen.append(error)
            raise

    def translating(outer: Annotated[None, Depends(outer)]) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise KeyError("other") from error

    async def handler(nothing: Annotated[None, Depends(translating)]) -> None:
        raise ValueError("no")

    with pytest.raises(KeyError) as raised:
        await compiled(handler)(context_of(MESSAGE))
    assert isinstance(raised.value.__cause__, ValueError)
    assert seen == [raised.value]


async def test_what_fails_after_the_handler_is_a_failure(compiled: Compile) -> None:
    async def committing() -> AsyncIterator[None]:
        yield
        raise OSError("no commit")

    async def handler(nothing: Annotated[None, Depends(committing)]) -> None:
        pass

    with pytest.raises(OSError, match="no commit"):
        await compiled(handler)(context_of(MESSAGE))


async def test_what_was_opened_is_closed_when_a_later_dependency_fails(compiled: Compile) -> None:
    closed: list[str] = []

    def first() -> Iterator[str]:
        try:
            yield "first"
        finally:
            closed.append("first")

    def second() -> str:
        raise OSError("not there")

    async def handler(
        first: Annotated[str, Depends(first)], second: Annotated[str, Depends(second)]
    ) -> None:
        raise AssertionError("not called")

    with pytest.raises(OSError, match="not there"):
        await compiled(handler)(context_of(MESSAGE))
    assert closed == ["first"]


async def test_what_was_opened_is_closed_when_a_parameter_cannot_be_read(compiled: Compile) -> None:
    closed: list[str] = []

    def first() -> Iterator[str]:
        try:
            yield "first"
        finally:
            closed.append("first")

    async def handler(
        first: Annotated[str, Depends(first)], missing: Annotated[str, Header("missing")]
    ) -> None:
        raise AssertionError("not called")

    with pytest.raises(PayloadError):
        await compiled(handler)(context_of(MESSAGE))
    assert closed == ["first"]


def yields_nothing() -> Iterator[None]:
    yield from ()


async def yields_nothing_either() -> AsyncIterator[None]:
    for each in ():
        yield each


@pytest.mark.parametrize("function", [yields_nothing, yields_nothing_either])
async def test_a_generator_that_does_not_yield_is_a_failure(
    compiled: Compile, function: Callable[[], Any]
) -> None:
    async def handler(nothing: Annotated[None, Depends(function)]) -> None:
        raise AssertionError("not called")

    with pytest.raises(RuntimeError, match=f"{function.__name__}' does not yield"):
        await compiled(handler)(context_of(MESSAGE))


def yields_twice() -> Iterator[None]:
    yield
    yield


async def yields_twice_too() -> AsyncIterator[None]:
    yield
    yield


@pytest.mark.parametrize("function", [yields_twice, yields_twice_too])
async def test_a_generator_that_yields_twice_is_a_failure(
    compiled: Compile, function: Callable[[], Any]
) -> None:
    async def handler(nothing: Annotated[None, Depends(function)]) -> None:
        pass

    with pytest.raises(RuntimeError, match=f"{function.__name__} .*yields more than once"):
        await compiled(handler)(context_of(MESSAGE))


async def test_overrides_stand_in_for_functions(compiled: Compile) -> None:
    def settings() -> str:
        raise AssertionError("not called")

    def connection(settings: Annotated[str, Depends(settings)]) -> str:
        return f"connected to {settings}"

    def for_tests(tenant: Annotated[str, Header("x-tenant")]) -> str:
        return tenant

    async def handler(connection: Annotated[str, Depends(connection)]) -> str:
        return connection

    handle = compiled(handler, overrides={settings: for_tests})
    assert await handle(context_of(MESSAGE)) == "connected to acme"


async def test_a_generator_that_is_wrapped_is_one(compiled: Compile) -> None:
    closed: list[str] = []

    def resource() -> Iterator[str]:
        yield "value"
        closed.append("resource")

    @functools.wraps(resource)
    def wrapped() -> Iterator[str]:
        return resource()

    async def handler(value: Annotated[str, Depends(wrapped)]) -> str:
        return value

    assert await compiled(handler)(context_of(MESSAGE)) == "value"
    assert closed == ["resource"]


async def test_a_context_manager_is_a_value_like_others(compiled: Compile) -> None:
    @contextmanager
    def resource() -> Iterator[str]:
        yield "value"

    async def handler(manager: Annotated[Any, Depends(resource)]) -> str:
        with manager as value:
            return value

    assert await compiled(handler)(context_of(MESSAGE)) == "value"


@dataclass
class Limit:
    """Equal by value, and so without a hash."""

    limit: int

    def __call__(self, order: Order) -> bool:
        return order.id <= self.limit


async def test_objects_without_a_hash_give_values(compiled: Compile) -> None:
    async def handler(
        small: Annotated[bool, Depends(Limit(4))], large: Annotated[bool, Depends(Limit(5))]
    ) -> Any:
        return small, large

    assert await compiled(handler)(context_of(MESSAGE)) == (False, True)


Alias = TypeAliasType("Alias", Annotated[str, Depends(plain)])


async def test_an_alias_stands_for_what_it_means(compiled: Compile) -> None:
    async def handler(value: Alias) -> str:
        return value

    assert await compiled(handler)(context_of(MESSAGE)) == "value"


async def test_messages_at_once_have_values_of_their_own(compiled: Compile) -> None:
    both = asyncio.Barrier(2)

    async def handler(order: Order, number: Annotated[int, Depends(number_of)]) -> Any:
        await both.wait()
        return order.id, number

    handle = compiled(handler)
    contexts = [context_of(delivered(b'{"id": %d}' % number)) for number in (1, 2)]
    assert await asyncio.gather(*map(handle, contexts)) == [(1, 1), (2, 2)]


async def number_of(order: Order) -> AsyncIterator[int]:
    yield order.id
