"""A message there and back: what proves that a connection works."""

from hopmq import Connection


async def echoed(connection: Connection, body: bytes) -> bytes:
    """Publish a message, get it, and return its body."""
    queue = (await connection.declare_queue("", exclusive=True)).name
    async with connection.channel() as channel:
        await channel.publish(body, routing_key=queue)
        message = await channel.get(queue)
        assert message is not None
        message.ack()
        return bytes(message.body)
