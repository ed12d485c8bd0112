"""HopMQ without the application layer: a coroutine that validates and acknowledges."""

import asyncio

from measuring import Deliveries, Measurement, Options, print_report
from orders import Order, get_stock

import hopmq


async def main(options: Options) -> None:
    """Handle as many messages as are asked for."""
    measurement = Measurement()
    done = asyncio.Event()
    deliveries = Deliveries(options, measurement, done.set)

    async def handle(message: hopmq.Message) -> None:
        Order.model_validate_json(message.body)
        await get_stock()
        deliveries.add()
        message.ack()

    async with (
        hopmq.connect(options.url) as connection,
        connection.channel(prefetch=options.prefetch, confirms=False) as channel,
        channel.consume(options.queue, handle),
    ):
        await done.wait()
    print_report(measurement, "hopmq")


if __name__ == "__main__":
    asked = Options.parse()
    if asked.loop == "uvloop":
        import uvloop

        uvloop.run(main(asked))
    else:
        asyncio.run(main(asked))
