"""The AMQP 0-9-1 wire: bytes to values and back, in one of two codecs.

`active` is the codec in use and `reason` says why. The event classes and the decoder exported
here are those of the active codec; their types are written down in `events` and `decoder`.
"""

import os
from typing import TYPE_CHECKING

from hopmq.wire.codec import PURE, Codec
from hopmq.wire.events import Event
from hopmq.wire.methods import new_method
from hopmq.wire.properties import PROPERTY_NAMES, Properties
from hopmq.wire.selection import load_compiled, select

active: Codec
reason: str
active, reason = select(os.environ)

if TYPE_CHECKING:
    from hopmq.wire.decoder import Decoder
    from hopmq.wire.events import (
        Ack,
        Content,
        Delivery,
        Fetched,
        Heartbeat,
        Method,
        Nack,
        Oversized,
        ProtocolHeader,
        Published,
        Reject,
        Returned,
    )
else:
    Decoder = active.Decoder
    Ack = active.Ack
    Content = active.Content
    Delivery = active.Delivery
    Fetched = active.Fetched
    Heartbeat = active.Heartbeat
    Method = active.Method
    Nack = active.Nack
    Oversized = active.Oversized
    ProtocolHeader = active.ProtocolHeader
    Published = active.Published
    Reject = active.Reject
    Returned = active.Returned

__all__ = [
    "PROPERTY_NAMES",
    "PURE",
    "Ack",
    "Codec",
    "Content",
    "Decoder",
    "Delivery",
    "Event",
    "Fetched",
    "Heartbeat",
    "Method",
    "Nack",
    "Oversized",
    "Properties",
    "ProtocolHeader",
    "Published",
    "Reject",
    "Returned",
    "active",
    "load_compiled",
    "new_method",
    "reason",
]
