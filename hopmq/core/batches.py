"""The loop over what one read gave: what is hot goes straight to its consumer or ledger.

Each publish, delivery and ack is touched once; everything else goes by a table of handlers. A
channel that ends drops its callbacks, and a connection its channels, so that the table sees what
follows in the same read.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hopmq.wire import Delivery

if TYPE_CHECKING:
    from hopmq.core.connection import ConnectionCore

# Any: the decoder's events have no common type.
Rare: TypeAlias = Callable[[Any], None]
Batch: TypeAlias = Callable[[list[Any]], None]


def batches_of_client(
    connection: "ConnectionCore", delivery_type: type[Delivery], rare: Rare
) -> Batch:
    """Return what takes a client's batches: deliveries to consumers, acks to confirms."""
    ack_type = connection.codec.Ack

    def take(events: list[Any]) -> None:
        for event in events:
            kind = type(event)
            if kind is delivery_type:
                channel = connection.channels.get(event.channel)
                if channel is not None:
                    consumer = channel.consumers.get(event.consumer_tag)
                    if consumer is not None:
                        consumer(event)
                        continue
            elif kind is ack_type:
                channel = connection.channels.get(event.channel)
                if channel is not None and channel.confirms is not None:
                    channel.confirms.acked(event.delivery_tag, event.multiple)
                    continue
            rare(event)

    return take


def batches_of_server(connection: "ConnectionCore", rare: Rare) -> Batch:
    """Return what takes a server's batches: publishes and acks to whom their channel names."""
    published_type = connection.codec.Published
    ack_type = connection.codec.Ack

    def take(events: list[Any]) -> None:
        for event in events:
            kind = type(event)
            if kind is published_type:
                channel = connection.channels.get(event.channel)
                if channel is not None and channel.on_published is not None:
                    channel.on_published(event)
                    continue
            elif kind is ack_type:
                channel = connection.channels.get(event.channel)
                if channel is not None and channel.on_settled is not None:
                    channel.on_settled(event)
                    continue
            rare(event)

    return take
