"""Streams as tests need them: filled with certainty, and read with a prefetch."""

from typing import Any

from hopmq.typedefs import FieldTable
from hopmq.wire import Delivery
from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.queues import declare_kind, fill

FIVE = [b"0", b"1", b"2", b"3", b"4"]
"""What a stream of these tests holds; the bodies are the offsets."""


async def stream_of_five(
    channel: ChannelDriver, name: str, arguments: FieldTable | None = None
) -> None:
    """Declare a stream with five messages."""
    await declare_kind(channel, name, "stream", arguments)
    assert await fill(channel, name, *FIVE) == "aaaaa"


async def reader(
    peer: Peer,
    name: str,
    offset: Any = "first",  # Any: every type that may be an offset
    *,
    prefetch: int = 10,
    **arguments: Any,  # Any: further arguments of the consumer, with _ for -
) -> ChannelDriver:
    """Return a channel with a consumer of the stream."""
    channel = await peer.channel()
    await channel.qos(prefetch)
    table: FieldTable = {f"x-stream-{key.replace('_', '-')}": arguments[key] for key in arguments}
    if offset is not None:
        table["x-stream-offset"] = offset
    await channel.consume(name, "reader", arguments=table)
    return channel


async def offsets(channel: ChannelDriver, count: int) -> list[int]:
    """Return the offsets of the next deliveries, which are in their headers."""
    found = []
    for delivery in await channel.collect(Delivery, count):
        headers = delivery.properties.headers
        assert headers is not None
        found.append(int(headers["x-stream-offset"]))  # type: ignore[arg-type,call-overload]
    return found
