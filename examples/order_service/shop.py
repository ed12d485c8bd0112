"""What the processes of the shop have in common: messages, names, and an error they all know."""

import os
from uuid import UUID

from pydantic import BaseModel, Field

from hopmq import Exchange, Queue
from hopmq.app import App

URL = os.environ.get("AMQP_URL", "amqp://localhost")
DATABASE = os.environ.get("SHOP_DATABASE", "shop.sqlite")

SHOP = Exchange.topic("shop")
ORDERS = Queue.quorum("shop.orders")
PRICING = "shop.pricing.quote"


class Order(BaseModel):
    """What a customer wants; `id` is the customer's own, so that ordering twice is ordering once."""

    id: UUID
    item: str
    quantity: int = Field(gt=0)


class Quote(BaseModel):
    """What an order costs."""

    cents: int


class Confirmed(BaseModel):
    """An order that is stored, and will be delivered."""

    id: UUID
    cents: int


class UnknownItemError(Exception):
    """The shop does not sell this."""


def shop_app(name: str) -> App:
    """Return an application of the shop.

    An `UnknownItemError` that pricing raises is one where it was asked, too.
    """
    app = App(URL, name=f"shop {name}")
    app.errors.register(UnknownItemError, "unknown_item")
    return app
