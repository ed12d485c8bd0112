"""HopMQ: an endpoint of a typed handler, and `app.request`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calling import Call, Options, run
from orders import Order, an_order

from hopmq.app import App


@asynccontextmanager
async def serve(options: Options) -> AsyncIterator[None]:
    """Serve the endpoint."""
    app = App(options.url)

    @app.endpoint(options.queue, concurrency=100)
    async def items(order: Order) -> int:
        return len(order.items)

    async with app:
        yield


@asynccontextmanager
async def calling(options: Options) -> AsyncIterator[Call]:
    """Give what calls it once."""
    order = an_order(1)
    async with App(options.url) as app:
        yield lambda: app.request(options.queue, order, returns=int, timeout=10)


if __name__ == "__main__":
    run("hopmq", serve, calling)
