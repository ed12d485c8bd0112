"""The methods that close a connection or a channel."""

from typing import Final

from pamqp.base import Frame
from pamqp.commands import Channel, Connection

from hopmq.errors import ClosedError
from hopmq.wire import new_method
from hopmq.wire.limits import SHORTSTR_SIZE

_DOTS: Final = "..."


def closing_method(kind: type[Connection.Close] | type[Channel.Close], error: ClosedError) -> Frame:
    """Return the close that tells the peer about `error`, its text cut to a short string."""
    text = error.reply_text.encode("utf-8", "replace")[:SHORTSTR_SIZE]
    return new_method(
        kind,
        reply_code=error.reply_code,
        reply_text=text.decode("utf-8", "ignore"),
        class_id=error.class_id,
        method_id=error.method_id,
    )


def shortened(text: str) -> str:
    """Cut a text to a short string, as RabbitMQ does: what was cut ends with three dots."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= SHORTSTR_SIZE:
        return raw.decode()
    return raw[: SHORTSTR_SIZE - len(_DOTS)].decode("utf-8", "ignore") + _DOTS
