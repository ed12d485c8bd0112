"""Publishers take their payload and no other; answers are what was asked for."""

from datetime import UTC, datetime
from typing import assert_type

from messages import Order, Quote

from hopmq import Message, Receipt
from hopmq.app import App, Publisher, Router

app = App("amqp://localhost")
router = Router()
orders = app.publisher(Order, exchange="shop", routing_key="order.placed")
numbers = router.publisher(list[int], routing_key="numbers")
assert_type(orders, Publisher[Order])
assert_type(numbers, Publisher[list[int]])


async def publish() -> None:
    assert_type(await orders.publish(Order("tea")), Receipt)
    await orders.publish(Order("tea"), routing_key="order.again", delay=1.5)
    await orders.publish(Order("tea"), at=datetime.now(UTC), headers={"x-tenant": 1})
    await numbers.publish([1, 2])
    await app.publish(Order("tea"), routing_key="orders")

    await orders.publish(Quote(1))  # error
    await orders.publish("tea")  # error
    await orders.publish(Order("tea"), delay="1.5")  # error
    await orders.publish(Order("tea"), to="order.again")  # error
    await numbers.publish(["one"])  # error
    await numbers.publish(1)  # error


async def ask() -> None:
    assert_type(await app.request("pricing", Order("tea"), returns=Quote), Quote)
    assert_type(await app.request("prices", Order("tea"), returns=list[Quote]), list[Quote])
    assert_type(await app.request("names", returns=dict[str, Quote]), dict[str, Quote])
    assert_type(await app.request("count", returns=int, timeout=5, idempotent=True), int)
    maybe: int | None = await app.request("count", returns=int | None)
    assert maybe is None or maybe > 0
    assert_type(await app.request("pricing", Order("tea")), Message)

    wrong: Order = await app.request("pricing", Order("tea"), returns=Quote)  # error
    print(wrong)
    (await app.request("pricing")).cents  # error
    await app.request("pricing", returns=Quote, timeout="5")  # error
    await app.request("pricing", answer=Quote)  # error
