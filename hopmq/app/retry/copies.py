"""Messages that are published again: what of the earlier delivery goes with them, and what does not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from hopmq.app import header_names as names
from hopmq.app.error_text import text_of
from hopmq.app.retry.verdicts import Verdict
from hopmq.client.message import Message
from hopmq.typedefs import FieldTable, FieldValue, Timestamp
from hopmq.wire import Properties

_OURS: Final = ("hopmq-delay-", "hopmq-park-")
OF_BROKER: Final = frozenset({"x-delivery-count", "x-acquired-count"})
"""What a quorum queue writes into the headers of what it delivers again."""
_DEATHS: Final = "x-death"
_ENDS: Final = ("x-first-death-", "x-last-death-")
_OF_FAILURE: Final = frozenset(
    {
        names.ATTEMPTS,
        names.FIRST_FAILED,
        names.LAST_FAILED,
        names.REASON,
        names.ERROR,
        names.PARKED_ID,
    }
)
_OF_ORIGIN: Final = frozenset({names.EXCHANGE, names.QUEUE})
_LONGEST_REASON: Final = 1000
"""Characters of a reason: all headers have to fit into one frame (AMQP 0-9-1, 2.3.5.2)."""


def cleaned(headers: FieldTable) -> dict[str, FieldValue]:
    """Return headers without the traces of how a message came here.

    RabbitMQ before 4.0 drops what has died in a queue before by expiry alone, as going round in a
    circle; so our own queues may not stand in x-death when a message takes their way again.
    """
    kept = {
        name: value
        for name, value in headers.items()
        if not name.startswith(_OURS) and name not in OF_BROKER
    }
    deaths = kept.get(_DEATHS)
    if isinstance(deaths, list):
        kept[_DEATHS] = [each for each in deaths if not _is_ours(each)]
        if not kept[_DEATHS]:
            del kept[_DEATHS]
    for end in _ENDS:
        if str(kept.get(f"{end}queue", "")).startswith("hopmq."):
            kept = {name: value for name, value in kept.items() if not name.startswith(end)}
    return kept


def forgiven(headers: FieldTable) -> dict[str, FieldValue]:
    """Return headers as if the message had never failed."""
    return {name: value for name, value in cleaned(headers).items() if name not in _OF_FAILURE}


def copied(message: Message, headers: FieldTable) -> Properties:
    """Return the properties of a copy, with these headers.

    An expiration was for the first wait in the queue; here it would end the delay. The user who
    published it is not the one who publishes the copy, which RabbitMQ would refuse.
    """
    return replace(
        message.properties, headers=headers, delivery_mode=2, expiration=None, user_id=None
    )


def is_copy(message: Message, queue: str) -> bool:
    """Return whether a message was published again for this queue, and its headers tell of that.

    Those of others came with it from elsewhere, as when a handler passes on what it was given.
    """
    return message.headers.get(names.QUEUE) == queue


def failed(
    message: Message,
    error: BaseException,
    *,
    attempts: int,
    queue: str,
    first: float | None,
    now: float,
) -> dict[str, FieldValue]:
    """Return the headers of a message that has failed.

    Args:
        message: As it was delivered.
        error: What it failed of.
        attempts: How many attempts have failed by now.
        queue: Where it came from.
        first: When the first failed, in seconds since 1970; None when nobody knows.
        now: When this one did.
    """
    headers = _headers_of(message, queue)
    if first is not None:
        headers[names.FIRST_FAILED] = moment(first)
    return headers | {
        names.ATTEMPTS: attempts,
        names.LAST_FAILED: moment(now),
        names.ERROR: name_of_error(error),
        names.REASON: reason_of(error),
        names.QUEUE: queue,
    }


def bare(headers: FieldTable, remark: str) -> dict[str, FieldValue]:
    """Return only what `failed` has added, with a remark before the reason."""
    kept = {name: value for name, value in headers.items() if name in _OF_FAILURE | _OF_ORIGIN}
    return kept | {names.REASON: f"{remark}{kept[names.REASON]!s}"}


def untried(
    message: Message, *, attempts: int, queue: str, first: float | None
) -> dict[str, FieldValue]:
    """Return the headers of a message that comes again without having been tried.

    Args:
        message: As it was delivered.
        attempts: How many attempts have failed before.
        queue: Where it came from.
        first: When the first of them did.
    """
    headers = _headers_of(message, queue)
    headers[names.QUEUE] = queue
    if attempts:
        headers[names.ATTEMPTS] = attempts
        if first is not None:
            headers[names.FIRST_FAILED] = moment(first)
    return headers


def name_of_error(error: BaseException) -> str:
    """Return the type of an error; of a verdict, that of what it was raised from."""
    kind = type(_what_happened(error))
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def reason_of(error: BaseException) -> str:
    """Return what an error says."""
    happened = _what_happened(error)
    text = text_of(error) or text_of(happened) or type(happened).__name__
    return text[:_LONGEST_REASON]


def moment(seconds: float) -> datetime:
    """Return a time as headers have it, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def seconds_of(value: FieldValue) -> float | None:
    """Return a time in a header, in seconds since 1970; None when it is none."""
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, Timestamp) else None


def count_of(value: FieldValue) -> int:
    """Return a count in a header; 0 when it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _headers_of(message: Message, queue: str) -> dict[str, FieldValue]:
    if is_copy(message, queue):
        headers = cleaned(message.headers)
    else:
        headers = forgiven(message.headers)
        headers.pop(names.EXCHANGE, None)
    headers.setdefault(names.EXCHANGE, message.exchange)
    return headers


def _what_happened(error: BaseException) -> BaseException:
    cause = error.__cause__
    return cause if isinstance(error, Verdict) and cause is not None else error


def _is_ours(death: FieldValue) -> bool:
    return isinstance(death, Mapping) and str(death.get("queue", "")).startswith("hopmq.")
