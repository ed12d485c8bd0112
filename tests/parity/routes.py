"""Whether a message reaches a queue, as the broker itself says: returned, or not."""

from typing import Any

from hopmq.wire import Ack, Returned
from parity.channel import ChannelDriver


async def is_routed(
    channel: ChannelDriver, exchange: str, routing_key: str = "", **fields: Any
) -> bool:  # Any: as for publish
    """Publish on a channel with confirms; tell whether any queue took the message."""
    channel.publish(exchange=exchange, routing_key=routing_key, mandatory=True, **fields)
    event = await channel.any()
    if isinstance(event, Ack):
        return True
    assert isinstance(event, Returned), event
    assert (event.reply_code, event.reply_text) == (312, "NO_ROUTE")
    await channel.next(Ack)
    return False
