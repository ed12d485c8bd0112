"""HopMQ's application layer: a typed payload and one dependency."""

import asyncio
from typing import Annotated

from measuring import Deliveries, Measurement, Options, print_report
from orders import Order, Stock, get_stock

from hopmq import Queue
from hopmq.app import App, Depends


async def main(options: Options) -> None:
    """Handle as many messages as are asked for."""
    measurement = Measurement()
    done = asyncio.Event()
    deliveries = Deliveries(options, measurement, done.set)
    app = App(options.url)

    @app.consumer(Queue.classic(options.queue), prefetch=options.prefetch)
    async def handle(order: Order, stock: Annotated[Stock, Depends(get_stock)]) -> None:
        deliveries.add()

    async with app:
        await done.wait()
    print_report(measurement, "hopmq")


if __name__ == "__main__":
    asked = Options.parse()
    if asked.loop == "uvloop":
        import uvloop

        uvloop.run(main(asked))
    else:
        asyncio.run(main(asked))
