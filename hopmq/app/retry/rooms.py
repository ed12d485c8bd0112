"""Rooms before the doors of exchanges and queues: delayed messages that are not let in wait there."""

from typing import Final

from hopmq.app.header_names import DELAY_TO
from hopmq.app.retry.ladder import UNDELIVERED, way_to
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.errors import UsageError

_DUE: Final = "hopmq.due"
"""The exchange behind the rooms."""
_SINK: Final = f"{_DUE}.sink"
"""A queue that takes everything and keeps nothing.

Who dead-letters at least once waits for somebody to take the message; when it is due, an exchange may
have nobody to give it to.
"""


class Room:
    """The queue where delayed messages for one exchange are when they are due.

    A message that its destination refuses waits until it is taken, and those behind it do. Here these
    are for the same destination.

    Attributes:
        exchange: The exchange; `""` for the default one, which means a queue.
        name: The name of the room's queue.
    """

    __slots__ = ("_routing_key", "exchange", "name")

    def __init__(self, exchange: str, routing_key: str) -> None:
        """Belong to `exchange`; for the default one, to the queue that the routing key names."""
        self.exchange: str = exchange
        self._routing_key = routing_key
        self.name: str = f"{_DUE}.to.{exchange}" if exchange else f"{_DUE}.in.{routing_key}"
        if len(self.name.encode()) > 255:  # AMQP 0-9-1, 3.1.1: a name is a short string
            raise UsageError(f"the name {exchange or routing_key!r} is too long for delays")

    @property
    def topology(self) -> Topology:
        """What has to be there."""
        queue = Queue.quorum(
            self.name,
            message_ttl=0,
            dead_letter_exchange=_DUE,
            dead_letter_strategy="at-least-once",
            overflow="reject-publish",
        )
        arguments = {"x-match": "all", DELAY_TO: self.name}
        if self.exchange:
            ways: tuple[Binding, ...] = (
                Binding(_DUE, self.exchange, "exchange", arguments=arguments),
                Binding(_DUE, _SINK, arguments=arguments),
            )
        else:
            ways = (Binding(_DUE, self._routing_key, arguments=arguments),)
        return Topology(
            exchanges=(Exchange.headers(_DUE, alternate_exchange=UNDELIVERED),),
            queues=(queue, Queue.classic(_SINK, max_length=0)),
            bindings=(way_to(self.name), *ways),
        )


def door_of(queue: Queue) -> tuple[str, Topology]:
    """Return by which name delayed messages reach a queue, and what has to be there for it.

    One that may refuse messages, because it is full, has a room.
    """
    if str(queue.arguments.get("x-overflow", "")).startswith("reject-publish"):
        room = Room("", queue.name)
        return room.name, room.topology
    return queue.name, Topology(bindings=(way_to(queue.name),))
