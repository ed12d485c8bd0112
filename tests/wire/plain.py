"""Turns events and values into tuples that compare exactly: types, order, signs and all."""

import struct
from datetime import datetime
from decimal import Decimal
from math import isnan
from typing import Any

from pamqp import base

from hopmq.wire import PROPERTY_NAMES, Properties

CONTENT_FIELDS = ("channel", "exchange", "routing_key", "body", "raw_properties", "properties")
EVENT_FIELDS = {
    "Delivery": (*CONTENT_FIELDS, "consumer_tag", "delivery_tag", "redelivered"),
    "Fetched": (*CONTENT_FIELDS, "delivery_tag", "redelivered", "message_count"),
    "Returned": (*CONTENT_FIELDS, "reply_code", "reply_text"),
    "Published": (*CONTENT_FIELDS, "mandatory", "immediate"),
    "Ack": ("channel", "delivery_tag", "multiple"),
    "Nack": ("channel", "delivery_tag", "multiple", "requeue"),
    "Reject": ("channel", "delivery_tag", "requeue"),
    "Method": ("channel", "method"),
    "Heartbeat": (),
    "ProtocolHeader": ("raw",),
    "Oversized": ("channel", "size"),
    "FrameSyntaxError": ("offset", "reason", "reply_code"),
}


def plain(value: Any) -> Any:
    """Return a comparable form of an event, of properties, of a method or of a value."""
    if isinstance(value, dict):
        return ("dict", tuple((key, plain(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", tuple(plain(item) for item in value))
    if isinstance(value, float):
        return ("float", "nan" if isnan(value) else struct.pack(">d", value))
    if isinstance(value, Decimal):
        return ("Decimal", value.as_tuple())
    if isinstance(value, datetime):
        return ("datetime", value.isoformat())
    if isinstance(value, Properties):
        return ("Properties", tuple(plain(getattr(value, name)) for name in PROPERTY_NAMES))
    if isinstance(value, base.Frame):
        fields = tuple((name, plain(getattr(value, name))) for name in value.__slots__)
        return (value.name, fields)
    for kind in type(value).__mro__:
        if kind.__name__ in EVENT_FIELDS:
            names = EVENT_FIELDS[kind.__name__]
            return (kind.__name__, tuple((name, plain(getattr(value, name))) for name in names))
    return (type(value).__name__, value)
