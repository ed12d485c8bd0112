"""HTTP in: an order is accepted when the broker has it.

PUT /orders/{id} with {"item": "tea", "quantity": 2}, GET /orders/{id}, /health/livez, /health/readyz.
"""

import asyncio
import os
from typing import Annotated
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, Field
from shop import SHOP, Order, Quote, shop_app
from store import Store, open_store

from hopmq import PublishError
from hopmq.app.asgi import Probes, lifespan

app = shop_app("web")

# `mandatory`: an order that no queue takes, since no worker has ever run, is not accepted.
placed = app.publisher(Order, exchange=SHOP, routing_key="order.placed", mandatory=True)

web = FastAPI(title="Shop", lifespan=lifespan(app))
web.mount("/health", Probes(app))


class Wish(BaseModel):
    """The body of an order."""

    item: str
    quantity: int = Field(gt=0)


@web.put("/orders/{id}", status_code=202)
async def place(id: UUID, wish: Wish) -> Order:
    """Take an order. After a 503 the same one may be sent again: it is known by its id."""
    order = Order(id=id, item=wish.item, quantity=wish.quantity)
    try:
        await placed.publish(order, message_id=str(id))
    except PublishError as error:
        raise HTTPException(503, "the order may not have been taken: send it again") from error
    return order


@web.get("/orders/{id}")
async def look(id: UUID, store: Annotated[Store, Depends(open_store)]) -> Quote:
    """Say what an order costs, once a worker has stored it."""
    quote = await asyncio.to_thread(store.quote, id)
    if quote is None:
        raise HTTPException(404, "not stored, or not yet")
    return quote


if __name__ == "__main__":
    # uvicorn ends on SIGTERM and SIGINT, and the lifespan drains the application then.
    uvicorn.run(web, host="127.0.0.1", port=int(os.environ.get("SHOP_PORT", "8000")))
