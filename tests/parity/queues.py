"""Queues as tests need them: of a kind, filled with certainty, looked at when they are ready."""

from typing import Any

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Ack, Nack, Properties
from parity.channel import ChannelDriver
from parity.waiting import eventually, pass_time

SHORT = 0.05
"""Seconds in which every broker has done what it was going to do at once."""

both_kinds = pytest.mark.parametrize("kind", ["classic", "quorum"])


async def declare_kind(
    channel: ChannelDriver, queue: str, kind: str, arguments: FieldTable | None = None
) -> None:
    """Declare a durable queue of that kind."""
    await channel.declare(
        queue, durable=True, arguments={"x-queue-type": kind, **(arguments or {})}
    )


async def fill(
    channel: ChannelDriver,
    queue: str,
    *bodies: bytes,
    exchange: str = "",
    **properties: Any,  # Any: the fields of Properties
) -> str:
    """Publish one by one on a channel of its own; return `a` for each ack and `n` for each nack.

    Quorum queues and streams have a message for certain only once it is confirmed.
    """
    publisher = await channel.peer.channel()
    await publisher.confirm()
    outcomes = ""
    for body in bodies:
        publisher.publish(
            body, exchange=exchange, routing_key=queue, properties=Properties(**properties)
        )
        confirm = await publisher.any()
        assert type(confirm).__name__ in {Ack.__name__, Nack.__name__}, confirm
        outcomes += type(confirm).__name__[0].lower()
    await publisher.close()
    return outcomes


async def get_soon(channel: ChannelDriver, queue: str, *, no_ack: bool = True) -> Any:
    """Get the message that is about to be in the queue; the caller knows which codec's it is."""
    return await eventually(lambda: channel.get(queue, no_ack=no_ack))


async def drain_soon(channel: ChannelDriver, queue: str, count: int) -> list[bytes]:
    """Take so many messages that are about to be there, and find no more after them."""
    bodies = [(await get_soon(channel, queue)).body for _ in range(count)]
    return bodies + await channel.drain(queue)


async def has_count(channel: ChannelDriver, queue: str, count: int) -> None:
    """Wait until so many messages are ready."""

    async def look() -> bool:
        return await channel.count(queue) == count

    await eventually(look)


async def quiet(channel: ChannelDriver) -> None:
    """Prove that nothing comes within a while, whatever kind of queue it would come from."""
    await pass_time(SHORT)
    await channel.expect_silence()


async def bodies_of(channel: ChannelDriver, count: int) -> list[bytes]:
    """Return the bodies of the next deliveries."""
    return [(await channel.any()).body for _ in range(count)]
