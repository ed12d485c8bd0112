"""Each kind of parameter is given what its annotation says."""

import functools
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from app.delivered import context_of, delivered
from app.injection import unresolved
from app.injection.conftest import Compile
from hopmq import Message
from hopmq.app.context import ConsumeContext
from hopmq.app.errors import PayloadError
from hopmq.app.injection import AppScope, Header, Headers

ORDER = b'{"id": 5}'


class Order(msgspec.Struct):
    id: int


class Model(pydantic.BaseModel):
    id: int


class Region(Enum):
    EU = "eu"
    US = "us"


async def test_the_payload_is_what_no_other_annotation_claims(compiled: Compile) -> None:
    async def handler(context: ConsumeContext, order: Order, message: Message) -> Any:
        return context, order, message

    handle = compiled(handler)
    context = context_of(delivered(ORDER))
    assert await handle(context) == (context, Order(5), context.message)
    assert handle.payload_type is Order


async def test_a_handler_may_take_no_payload(compiled: Compile) -> None:
    async def handler(message: Message) -> bytes:
        return message.body

    handle = compiled(handler)
    assert handle.payload_type is None
    assert handle.decode(delivered(b"\xff")) is None
    assert await handle(context_of(delivered(b"\xff"))) == b"\xff"


async def test_a_handler_may_take_nothing(compiled: Compile) -> None:
    async def handler() -> int:
        return 1

    assert await compiled(handler)(context_of(delivered(b"\xff"))) == 1


async def test_headers_are_a_copy(compiled: Compile) -> None:
    async def handler(headers: Headers) -> Headers:
        headers["mine"] = 1
        return headers

    message = delivered(headers={"x-tenant": "acme"})
    assert await compiled(handler)(context_of(message)) == {"x-tenant": "acme", "mine": 1}
    assert message.headers == {"x-tenant": "acme"}


@pytest.mark.parametrize("given", [5, "5"])
async def test_a_header_is_converted(compiled: Compile, given: Any) -> None:
    async def handler(tenant: Annotated[int, Header("x-tenant")]) -> int:
        return tenant

    assert await compiled(handler)(context_of(delivered(headers={"x-tenant": given}))) == 5


async def test_a_header_is_checked_by_the_constraints_of_its_annotation(compiled: Compile) -> None:
    async def handler(tenant: Annotated[int, pydantic.Field(gt=0), Header("x-tenant")]) -> int:
        return tenant

    handle = compiled(handler)
    assert await handle(context_of(delivered(headers={"x-tenant": 1}))) == 1
    with pytest.raises(PayloadError, match=r"header 'x-tenant': .*greater than 0"):
        await handle(context_of(delivered(headers={"x-tenant": 0})))


async def test_a_header_of_another_type_is_a_payload_error(compiled: Compile) -> None:
    async def handler(tenant: Annotated[int, Header("x-tenant")]) -> int:
        return tenant

    with pytest.raises(PayloadError, match="header 'x-tenant': Expected `int`"):
        await compiled(handler)(context_of(delivered(headers={"x-tenant": "secret"})))


async def test_a_missing_header_without_default_is_a_payload_error(compiled: Compile) -> None:
    async def handler(tenant: Annotated[str | None, Header("x-tenant")]) -> str | None:
        return tenant

    with pytest.raises(PayloadError, match="header 'x-tenant' is missing"):
        await compiled(handler)(context_of(delivered()))


async def test_a_missing_header_with_default_is_the_default(compiled: Compile) -> None:
    async def handler(tenant: Annotated[str, Header("x-tenant")] = "none") -> str:
        return tenant

    handle = compiled(handler)
    assert await handle(context_of(delivered())) == "none"
    assert await handle(context_of(delivered(headers={"x-tenant": "acme"}))) == "acme"


async def test_words_of_the_routing_key_are_converted(compiled: Compile) -> None:
    async def handler(region: Region, order_id: UUID) -> Any:
        return region, order_id

    handle = compiled(handler, pattern="order.{region}.{order_id}.created")
    uuid = UUID(int=5)
    message = delivered(routing_key=f"order.eu.{uuid}.created")
    assert await handle(context_of(message)) == (Region.EU, uuid)
    assert handle.payload_type is None


