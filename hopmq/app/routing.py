"""Routing keys with names for their words: `order.{region}.created`."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from hopmq.app.errors import DeclarationError

_PART: Final = re.compile(r"\{([^{}]*)\}")


def has_parts(pattern: str) -> bool:
    """Return whether a key names any of its words."""
    return "{" in pattern or "}" in pattern


def part_names(pattern: str) -> tuple[str, ...]:
    """Return the names in a key, in order.

    Raises:
        DeclarationError: A name is no identifier, occurs twice, or is not a whole word.
    """
    names = []
    for word in pattern.split("."):
        if not has_parts(word):
            continue
        found = _PART.fullmatch(word)
        if found is None or not found[1].isidentifier():
            raise DeclarationError(
                f"routing key {pattern!r}: {word!r} is not a whole word in braces, like {{region}}"
            )
        if found[1] in names:
            raise DeclarationError(f"routing key {pattern!r} has two parts {found[1]!r}")
        names.append(found[1])
    return tuple(names)


def binding_key(pattern: str) -> str:
    """Return the key to bind with: each name is one word, `*`."""
    part_names(pattern)
    return _PART.sub("*", pattern)


def part_reader(pattern: str) -> Callable[[str], Mapping[str, str] | None]:
    """Return what reads the named words of a routing key; None for a key that does not match."""
    part_names(pattern)
    words = []
    for word in pattern.split("."):
        found = _PART.fullmatch(word)
        if found is not None:
            words.append(rf"(?P<{found[1]}>[^.]*)")
        elif word == "*":
            words.append(r"[^.]*")
        elif word == "#":
            raise DeclarationError(f"routing key {pattern!r}: '#' cannot stand beside named words")
        else:
            words.append(re.escape(word))
    matcher = re.compile(r"\.".join(words), re.DOTALL)

    def read(routing_key: str) -> Mapping[str, str] | None:
        found = matcher.fullmatch(routing_key)
        return None if found is None else found.groupdict()

    return read
