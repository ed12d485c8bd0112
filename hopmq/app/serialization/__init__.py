"""Serialization: payloads become bodies and bodies payloads, by content type."""

from hopmq.app.serialization.limits import SizeLimits
from hopmq.app.serialization.registry import Encoded, Serialization
from hopmq.app.serialization.serializer import Serializer

__all__ = ["Encoded", "Serialization", "Serializer", "SizeLimits"]
