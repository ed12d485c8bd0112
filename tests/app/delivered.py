"""Messages as a consumer gets them, without a broker."""

from typing import Any

from hopmq.app.context import ConsumeContext
from hopmq.client.message import DeliveredMessage, message_types
from hopmq.wire import Properties, active
from hopmq.wire.properties import encode_properties


def delivered(
    body: bytes = b"",
    *,
    routing_key: str = "",
    content_type: str | None = "application/json",
    content_encoding: str | None = None,
    headers: dict[str, Any] | None = None,
    message_id: str | None = None,
) -> DeliveredMessage:
    """Return a message that was delivered; it cannot be settled."""
    properties = Properties(
        content_type=content_type,
        content_encoding=content_encoding,
        headers=headers,
        message_id=message_id,
    )
    kind: Any = message_types(active)[0]
    message: DeliveredMessage = kind(
        body=body, routing_key=routing_key, raw_properties=encode_properties(properties)
    )
    return message


def context_of(*messages: DeliveredMessage) -> ConsumeContext:
    """Return the context of messages, of no consumer and no application."""
    nobody: Any = None
    return ConsumeContext(messages, nobody, nobody)
