"""How a consumer reads a stream: from which offset, and which of its messages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.exchanges.terms import term
from hopmq.broker.exchanges.values import seconds_of
from hopmq.broker.message import HEADERS
from hopmq.broker.property_list import MalformedTableError, headers_of, text
from hopmq.broker.queues.settings import UNITS
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import Timestamp
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.queues.queue import Queue
    from hopmq.broker.vhost import VirtualHost

_NAMES: Final = frozenset({"first", "last", "next"})
_AGO: Final = re.compile(f"([0-9]+)([{''.join(UNITS)}])")
_FILTER_VALUE: Final = "x-stream-filter-value"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time from which a consumer wants to read, in seconds since 1970."""

    seconds: float


def offset_of(wanted: object, queue: "Queue", vhost: "VirtualHost") -> int | str | Moment:
    """Return what a consumer asks for: an offset, a time, or first, last or next.

    Args:
        wanted: Its argument x-stream-offset.
        queue: The stream.
        vhost: Where it is.

    Raises:
        Refusal: It is none of these (406), or not even a number (541, as RabbitMQ has it).
    """
    if isinstance(wanted, datetime | Timestamp):
        return Moment(seconds_of(wanted))
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return max(wanted, 0)
    if not isinstance(wanted, str):
        raise Refusal(541, "INTERNAL_ERROR")
    if wanted in _NAMES:
        return wanted
    ago = _AGO.fullmatch(wanted)
    if ago is not None:
        return Moment(vhost.clock.wall() - int(ago[1]) * UNITS[ago[2]])
    if not vhost.emulation.checks_offsets and not wanted[:1].isdigit():
        raise Refusal(541, "INTERNAL_ERROR")
    raise Refusal(
        406,
        f"PRECONDITION_FAILED - invalid arg 'x-stream-offset' for {queue.label}: "
        f"{{invalid_stream_offset_arg,{{longstr,{term(wanted)}}}}}",
    )


class Filter:
    """Which messages a consumer wants, by their header x-stream-filter-value."""

    __slots__ = ("_unfiltered", "_values")

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Read x-stream-filter and x-stream-match-unfiltered.

        Raises:
            Refusal: There is a list without values (541, as RabbitMQ has it).
        """
        wanted = arguments.get("x-stream-filter")
        if wanted == []:
            raise Refusal(541, "INTERNAL_ERROR")
        values = wanted if isinstance(wanted, list) else [wanted]
        self._values = frozenset(text(value) for value in values if isinstance(value, str))
        self._unfiltered = arguments.get("x-stream-match-unfiltered") is True

    def matches(self, message: Published) -> bool:
        """Return whether the consumer wants a message."""
        if not self._values:
            return True
        value = None
        if message.raw_properties[0] & HEADERS:
            try:
                value = headers_of(message.raw_properties).get(_FILTER_VALUE)
            except MalformedTableError:
                value = None
        return self._unfiltered if value is None else value in self._values


class Reading:
    """How far a consumer has come.

    Attributes:
        offset: What it reads next.
        filter: What it wants; None for everything.
    """

    __slots__ = ("filter", "offset")

    def __init__(self, offset: int, wanted: Filter | None) -> None:
        """Begin at `offset`."""
        self.offset: int = offset
        self.filter: Filter | None = wanted
