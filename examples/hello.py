"""Hello: make a queue, publish a message to it, and read it back.

Run it with the address of a broker in AMQP_URL, or with a broker on this machine.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")


async def main() -> None:
    """Send one message to ourselves."""
    # A connection is one socket to the broker. A channel is a conversation on it; nearly
    # everything is done on channels. Both close at the end of the block.
    async with hopmq.connect(URL) as connection, connection.channel() as channel:
        # A temporary queue belongs to this connection and goes with it. The broker chooses
        # its name, so that two runs of this example do not meet.
        queue = await channel.declare_queue(hopmq.Queue.temporary())

        # Messages go to an exchange. The default one, which has no name, takes the routing
        # key for the name of a queue. `publish` returns once the broker has the message.
        await channel.publish(b"hello", routing_key=queue.name)

        async with channel.consume(queue.name) as consumer:
            async for message in consumer:
                print("received", message.body.decode())
                message.ack()  # the broker may forget it now
                break


asyncio.run(main())
