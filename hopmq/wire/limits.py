"""The limits of the wire, in one place for both codecs."""

from typing import Final

FRAME_END: Final = 0xCE
FRAME_OVERHEAD: Final = 8
"""Bytes of a frame that are not payload: type, channel, size and end (AMQP 0-9-1, 4.2.3)."""

FRAME_MIN_SIZE: Final = 4096
"""The smallest frame_max a peer may set, and the limit before tuning (AMQP 0-9-1, 4.9)."""

DEFAULT_FRAME_MAX: Final = 131_072
"""RabbitMQ's own frame_max, in bytes."""

DEFAULT_MAX_MESSAGE_SIZE: Final = 128 * 1024 * 1024
"""Largest message body accepted from the peer, in bytes (RabbitMQ 4 itself stops at 16 MiB)."""

INCOMPLETE_MESSAGES: Final = 4
"""Unfinished bodies of all channels together may hold this many times max_message_size."""

MAX_CHANNEL: Final = 65_535
SHORTSTR_SIZE: Final = 255
"""Bytes in a short string (AMQP 0-9-1, 4.2.5.3)."""

TABLE_DEPTH: Final = 64
"""Levels of tables and arrays within one another; the outermost table is level 1."""

BODY_BY_REFERENCE: Final = 16_384
"""Bodies of at least this many bytes are handed to the transport without being copied."""

UNREAD_OVERHEAD: Final = 256
"""Bytes that an unread message counts beside body and properties: without it, empty ones were no burden."""
