"""Pricing: answers what an order costs. It fails at times, as services do."""

import asyncio
import os
import random

from shop import PRICING, Order, Quote, UnknownItemError, shop_app

FAILURES = float(os.environ.get("SHOP_PRICING_FAILURES", "0.1"))
"""How often a request fails, from 0 to 1."""
SECONDS = 0.01
"""How long it takes to look a price up."""

PRICES = {"tea": 450, "coffee": 890, "sugar": 120}

app = shop_app("pricing")


@app.endpoint(PRICING, prefetch=20, concurrency=10)
async def quote(order: Order) -> Quote:
    """Answer what an order costs."""
    await asyncio.sleep(SECONDS)
    if random.random() < FAILURES:
        raise RuntimeError("the price list is in use")
    if order.item not in PRICES:
        raise UnknownItemError(order.item)
    return Quote(cents=PRICES[order.item] * order.quantity)


if __name__ == "__main__":
    app.run()
