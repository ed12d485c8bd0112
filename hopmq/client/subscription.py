"""What a consumer asks for."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pamqp.commands import Basic

from hopmq.typedefs import FieldTable
from hopmq.values import Value
from hopmq.wire import new_method

Recognise: TypeAlias = Literal["message_id"]
"""By what a message is known that is delivered again."""

RECOGNISE: Final = frozenset({"message_id"})


NO_ARGUMENTS: Final[FieldTable] = {}
"""Of most consumers, which share them."""


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Subscription(Value):
    """What basic.consume asks for, and how what it brings is dealt with.

    Attributes:
        queue: The queue's name when it was asked first.
        consumer_tag: The consumer's name on its channel.
        no_ack: Whether messages need no settling.
        exclusive: Whether other consumers are refused.
        arguments: Its `x-` arguments.
        recognise: By what messages are known that are delivered again.
        may_read_stream: Whether the queue is a stream; its messages will tell for certain.
    """

    queue: str
    consumer_tag: str
    no_ack: bool
    exclusive: bool
    arguments: FieldTable
    recognise: Recognise | None
    may_read_stream: bool

    def request(self, queue: str, arguments: FieldTable) -> Basic.Consume:
        """Return the request, with the queue's present name and arguments for this time."""
        return new_method(
            Basic.Consume,
            queue=queue,
            consumer_tag=self.consumer_tag,
            no_ack=self.no_ack,
            exclusive=self.exclusive,
            arguments=arguments,
        )
