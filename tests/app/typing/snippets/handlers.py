"""Handlers stay what they are, under every decorator."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, assert_type

from messages import Order, Quote

from hopmq import Exchange, Message, Queue
from hopmq.app import App, Batch, Depends, Group, Header, Retry, Router


@asynccontextmanager
async def around(app: App) -> AsyncGenerator[None, None]:
    print(app)
    yield


app = App("amqp://localhost", lifespan=around)
router = Router("shop.")
app.include(router)


@app.consumer(Queue.quorum("orders"), prefetch=10, retry=Retry(attempts=3))
async def on_order(order: Order, tenant: Annotated[int, Header("x-tenant")] = 0) -> bool:
    return order.item == "tea" and tenant == 0


@app.consumer("plain", retry=None, ack="manual")
def on_plain(message: Message) -> None:
    message.ack()


@router.consumer("batches", batch=Batch(10, 0.5))
async def on_orders(orders: list[Order]) -> int:
    return len(orders)


@app.consumer(exchange=Exchange.topic("shop"), group=Group("billing"), order_by=lambda m: m.body)
async def on_anything(body: bytes) -> None:
    print(body)


@app.endpoint("pricing")
async def price(order: Order) -> Quote:
    return Quote(len(order.item))


@router.endpoint("plain pricing")
def plain_price(order: Order) -> Quote:
    return Quote(len(order.item))


@app.on_startup
async def begin() -> int:
    return 1


@app.on_shutdown
def end() -> str:
    return ""


async def main(message: Message) -> None:
    assert_type(await on_order(Order("tea")), bool)
    assert_type(await on_order(Order("tea"), tenant=2), bool)
    assert_type(await on_orders([Order("tea")]), int)
    assert_type(await price(Order("tea")), Quote)
    assert_type(plain_price(Order("tea")), Quote)
    assert_type(await begin(), int)
    assert_type(end(), str)
    on_plain(message)

    await on_order("tea")  # error
    await on_order(Order("tea"), owner=2)  # error
    on_plain()  # error
    await on_orders([Quote(1)])  # error
    await price(Quote(1))  # error
    await begin(1)  # error


@app.consumer("orders", prefetch="10")  # error
async def wrong_prefetch(order: Order) -> None:
    print(order)


@app.consumer("orders", ack="never")  # error
async def wrong_policy(order: Order) -> None:
    print(order)


@app.consumer("orders", retry=3)  # error
async def wrong_retry(order: Order) -> None:
    print(order)


@app.endpoint("pricing", ack="manuel")  # error
async def wrong_endpoint(order: Order) -> None:
    print(order)


@app.on_startup  # error
async def wrong_hook(order: Order) -> None:
    print(order)


def get_price() -> Quote:
    return Quote(1)


async def get_price_later() -> Quote:
    return Quote(1)


async def get_price_while() -> AsyncIterator[Quote]:
    yield Quote(1)


class Prices:
    """A class gives its objects."""


@app.consumer("dependencies")
async def on_dependencies(
    first: Quote = Depends(get_price),
    second: Quote = Depends(get_price_later),
    third: Quote = Depends(get_price_while, scope="app"),
    fourth: Prices = Depends(Prices),
    fifth: Order = Depends(get_price),  # error
    sixth: Order = Depends(get_price_later),  # error
    seventh: Order = Depends(get_price_while),  # error
    eighth: Quote = Depends(get_price, scope="week"),  # error
) -> None:
    print(first, second, third, fourth, fifth, sixth, seventh, eighth)
