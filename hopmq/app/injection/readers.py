"""Where the value of a parameter comes from when a message is there."""

from collections.abc import Callable, Mapping
from typing import Any

from hopmq.app.context import ConsumeContext
from hopmq.app.errors import PayloadError
from hopmq.app.injection.app_scope import AppValue
from hopmq.app.injection.markers import Headers
from hopmq.app.injection.signatures import MISSING
from hopmq.app.serialization.reasons import reason_of

Reader = Callable[[ConsumeContext, Any, list[Any]], Any]
"""Takes the context, the payload, and what dependencies have given so far, by their place."""


def read_payload(_context: ConsumeContext, payload: Any, _values: list[Any]) -> Any:
    """Give the payload."""
    return payload


def read_context(context: ConsumeContext, _payload: Any, _values: list[Any]) -> Any:
    """Give the context."""
    return context


def read_message(context: ConsumeContext, _payload: Any, _values: list[Any]) -> Any:
    """Give the message."""
    return context.messages[0]


def read_messages(context: ConsumeContext, _payload: Any, _values: list[Any]) -> Any:
    """Give all messages of a batch."""
    return list(context.messages)


def read_headers(context: ConsumeContext, _payload: Any, _values: list[Any]) -> Any:
    """Give the headers."""
    return Headers(context.messages[0].headers)


def constant(value: Any) -> Reader:
    """Give a value that is known beforehand."""
    return lambda _context, _payload, _values: value


def place(index: int) -> Reader:
    """Give what a dependency gave for this message."""
    return lambda _context, _payload, values: values[index]


def app_value(held: AppValue) -> Reader:
    """Give what a dependency gave for the application."""
    return lambda _context, _payload, _values: held.value


def header(name: str, convert: Callable[[Any], Any], default: Any) -> Reader:
    """Give a header, converted.

    The reader raises a PayloadError for one that is missing without a default, or of a wrong type.
    """

    def read(context: ConsumeContext, _payload: Any, _values: list[Any]) -> Any:
        headers = context.messages[0].headers
        if name in headers:
            return _converted(convert, headers[name], f"header {name!r}")
        if default is MISSING:
            raise PayloadError(f"header {name!r} is missing")
        return default

    return read


def routing_key_part(
    name: str,
    pattern: str,
    parts: Callable[[str], Mapping[str, str] | None],
    convert: Callable[[Any], Any],
) -> Reader:
    """Give a word of the routing key, converted.

    The reader raises a PayloadError for a key of another form, or a word that is not of the type.
    """

    def read(context: ConsumeContext, _payload: Any, _values: list[Any]) -> Any:
        key = context.messages[0].routing_key
        found = parts(key)
        if found is None:
            raise PayloadError(f"routing key {key!r} does not match {pattern!r}")
        return _converted(convert, found[name], f"{name!r} of routing key {key!r}")

    return read


def _converted(convert: Callable[[Any], Any], value: Any, what: str) -> Any:
    try:
        return convert(value)
    except MemoryError:
        raise
    except Exception as error:
        # Not its cause, whose text may show the value.
        raise PayloadError(f"{what}: {reason_of(error)}") from None
