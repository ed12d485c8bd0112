"""Turn a publisher's keywords into message properties."""

from datetime import timedelta

from hopmq.errors import EncodeError, UsageError
from hopmq.typedefs import FieldTable
from hopmq.wire import Properties

_TRANSIENT = 1
_PERSISTENT = 2


def message_properties(
    *,
    headers: FieldTable | None,
    persistent: bool,
    content_type: str | None,
    expiration: float | timedelta | None,
    priority: int | None,
    correlation_id: str | None,
    reply_to: str | None,
    message_id: str | None,
) -> Properties:
    """Return the properties that are told by these keywords."""
    return Properties(
        content_type=content_type,
        headers=headers,
        delivery_mode=_PERSISTENT if persistent else _TRANSIENT,
        priority=priority,
        correlation_id=correlation_id,
        reply_to=reply_to,
        expiration=None if expiration is None else expiration_text(expiration),
        message_id=message_id,
    )


def expiration_text(expiration: float | timedelta) -> str:
    """Return a time to live in RabbitMQ's form: milliseconds, as a decimal string."""
    seconds = expiration.total_seconds() if isinstance(expiration, timedelta) else expiration
    try:
        milliseconds = round(seconds * 1000)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError("a number of seconds or a timedelta is needed", "expiration") from error
    if milliseconds < 0:
        raise UsageError(f"expiration is a time to live and cannot be negative: {expiration!r}")
    return str(milliseconds)
