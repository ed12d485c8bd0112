"""What an application has published, as its tests are told."""

from dataclasses import dataclass
from typing import Any

from hopmq.app.context import PublishContext
from hopmq.entities import name_of
from hopmq.wire import Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A message that the application has published.

    Attributes:
        payload: What was given to `publish`.
        body: What it was encoded to.
        exchange: Where to.
        routing_key: By which key.
        properties: Its properties.
        delay: Seconds by which it was delayed; None for at once.
    """

    payload: Any
    body: bytes
    exchange: str
    routing_key: str
    properties: Properties
    delay: float | None


def published_by(context: PublishContext) -> Published:
    """Return what was published, once all middleware have had it."""
    return Published(
        payload=context.payload,
        body=context.body,
        exchange=name_of(context.exchange),
        routing_key=context.routing_key,
        properties=context.properties,
        delay=context.delay,
    )
