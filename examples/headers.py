"""Headers: routing by the headers of a message rather than by its routing key.

A headers exchange compares the headers of a message with the arguments of its bindings:
with `x-match` `all`, every one must be equal; with `any`, one is enough.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")
DOCUMENTS = hopmq.Exchange.headers("hopmq.example.documents", auto_delete=True)


async def bound_queue(channel: hopmq.Channel, arguments: hopmq.FieldTable) -> str:
    """Make a queue that gets what the arguments describe; return its name."""
    queue = await channel.declare_queue(hopmq.Queue.temporary())
    await channel.bind(queue.name, DOCUMENTS, arguments=arguments)
    return queue.name


async def show(channel: hopmq.Channel, queue: str, reader: str) -> None:
    """Print what is in a queue."""
    while (message := await channel.get(queue, no_ack=True)) is not None:
        print(f"{reader}: {message.body.decode()} {dict(message.headers)}")


async def main() -> None:
    """Publish two documents and show who gets them."""
    async with hopmq.connect(URL) as connection, connection.channel() as channel:
        await channel.declare_exchange(DOCUMENTS)
        printer = await bound_queue(channel, {"x-match": "all", "format": "pdf", "pages": 1})
        archive = await bound_queue(channel, {"x-match": "any", "format": "pdf", "signed": True})

        # Header values have types: 1 matches 1, not "1".
        await channel.publish(b"leaflet", exchange=DOCUMENTS, headers={"format": "pdf", "pages": 1})
        await channel.publish(
            b"contract", exchange=DOCUMENTS, headers={"format": "text", "signed": True}
        )

        await show(channel, printer, "printer")
        await show(channel, archive, "archive")


asyncio.run(main())
