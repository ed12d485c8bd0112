"""How large a body may be."""

from dataclasses import dataclass
from typing import Final

from hopmq.errors import UsageError
from hopmq.values import Value

_MIB: Final = 1024 * 1024


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class SizeLimits(Value):
    """What a body may take, in bytes; a larger one is a `PayloadError`.

    Attributes:
        max_body: As it was received. The default, 16 MiB, is what RabbitMQ 4 takes by itself.
        max_decoded: After its `content-encoding` is undone; what exceeds it is never held in
            memory as a whole.

    Raises:
        UsageError: A limit is no positive number.
    """

    max_body: int = 16 * _MIB
    max_decoded: int = 64 * _MIB

    def __post_init__(self) -> None:
        """Refuse limits that nothing passes."""
        if self.max_body < 1 or self.max_decoded < 1:
            raise UsageError(f"limits of size are positive, not {self!r}")