async def test_a_word_that_cannot_be_converted_is_a_payload_error(compiled: Compile) -> None:
    async def handler(region: Region) -> Region:
        return region

    handle = compiled(handler, pattern="order.{region}")
    with pytest.raises(PayloadError, match=r"'region' of routing key 'order\.mars'"):
        await handle(context_of(delivered(routing_key="order.mars")))


async def test_a_routing_key_of_another_form_is_a_payload_error(compiled: Compile) -> None:
    async def handler(region: str) -> str:
        return region

    handle = compiled(handler, pattern="order.{region}")
    with pytest.raises(PayloadError, match=r"'orders' does not match 'order\.\{region\}'"):
        await handle(context_of(delivered(routing_key="orders")))


async def test_words_that_the_handler_does_not_take_are_not_looked_at(compiled: Compile) -> None:
    async def handler(order: Order) -> Order:
        return order

    handle = compiled(handler, pattern="order.{region}")
    assert await handle(context_of(delivered(ORDER, routing_key="orders"))) == Order(5)


async def test_what_the_application_gives_is_found_by_its_type(compiled: Compile) -> None:
    class App:
        pass

    class Derived(App):
        pass

    app = Derived()

    async def handler(order: Order, app: App) -> App:
        return app

    async def takes_anything(order: object) -> object:
        return order

    scope = AppScope({Derived: app})
    assert await compiled(handler, app_scope=scope)(context_of(delivered(ORDER))) is app
    handle = compiled(takes_anything, app_scope=scope)
    assert await handle(context_of(delivered(ORDER))) == {"id": 5}


async def test_parameters_by_name_only_and_by_position_only(compiled: Compile) -> None:
    async def handler(order: Order, /, message: Message, *, headers: Headers) -> Any:
        return order, message.body, headers

    handled = await compiled(handler)(context_of(delivered(ORDER, headers={"a": 1})))
    assert handled == (Order(5), ORDER, {"a": 1})


class Handlers:
    async def method(self, order: Order) -> Any:
        return self, order

    async def __call__(self, order: Order) -> Any:
        return self, order


async def test_a_bound_method_handles(compiled: Compile) -> None:
    handlers = Handlers()
    assert await compiled(handlers.method)(context_of(delivered(ORDER))) == (handlers, Order(5))


async def test_an_object_that_can_be_called_handles(compiled: Compile) -> None:
    handlers = Handlers()
    assert await compiled(handlers)(context_of(delivered(ORDER))) == (handlers, Order(5))


async def test_a_partial_handles_with_what_it_was_given(compiled: Compile) -> None:
    async def handler(prefix: str, order: Order, suffix: str) -> str:
        return f"{prefix}{order.id}{suffix}"

    partial = functools.partial(handler, "<", suffix=">")
    assert await compiled(partial)(context_of(delivered(ORDER))) == "<5>"


async def test_annotations_that_are_strings_are_resolved(compiled: Compile) -> None:
    handle = compiled(unresolved.handler)
    assert await handle(context_of(delivered(ORDER))) == (unresolved.Order(5), 5)


async def test_the_annotation_of_the_result_is_kept(compiled: Compile) -> None:
    async def typed(order: Order) -> list[Model]:
        return []

    async def nothing(order: Order) -> None:
        pass

    async def unsaid(order: Order):  # type: ignore[no-untyped-def] # noqa: ANN202
        pass

    assert compiled(typed).returns == list[Model]
    assert compiled(nothing).returns is type(None)
    assert compiled(unsaid).returns is Any


@pytest.mark.parametrize("annotation", [list[Order], Sequence[Order]])
async def test_a_batch_takes_a_list_of_payloads(compiled: Compile, annotation: Any) -> None:
    async def handler(orders: annotation, messages: list[Message]) -> Any:
        return orders, messages

    handle = compiled(handler, batch=True)
    messages = [delivered(b'{"id": 1}'), delivered(b'{"id": 2}')]
    assert handle.payload_type is Order
    assert handle.decode(messages[0]) == Order(1)
    assert await handle(context_of(*messages)) == ([Order(1), Order(2)], messages)
