"""What a virtual host says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VhostMetadata:
    """Metadata of a virtual host (RabbitMQ, Virtual Hosts).

    Attributes:
        description: What it is for.
        tags: Words of whoever made it.
        default_queue_type: The kind of a queue declared without x-queue-type; None for classic.
    """

    description: str = ""
    tags: tuple[str, ...] = ()
    default_queue_type: str | None = None
