"""What `@dataclass` would write for each class of values, written once for all.

Methods that it generates are compiled when their class is made. Equality, hash and repr were half of
what the classes of options and events took of the time to import HopMQ.
"""

from dataclasses import fields
from typing import Any


class Value:
    """Equality, hash and repr by fields: the base of a `@dataclass(eq=False, repr=False)`."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Compare with another of the same class, field by field."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _compared(self) == _compared(other)

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(_compared(self))

    def __repr__(self) -> str:
        """Show the fields that may be shown."""
        kind: Any = type(self)  # a dataclass, as those that derive from this are
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(kind) if each.repr)
        return f"{kind.__qualname__}({', '.join(shown)})"


def _compared(value: Any) -> tuple[object, ...]:  # a dataclass, too
    return tuple(getattr(value, each.name) for each in fields(value) if each.compare)
