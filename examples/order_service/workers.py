"""Workers: have each order priced, store it, and tell who wants to know. Run as many as needed."""

import asyncio
from typing import Annotated

from shop import ORDERS, PRICING, SHOP, Confirmed, Order, Quote, UnknownItemError, shop_app
from store import Store, open_store

from hopmq.app import Depends, Exponential, Retry

app = shop_app("worker")
confirmed = app.publisher(Confirmed, exchange=SHOP, routing_key="order.confirmed")

# Pricing may be away for a while, so there are many attempts; what the shop does not sell will
# not be there next time either: it goes to the parking queue at once, with the reason.
PATIENTLY = Retry(attempts=10, backoff=Exponential(0.25, 4), give_up_on=(UnknownItemError,))


@app.consumer(
    ORDERS, exchange=SHOP, bindings="order.placed", prefetch=20, concurrency=10, retry=PATIENTLY
)
async def on_order(order: Order, store: Annotated[Store, Depends(open_store, scope="app")]) -> None:
    """Take one order to its end.

    Whatever fails, or kills this process, has the order come again, so each step may be done
    twice: a price may be asked for again (`idempotent`), the store keeps the order it has, and
    the confirmation has the order's id, by which its readers know it.
    """
    quote = await app.request(PRICING, order, returns=Quote, timeout=2, idempotent=True)
    stored = await asyncio.to_thread(store.add, order, quote)
    await confirmed.publish(Confirmed(id=order.id, cents=stored.cents), message_id=str(order.id))


if __name__ == "__main__":
    app.run()
