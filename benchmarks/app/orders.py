"""The payload and the dependency of these benchmarks."""

from pydantic import BaseModel


class Item(BaseModel):
    """A line of an order."""

    sku: str
    quantity: int
    price: float


class Order(BaseModel):
    """An order of two lines; about 190 bytes of JSON."""

    id: int
    customer: str
    items: list[Item]


def an_order(number: int) -> Order:
    """Make one."""
    items = [
        Item(sku="HOP-CASCADE-100", quantity=3, price=4.9),
        Item(sku="YEAST-US-05", quantity=1, price=3.75),
    ]
    return Order(id=number, customer=f"customer-{number % 100}", items=items)


class Stock:
    """What handlers are given by their dependency."""


STOCK = Stock()


async def get_stock() -> Stock:
    """Depend on this."""
    return STOCK
