"""The words of every refusal: one place, so that both codecs say the same."""

from typing import Final

from hopmq.wire.limits import FRAME_END, SHORTSTR_SIZE, TABLE_DEPTH

# --- malformed values (reply code 502) -------------------------------------------------------

TRUNCATED: Final = "value ends early"
NOT_UTF8: Final = "short string is not valid UTF-8"
UNKNOWN_FIELD: Final = "unknown field type"
TOO_DEEP: Final = f"tables nested deeper than {TABLE_DEPTH} levels"
LEFT_OVER: Final = "bytes left after the last value"
FLAGS_CONTINUE: Final = "property flags go on in a second word"
FLAG_RESERVED: Final = "reserved property flag is set"


def unknown_field(octet: int) -> str:
    """Name a field type that no table may hold."""
    return f"{UNKNOWN_FIELD} 0x{octet:02x}"


def in_property(name: str, reason: str) -> str:
    """Say which property is malformed."""
    return f"property {name}: {reason}"


def in_method(name: str, reason: str) -> str:
    """Say which method's arguments are malformed."""
    return f"{name}: {reason}"


# --- malformed frames ------------------------------------------------------------------------

METHOD_TOO_SHORT: Final = "method frame too short for a method id"
HEADER_TOO_SHORT: Final = "content header frame shorter than 14 bytes"
HEARTBEAT_PAYLOAD: Final = "heartbeat frame with a payload"


def not_amqp(start: bytes) -> str:
    """Quote what came instead of a frame."""
    return f"not AMQP: the stream starts with {start!r}"


def unknown_frame(kind: int) -> str:
    """Name a frame type that AMQP 0-9-1 does not have."""
    return f"unknown frame type {kind}"


def frame_too_large(size: int, frame_max: int) -> str:
    """Compare a frame with the limit; `size` is that of its payload."""
    return f"frame with {size} bytes of payload exceeds frame_max {frame_max}"


def channel_too_large(channel: int, channel_max: int) -> str:
    """Compare a channel number with the limit."""
    return f"channel {channel} exceeds channel_max {channel_max}"


def wrong_end(octet: int) -> str:
    """Show the octet that stands where a frame should end."""
    return f"frame ends with 0x{octet:02x} instead of 0x{FRAME_END:02x}"


def heartbeat_channel(channel: int) -> str:
    """Name the channel a heartbeat came on."""
    return f"heartbeat on channel {channel}"


def unknown_method(class_id: int, method_id: int) -> str:
    """Name a method by its numbers."""
    return f"unknown method {method_id} of class {class_id}"


def wrong_channel(name: str, channel: int) -> str:
    """Say that a method cannot come on this channel."""
    return f"{name} on channel {channel}"


def within_content(name: str, channel: int) -> str:
    """Say which frame broke into an unfinished content."""
    return f"{name} amid an unfinished content on channel {channel}"


def header_unexpected(channel: int) -> str:
    """Say that a content header came first."""
    return f"content header without its method on channel {channel}"


def body_unexpected(channel: int) -> str:
    """Say that a content body came first."""
    return f"content body without its header on channel {channel}"


def content_on_zero(name: str) -> str:
    """Say that channel 0 carries no content."""
    return f"{name} on channel 0"


def header_class(class_id: int) -> str:
    """Name a content header's class."""
    return f"content header of class {class_id} instead of 60"


def header_weight(weight: int) -> str:
    """Name a content header's weight."""
    return f"content header of weight {weight} instead of 0"


def body_too_long(size: int, remaining: int) -> str:
    """Compare a body frame with what its content header left."""
    return f"body frame of {size} bytes where {remaining} remain"


def too_much_unfinished(limit: int) -> str:
    """Name the bound on all unfinished bodies together."""
    return f"unfinished messages hold more than {limit} bytes"


# --- values that cannot be encoded -----------------------------------------------------------

SURROGATES: Final = "lone surrogates have no UTF-8 form"
NAIVE: Final = "a naive datetime names no moment; give it a tzinfo"
MICROSECONDS: Final = "AMQP timestamps are whole seconds; use .replace(microsecond=0)"
BEFORE_EPOCH: Final = "AMQP timestamps start at 1970"
TOO_LARGE: Final = "longer than 4 GiB"
INT_TOO_LARGE: Final = "integer does not fit 64 bits"
DECIMAL_SPECIAL: Final = "AMQP decimals are finite"
DECIMAL_TOO_LARGE: Final = "decimal needs more than 32 bits or 255 places"
NOT_CONTIGUOUS: Final = "memoryview is not contiguous"
RAW_PROPERTIES: Final = "an encoded property list has at least 2 bytes"


def wrong_type(due: str, given: object) -> str:
    """Say what was due, and the type that was given."""
    return f"{due} is due, not {type(given).__name__}"


def unsupported(given: object) -> str:
    """Name a type that tables cannot hold."""
    return f"{type(given).__name__} has no AMQP type"


def out_of_range(low: int, high: int) -> str:
    """Name the range an integer is outside of."""
    return f"must be within {low}..{high}"


def string_too_long(size: int) -> str:
    """Compare a string with what a short string holds."""
    return f"{size} bytes of UTF-8 exceed the {SHORTSTR_SIZE} of a short string"


def exceeds_frame(size: int, frame_max: int) -> str:
    """Compare a whole frame that cannot be split with the limit."""
    return f"frame of {size} bytes exceeds frame_max {frame_max}"
