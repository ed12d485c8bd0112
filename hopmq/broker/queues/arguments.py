"""Which declarations of queues are refused, in RabbitMQ's words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hopmq.broker.vhost import VirtualHost

COMPARED: Final = (
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-type",
    "x-single-active-consumer",
    "x-delivery-limit",
)
"""Arguments in which a declaration of an existing queue must agree."""


def check_declaration(
    vhost: "VirtualHost",
    name: str,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    server_named: bool,
) -> None:
    """Refuse a declaration of a new queue that RabbitMQ would refuse."""
