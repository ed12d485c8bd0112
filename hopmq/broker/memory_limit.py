"""How many bytes of messages the broker holds, and the alarm beyond its limit."""

from collections.abc import Callable
from typing import Final

_CLEARED_AT: Final = 0.95
"""Part of the limit below which the alarm ends, so that it does not flutter."""


class MemoryLimit:
    """Count what queues hold.

    Attributes:
        used: Bytes held now.
        limit: Bytes beyond which the alarm is on.
        alarmed: Whether it is on.
        on_change: Called with `alarmed` when that changes.
    """

    __slots__ = ("alarmed", "limit", "on_change", "used")

    def __init__(self, limit: int, on_change: Callable[[bool], None]) -> None:
        """Hold nothing."""
        self.used: int = 0
        self.limit: int = limit
        self.alarmed: bool = False
        self.on_change: Callable[[bool], None] = on_change

    def add(self, size: int) -> None:
        """Count `size` bytes more."""
        self.used += size
        if self.used > self.limit and not self.alarmed:
            self.alarmed = True
            self.on_change(True)

    def release(self, size: int) -> None:
        """Count `size` bytes less."""
        self.used -= size
        if self.alarmed and self.used <= self.limit * _CLEARED_AT:
            self.alarmed = False
            self.on_change(False)
