"""What cannot work is said at start, by handler and parameter."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import msgspec
import pytest

from app.injection import misspelt
from app.injection.conftest import Compile
from hopmq import Message
from hopmq.app.context import ConsumeContext
from hopmq.app.errors import DeclarationError
from hopmq.app.injection import Depends, Header, Headers


class Order(msgspec.Struct):
    id: int


async def two_payloads(order: Order, other: dict[str, Any]) -> None: ...
async def same_payload_twice(order: Order, other: Order) -> None: ...
async def payload_with_default(order: Order, retries: int = 3) -> None: ...
async def unannotated(order) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001
async def anything(*orders: Order) -> None: ...
async def anything_named(**orders: Order) -> None: ...
async def undecodable(order: Callable[[], Message]) -> None: ...
async def undecodable_part(orders: list[ConsumeContext]) -> None: ...
async def generating(order: Order) -> AsyncIterator[Order]:
    yield order


def plainly_generating(order: Order) -> Iterator[Order]:
    yield order


async def header_as_default(tenant: str = Header("x")) -> None: ...  # type: ignore[assignment]
async def header_not_called(tenant: Annotated[str, Header]) -> None: ...
async def depends_not_called(tenant: Annotated[str, Depends]) -> None: ...
def needs_order(order: Order) -> Any: ...
async def other_payload(body: dict[str, int], it: Annotated[Any, Depends(needs_order)]) -> None: ...
def needs_unannotated(url) -> Any: ...  # type: ignore[no-untyped-def] # noqa: ANN001
async def mistake_below(it: Annotated[Any, Depends(needs_unannotated)]) -> None: ...


MISTAKES: list[tuple[Callable[..., Any], str]] = [
    (
        two_payloads,
        r"on_order: parameters 'order' \(Order\) and 'other' \(dict\[str, Any\]\) could",
    ),
    (same_payload_twice, r"on_order: parameters 'order' \(Order\) and 'other' \(Order\) could"),
    (payload_with_default, r"on_order: parameters 'order' \(Order\) and 'retries' \(int\) could"),
    (unannotated, "on_order: parameter 'order' has no annotation"),
    (anything, r"on_order: parameter '\*orders' could be anything"),
    (anything_named, r"on_order: parameter '\*\*orders' could be anything"),
    (undecodable, r"on_order: parameter 'order': nobody reads .*Callable"),
    (undecodable_part, r"on_order: parameter 'orders': nobody reads list\[.*ConsumeContext\]"),
    (generating, "on_order: a handler cannot be a generator"),
    (plainly_generating, "on_order: a handler cannot be a generator"),
    (
        header_as_default,
        r"on_order: parameter 'tenant': write Annotated\[..., Header\(name='x'\)\]",
    ),
    (
        other_payload,
        r"on_order: parameter 'it': needs_order: parameter 'order' would be the payload as Order",
    ),
    (
        mistake_below,
        "on_order: parameter 'it': needs_unannotated: parameter 'url' has no annotation",
    ),
    (
        misspelt.handler,
        "on_order: parameter 'order' is annotated as 'Ordre', and 'Ordre' is not found",
    ),
    (header_not_called, "on_order: parameter 'tenant': Header is to be called"),
    (depends_not_called, "on_order: parameter 'tenant': Depends is to be called"),
    (print, "on_order: parameter"),
]


@pytest.mark.parametrize("handler, reason", MISTAKES)
def test_a_handler_that_cannot_work_is_named(
    compiled: Compile, handler: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(DeclarationError, match=f"^{reason}"):
        compiled(handler)


def test_a_function_that_depends_on_itself_is_named(compiled: Compile) -> None:
    def first(value: Any) -> Any:
        return value

    def second(value: Annotated[Any, Depends(first)]) -> Any:
        return value

    first.__annotations__["value"] = Annotated[Any, Depends(second)]

    async def handler(value: Annotated[Any, Depends(first)]) -> None: ...

    with pytest.raises(DeclarationError, match=r"on_order: .*first -> .*second -> .*first$"):
        compiled(handler)


def test_a_function_that_is_overridden_by_what_needs_it_depends_on_itself(
    compiled: Compile,
) -> None:
    def original() -> Any: ...

    def override(value: Annotated[Any, Depends(original)]) -> Any: ...

    async def handler(value: Annotated[Any, Depends(original)]) -> None: ...

    with pytest.raises(DeclarationError, match="depends on itself"):
        compiled(handler, overrides={original: override})


def test_a_circle_of_the_application_is_named(compiled: Compile) -> None:
    def first(value: Any) -> Any: ...

    first.__annotations__["value"] = Annotated[Any, Depends(first, scope="app")]

    async def handler(value: Annotated[Any, Depends(first, scope="app")]) -> None: ...

    with pytest.raises(
        DeclarationError, match=r"on_order: .*depends on itself: .*first -> .*first$"
    ):
        compiled(handler)


def test_a_header_of_a_type_that_it_cannot_be_is_named(compiled: Compile) -> None:
    async def handler(tenant: Annotated[Callable[[], int], Header("x")]) -> None: ...

    with pytest.raises(DeclarationError, match="on_order: parameter 'tenant' cannot be made a "):
        compiled(handler)


def test_a_word_of_a_type_that_it_cannot_be_is_named(compiled: Compile) -> None:
    async def handler(region: Callable[[], int]) -> None: ...

    with pytest.raises(DeclarationError, match="on_order: parameter 'region' cannot be made a "):
        compiled(handler, pattern="order.{region}")


async def one_message(orders: list[Order], message: Message) -> None: ...
async def one_header(orders: list[Order], x: Annotated[str, Header("x")]) -> None: ...
async def headers_of_one(orders: list[Order], headers: Headers) -> None: ...
async def one_word(orders: list[Order], region: str) -> None: ...


@pytest.mark.parametrize("handler", [one_message, one_header, headers_of_one, one_word])
def test_a_batch_has_nothing_that_one_message_has(
    compiled: Compile, handler: Callable[..., Any]
) -> None:
    with pytest.raises(DeclarationError, match=r"on_order: parameter '\w+' is of one message"):
        compiled(handler, batch=True, pattern="order.{region}")


async def not_a_list(order: Order) -> None: ...
async def a_mapping(orders: dict[str, Order]) -> None: ...
async def a_list_of_anything(orders: list) -> None: ...  # type: ignore[type-arg]


@pytest.mark.parametrize("handler", [not_a_list, a_mapping, a_list_of_anything])
def test_a_batch_takes_nothing_but_a_list(compiled: Compile, handler: Callable[..., Any]) -> None:
    with pytest.raises(
        DeclarationError, match=r"on_order: parameter 'orders?' is .*a batch is a list"
    ):
        compiled(handler, batch=True)


def test_depends_wants_a_function() -> None:
    with pytest.raises(DeclarationError, match="needs a function, not 5"):
        Depends(5)  # type: ignore[call-overload]


def test_depends_knows_its_scopes() -> None:
    with pytest.raises(DeclarationError, match="'message' or 'app', not 'session'"):
        Depends(print, scope="session")  # type: ignore[call-overload]
