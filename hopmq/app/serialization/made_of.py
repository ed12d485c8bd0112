"""What types a type is made of."""

import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, Final

_PYDANTIC: Final = frozenset(
    {"pydantic", "pydantic_core", "pydantic_extra_types", "annotated_types"}
)


def parts_of(type_: Any) -> Iterator[Any]:
    """Yield a type, what it is made of, and what annotates these; each once."""
    seen: dict[int, Any] = {}
    waiting = [type_]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        yield part
        waiting.extend(typing.get_args(part))
        waiting.extend(_fields(part))
        # Of `type X = ...`, and of NewType.
        aliases = ("__value__", "__supertype__")
        waiting.extend(getattr(part, alias) for alias in aliases if hasattr(part, alias))


def _fields(part: Any) -> list[Any]:
    if not isinstance(part, type):
        return []
    has_fields = (
        is_dataclass(part)
        or typing.is_typeddict(part)
        or hasattr(part, "__struct_fields__")  # of msgspec
        or (issubclass(part, tuple) and hasattr(part, "_fields"))
    )
    if not has_fields:
        return []
    try:
        return list(typing.get_type_hints(part, include_extras=True).values())
    except Exception:  # whoever reads the type says what is wrong with it
        return []


def is_pydantics(type_: Any) -> bool:
    """Return whether a part of a type is pydantic's: a model, a type of its own, a constraint."""
    return any(_is_pydantics(part) for part in parts_of(type_))


def _is_pydantics(part: Any) -> bool:
    kind = part if isinstance(part, type) else type(part)
    return (
        any(base.__module__.partition(".")[0] in _PYDANTIC for base in kind.__mro__)
        or hasattr(part, "__pydantic_validator__")
        or hasattr(part, "__get_pydantic_core_schema__")
    )
