"""Delays of any length made of the broker alone: levels of queues, each for one bit of the time.

A level has a headers exchange and a queue. Who has its bit set waits in the queue until its TTL is over
and is dead-lettered to the next lower level; who has not passes by way of the alternate exchange. So each
queue holds messages of one TTL, and none holds up another. The routing key stays as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final

from hopmq.app.header_names import DELAY_BIT, DELAY_TO
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable, FieldValue

PREFIX: Final = "hopmq.delay."
END: Final = f"{PREFIX}end"
"""The exchange below the lowest level: from here to the queue that the message names."""
UNDELIVERED: Final = "hopmq.undelivered"
"""Where messages are that were delayed for a queue which is gone by now."""

UNITS_PER_SECOND: Final = 8
LEVELS: Final = 26
"""One more, and the TTL of the highest would be beyond what RabbitMQ takes, 2^32 - 1 ms."""
LONGEST: Final = (2**LEVELS - 1) / UNITS_PER_SECOND
"""Seconds of the longest delay: 97 days."""

_HIGHEST_NORMAL: Final = 4
"""Highest priority that is not high, where quorum queues know two (RabbitMQ 4.0 to 4.2)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One queue of the ladder.

    Attributes:
        level: Which bit of the delay it is for, from 0.
        is_high: Whether it is for messages of high priority. RabbitMQ 4.0 takes these first, and looks
            for what has expired at the head of a queue only: they would hold up the others.
    """

    level: int
    is_high: bool = False

    @property
    def exchange(self) -> str:
        """Where its messages come from."""
        return exchange_of(self.level)

    @property
    def queue(self) -> Queue:
        """The queue: replicated, and nothing leaves it before it has arrived elsewhere."""
        return Queue.quorum(
            self.exchange + (".high" if self.is_high else ""),
            message_ttl=2**self.level / UNITS_PER_SECOND,
            dead_letter_exchange=exchange_of(self.level - 1),
            dead_letter_strategy="at-least-once",
            overflow="reject-publish",
        )

    @property
    def header(self) -> tuple[str, FieldValue]:
        """What a message has that waits here."""
        return DELAY_BIT.format(self.level), "high" if self.is_high else "yes"

    @property
    def binding(self) -> Binding:
        """What lets such messages in."""
        name, value = self.header
        arguments: FieldTable = {"x-match": "all", name: value}
        return Binding(self.exchange, self.queue.name, arguments=arguments)


def exchange_of(level: int) -> str:
    """Return the exchange of a level; that at the end for the one below the lowest."""
    return f"{PREFIX}{level:02d}" if level >= 0 else END


def steps_of(seconds: float, priority: int | None = None) -> tuple[Step, ...]:
    """Return the queues a message waits in to be delayed, from the longest wait to the shortest.

    They add up to `seconds`, or to less than an eighth more.

    Raises:
        UsageError: `seconds` is below 0 or above `LONGEST`.
    """
    if not 0 <= seconds <= LONGEST:
        raise UsageError(
            f"a delay is between 0 and {LONGEST:.0f} seconds (97 days), not {seconds!r}"
        )
    units = ceil(seconds * UNITS_PER_SECOND)
    is_high = priority is not None and priority > _HIGHEST_NORMAL
    return tuple(Step(level, is_high) for level in reversed(range(LEVELS)) if units & 1 << level)


def entrance(steps: tuple[Step, ...]) -> str:
    """Return the exchange that a message is published to for it to take these steps."""
    return steps[0].exchange if steps else END


def topology_of(steps: Iterable[Step]) -> Topology:
    """Return what has to be there for messages to take these steps."""
    wanted = sorted(set(steps), key=lambda step: (step.level, step.is_high))
    highest = wanted[-1].level if wanted else -1
    levels = [
        Exchange.headers(exchange_of(level), alternate_exchange=exchange_of(level - 1))
        for level in range(highest + 1)
    ]
    ends = Topology(
        exchanges=(
            Exchange.fanout(UNDELIVERED),
            Exchange.headers(END, alternate_exchange=UNDELIVERED),
        ),
        queues=(Queue.quorum(UNDELIVERED),),
        bindings=(Binding(UNDELIVERED, UNDELIVERED),),
    )
    return ends + Topology(
        exchanges=tuple(levels),
        queues=tuple(step.queue for step in wanted),
        bindings=tuple(step.binding for step in wanted),
    )


def way_to(queue: str) -> Binding:
    """Return what lets delayed messages reach `queue` in the end."""
    return Binding(END, queue, arguments={"x-match": "all", DELAY_TO: queue})


def delay_headers(steps: Iterable[Step], queue: str) -> FieldTable:
    """Return the headers of a message that takes these steps, and then goes to `queue`."""
    return {DELAY_TO: queue, **dict(step.header for step in steps)}
