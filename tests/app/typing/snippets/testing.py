"""Tests get typed payloads and answers."""

from typing import assert_type

from messages import Order, Quote

from hopmq import Message
from hopmq.app import App
from hopmq.app.testing import AppTest, Published

app = App("amqp://localhost")


def get_price() -> Quote:
    return Quote(1)


async def test() -> None:
    async with app.test(overrides={get_price: lambda: Quote(2)}, emulate="4.0") as t:
        assert_type(t, AppTest)
        await t.publish(Order("tea"), routing_key="orders")
        await t.advance(5)
        await t.drain()
        assert_type(t.published(Order), list[Order])
        assert_type(t.published(), list[Published])
        assert_type(await t.request("pricing", Order("tea"), returns=Quote), Quote)
        assert_type(await t.request("pricing", Order("tea")), Message)

        orders: list[Quote] = t.published(Order)  # error
        print(orders)
        await t.advance("5")  # error
        await t.publish(Order("tea"), "orders")  # error

    app.test(overrides=[get_price])  # error
    app.test(emulate=4)  # error
