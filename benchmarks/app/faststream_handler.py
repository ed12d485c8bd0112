"""FastStream: the same typed payload and dependency, without its log of each message."""

import asyncio
from typing import Annotated

from faststream import AckPolicy, Depends
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from measuring import Deliveries, Measurement, Options, print_report
from orders import Order, Stock, get_stock


async def main(options: Options) -> None:
    """Handle as many messages as are asked for."""
    measurement = Measurement()
    done = asyncio.Event()
    deliveries = Deliveries(options, measurement, done.set)
    broker = RabbitBroker(
        options.url, default_channel=Channel(prefetch_count=options.prefetch), logger=None
    )

    @broker.subscriber(
        RabbitQueue(options.queue, durable=True, arguments={"x-queue-type": "classic"}),
        ack_policy=AckPolicy.ACK,
        no_reply=True,
    )
    async def handle(order: Order, stock: Annotated[Stock, Depends(get_stock)]) -> None:
        deliveries.add()

    async with broker:
        await broker.start()
        await done.wait()
    print_report(measurement, "faststream")


if __name__ == "__main__":
    asked = Options.parse()
    if asked.loop == "uvloop":
        import uvloop

        uvloop.run(main(asked))
    else:
        asyncio.run(main(asked))
